//! Parses arguments, runs the command, maps the result to an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use gpad_live::adapters::progress::AboveFoot;
use gpad_live::commands::line::CommandLine;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    start_logging();
    let outcome = line.run();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit_code()
        }
    }
}

/// Standard error: for people on a terminal, JSON otherwise; `RUST_LOG` filters.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| AboveFoot);
    if std::io::stderr().is_terminal() {
        logging.with_target(false).init();
    } else {
        logging.json().init();
    }
}
