//! `demo`: everything in one process, with nothing installed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::Datelike;

use super::Failure;
use super::feed::{Feed, Pace, is_stop};
use super::run::stop_on_signals;
use super::serve::{Shown, embedded, listen, serve};
use crate::adapters::clock::{Clock, monotonic};
use crate::adapters::log::Log;
use crate::adapters::progress::Progress;
use crate::adapters::schemas::Schemas;
use crate::config::{ClockSetting, Settings};
use crate::domain::time::{Day, Local, MILLIS_PER_DAY, MILLIS_PER_HOUR, Month, Timestamp};
use crate::service::{Health, Service, Stop};
use crate::simulate::calendar::Service as ServicePeriod;
use crate::simulate::cells::Cells;
use crate::simulate::run::{Options, Plan};
use crate::simulate::timeline::in_time_order;

/// England, February 2022, by ICB: what the demonstration is drawn from unless told otherwise.
const CELLS: &[u8] = include_bytes!("../../tests/data/icb_cells_2022-02.csv");
const CELLS_NAME: &str = "icb_cells_2022-02.csv";
const LICENCE: &str =
    "Contains public sector information licensed under the Open Government Licence v3.0.";
/// What the records of a directory were drawn from.
const OPTIONS: &str = "demo.txt";

/// See it all at work, in one process, with nothing installed.
///
/// Four simulated suppliers send records that are drawn from NHS England's published counts; an embedded log takes
/// the place of Kafka; the service reads it, exactly once; the page shows the figures. Half a month is there within
/// seconds, then time goes on, a day in two minutes.
///
/// Started again it goes on where it ended, whether it was stopped or killed. Ctrl-C stops it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live demo
  gpad-live demo --fresh --speed 2880 --scale 0.02
  gpad-live demo --cells Regional_CSV_Dorset.csv --month 2021-05 --scale 0.1 --fresh

The published counts: NHS England, Appointments in General Practice.
Contains public sector information licensed under the Open Government Licence v3.0.")]
pub struct Arguments {
    /// Where the log is kept [default: gpad-live-demo among the temporary files].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Begin anew, removing what an earlier demonstration left in the directory.
    #[arg(long)]
    pub fresh: bool,
    /// How many times faster than life: 720 makes a day of two minutes.
    #[arg(long, value_name = "FACTOR", default_value_t = 720, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub speed: u32,
    /// The part of the published appointments that is drawn.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.005)]
    pub scale: f64,
    /// Another seed draws other records for the same counts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Published counts to draw from, of either shape [default: England, February 2022, by ICB].
    #[arg(long, value_name = "FILE", requires = "month")]
    pub cells: Option<PathBuf>,
    /// The month to take from --cells.
    #[arg(long, value_name = "YYYY-MM", value_parser = super::simulate::month, requires = "cells")]
    pub month: Option<Month>,
    /// The day of the month that it is at first [default: its second Monday].
    #[arg(long, value_name = "DATE", value_parser = super::simulate::day)]
    pub today: Option<Day>,
    /// Where the page is served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    pub address: SocketAddr,
}

/// Runs until it is stopped.
///
/// # Errors
/// Wrong use; an address or a directory that another process has.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (cells, label) =
        cells(arguments).map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    let options = Options {
        scale: arguments.scale,
        seed: arguments.seed,
        faults: true,
        service: ServicePeriod::default(),
    };
    let records =
        Plan::new(&cells, options).map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    let today = today(arguments, cells.month)?;
    let listener = listen(Some(arguments.address))?;
    let directory = arguments
        .dir
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join("gpad-live-demo"));
    let made_of = format!(
        "{label} scale {} seed {} today {}\n",
        arguments.scale,
        arguments.seed,
        day_of(today)
    );
    prepare(&directory, &made_of, arguments.fresh)?;

    let settings = Settings::default();
    let plan = Arc::new(super::plan_of(&settings, Some(settings.horizon_days))?);
    let stop = Stop::default();
    stop_on_signals(&stop).map_err(Failure::Failed)?;
    let log: Arc<dyn Log> = Arc::new(embedded(&directory, &plan.aggregates)?);
    let schemas = Arc::new(Schemas::new(None));
    tracing::info!("the log is in {}", directory.display());

    let (feeding, now, clock) = feed(&log, &schemas, records, today, &directory, &stop)?;
    let Some(now) = now else {
        return ended(&stop, feeding, Ok(()));
    };
    let setting = ClockSetting::Scaled {
        start: now,
        speed: arguments.speed,
    };
    let running = Clock::new(setting);
    // The feed has gone if nobody receives it, and says why when it is joined.
    let _ = clock.send(running);
    let health = Arc::new(Health::default());
    let shown = Shown {
        plan: plan.aggregates.clone(),
        clock: running,
        health: health.clone(),
        stop: stop.clone(),
        banner: Some(format!(
            "Demonstration. No record is real: they are drawn from published counts ({label}, {} of them), and time goes {} times as fast as life. {LICENCE}",
            percent(arguments.scale),
            arguments.speed,
        )),
        series: settings.metrics.series,
        // Months of all of England beside a part of one would mislead.
        published: Arc::default(),
        schemas: Arc::clone(&schemas),
        history_days: settings.state.history_days,
        releases: None,
    };
    let serving = serve(&log, listener, shown)?;
    if let Some(address) = serving.address() {
        super::print(&format!(
            "The page:   http://{address}/\nMetrics:    http://{address}/metrics\nThe API:    http://{address}/api/v1/summary\nThe log:    {}\nCtrl-C stops it; started again it goes on from there.\n",
            directory.display()
        ))?;
    }
    let service = Service {
        log,
        schemas,
        plan,
        commit: settings.commit.clone(),
        clock: running,
        observer: serving.observer.clone(),
        health,
        undecided: settings.kafka.undecided,
        state: settings.state.clone(),
        group: settings.kafka.group.clone(),
        stop: stop.clone(),
    };
    let outcome = service.run().map_err(|error| Failure::Failed(error.into()));
    drop(serving);
    ended(&stop, feeding, outcome)
}

fn cells(arguments: &Arguments) -> Result<(Cells, String), crate::simulate::error::Error> {
    if let (Some(file), Some(month)) = (&arguments.cells, arguments.month) {
        let name = file.file_name().unwrap_or(file.as_os_str());
        let label = format!("{}, {}", name.to_string_lossy(), month.label());
        return Ok((Cells::read(file, month)?, label));
    }
    let cells = Cells::parse(Path::new(CELLS_NAME), CELLS, Month::new(2022, 1))?;
    Ok((cells, "England, February 2022".to_owned()))
}

/// Eight in the morning of the first day that is lived through.
fn today(arguments: &Arguments, month: Month) -> Result<Timestamp, Failure> {
    let first = month.first_day();
    let day = match arguments.today {
        Some(day) if day.month() == month => day,
        Some(day) => {
            let text = format!(
                "--today {}: is no day of {}",
                day_of_day(day),
                month.label()
            );
            return Err(Failure::Usage(text));
        }
        None => {
            let weekday = first
                .date()
                .map_or(0, |date| date.weekday().num_days_from_monday())
                as i32;
            Day(first.0 + (7 - weekday) % 7 + 7)
        }
    };
    Ok(Local(i64::from(day.0) * MILLIS_PER_DAY + 8 * MILLIS_PER_HOUR).to_utc())
}

fn day_of(at: Timestamp) -> String {
    day_of_day(at.london_day())
}

fn day_of_day(day: Day) -> String {
    day.date().map_or_else(String::new, |date| date.to_string())
}

fn percent(scale: f64) -> String {
    format!("{} %", (scale * 100_000.0).round() / 1_000.0)
}

/// Makes the directory, and keeps records of other options out of it.
fn prepare(directory: &Path, made_of: &str, is_fresh: bool) -> Result<(), Failure> {
    let options = directory.join(OPTIONS);
    let outcome = || -> anyhow::Result<()> {
        if is_fresh && options.exists() {
            // Only what a demonstration made: the directory may be anyone's.
            for file in [crate::adapters::embedded::FILE, OPTIONS] {
                match fs::remove_file(directory.join(file)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        match fs::read_to_string(&options) {
            Ok(before) if before != made_of => Err(anyhow!(
                "holds a demonstration of other options ({}); --fresh begins anew",
                before.trim_end()
            )),
            Ok(_) => Ok(()),
            Err(_) => {
                fs::create_dir_all(directory)?;
                Ok(fs::write(&options, made_of)?)
            }
        }
    };
    outcome()
        .with_context(|| format!("--dir {}", directory.display()))
        .map_err(Failure::Failed)
}

type Feeding = JoinHandle<anyhow::Result<()>>;

/// Starts the suppliers, and waits until everything before today is in the log; `None`: stopped before.
fn feed(
    log: &Arc<dyn Log>,
    schemas: &Arc<Schemas>,
    records: Plan,
    start: Timestamp,
    directory: &Path,
    stop: &Stop,
) -> Result<(Feeding, Option<Timestamp>, mpsc::Sender<Clock>), Failure> {
    let (ready, is_ready) = mpsc::channel();
    let (sender, clock) = mpsc::channel();
    let pace = Pace {
        start,
        ready,
        clock,
    };
    let mut feed = Feed::new(&**log, schemas, pace, stop)
        .and_then(|feed| Ok(feed.continuing(&**log)?))
        .map_err(|error| Failure::Failed(error.into()))?;
    let spill = directory.to_owned();
    let feeding = std::thread::Builder::new()
        .name("suppliers".to_owned())
        .spawn(move || {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let bar = Progress::count("drawing", records.cells().total());
            let mut told = 0;
            let outcome = in_time_order(&records, &mut feed, threads, &spill, &mut |counted| {
                bar.advance(counted - told);
                told = counted;
            });
            bar.finish();
            match outcome.and_then(|_| feed.finish()) {
                Err(error) if is_stop(&error) => Ok(()),
                Err(error) => {
                    tracing::error!("the simulated suppliers have ended: {error}");
                    Err(error.into())
                }
                Ok(()) => {
                    tracing::info!("the month is over: the suppliers have sent everything");
                    Ok(())
                }
            }
        })
        .map_err(|error| Failure::Failed(error.into()))?;
    let spinner = Progress::spinner("loading what happened before today");
    let now = loop {
        match is_ready.recv_timeout(Duration::from_millis(100)) {
            Ok(now) => break Some(now),
            Err(mpsc::RecvTimeoutError::Timeout) if !stop.is_requested() => {}
            Err(_) => break None,
        }
    };
    spinner.finish();
    Ok((feeding, now, sender))
}

/// Waits for the suppliers for a moment; their records are stored or not, each batch whole.
fn ended(stop: &Stop, feeding: Feeding, outcome: Result<(), Failure>) -> Result<(), Failure> {
    const PATIENCE: Duration = Duration::from_secs(1);
    stop.request();
    let began = monotonic();
    while !feeding.is_finished() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let fed = if feeding.is_finished() {
        feeding
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the simulated suppliers have failed")))
    } else {
        Ok(())
    };
    outcome?;
    fed.map_err(Failure::from)?;
    tracing::info!("stopped");
    Ok(())
}
