//! One file of one month as the figures stand, for those who download it from a service.

use std::time::Duration;

use anyhow::anyhow;

use super::topics;
use crate::adapters::clock::{monotonic, since};
use crate::adapters::effects;
use crate::adapters::http::publication::{Kind, NotMade, Wanted};
use crate::adapters::log::{Log, LogError, Remedy};
use crate::adapters::schemas::Schemas;
use crate::adapters::values::Values;
use crate::publication::{PrintedNames, Publication, parquet, sources_of};
use crate::wire::output::{AggregateKey, AggregateValue};

/// Rows of a file at most, about 150 bytes each: it is made in memory.
const MOST: usize = 1_000_000;
/// For how long the topics may be read.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes a file from the topics that its lines are in, read to their ends once: unlike `publish`, it does not wait until files
/// agree with each other.
///
/// # Errors
/// A month without appointments; more than an answer may have or take; a log that cannot be read; when it is over.
pub fn file(
    log: &dyn Log,
    schemas: &Schemas,
    wanted: Wanted,
    is_over: &dyn Fn() -> bool,
) -> Result<Vec<u8>, NotMade> {
    let values = Values::new(schemas);
    let month = wanted.month.label();
    let began = monotonic();
    let mut publication = Publication::default();
    let (mut rows, mut stopped) = (0_usize, None);
    for name in sources_of(wanted.layout) {
        let topic = effects::aggregate_topic(name);
        let read = topics::read_on(log, &topic, None, &mut |message| {
            let why = if is_over() {
                Some(NotMade::Closing)
            } else if since(began) > PATIENCE {
                Some(NotMade::TooSlow(PATIENCE.as_secs()))
            } else if rows > MOST {
                Some(NotMade::TooLarge(MOST))
            } else {
                None
            };
            if let Some(why) = why {
                let text = why.to_string();
                stopped = Some(why);
                return Err(anyhow!(text));
            }
            let key: AggregateKey = values.decode(message.key)?;
            // Days and months alike are told as dates.
            if key.window_start.starts_with(&month) {
                rows += 1;
                let value = message.value;
                let value = value.map(|value| values.decode::<AggregateValue>(Some(value)));
                let row = effects::row_of(key, value.transpose()?);
                publication.take(
                    &row.ok_or_else(|| anyhow!("the row is of no aggregate that is known here"))?,
                );
            }
            Ok(())
        });
        match (stopped.take(), read) {
            (Some(why), _) => return Err(why),
            (None, Err(error)) => return Err(failed(&error)),
            (None, Ok(_)) => {}
        }
    }
    if publication
        .totals(wanted.month)
        .iter()
        .all(|total| *total == 0)
    {
        return Err(NotMade::NoMonth(wanted.month));
    }
    let read = topics::read_reference(log, &values);
    let (reference, _) = read.map_err(|error| failed(&error))?;
    let names = PrintedNames::of(&reference);
    let mut made = Vec::new();
    publication
        .tables(wanted.month, &reference, &names, &mut |table| {
            if table.layout.file != wanted.layout.file {
                return Ok(());
            }
            made = match wanted.kind {
                Kind::Csv => table.csv()?,
                Kind::Parquet => parquet::bytes(&table)?,
            };
            anyhow::Ok(())
        })
        .map_err(|error| failed(&error))?;
    Ok(made)
}

fn failed(error: &anyhow::Error) -> NotMade {
    let told = format!("{error:#}");
    let log = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<LogError>());
    if log.is_some_and(|error| error.remedy == Remedy::Retry) {
        return NotMade::Away(told);
    }
    NotMade::Failed(told)
}
