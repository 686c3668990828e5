//! Parses arguments, runs the command, maps the result to an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gpad_live::commands;
use tracing_subscriber::EnvFilter;

/// Live statistics of appointments in general practice: supplier records in, categorised and
/// reconciled aggregates out, exactly once.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(commands::run::Arguments),
    Demo(commands::demo::Arguments),
    Replay(commands::replay::Arguments),
    Publish(commands::publish::Arguments),
    Simulate(commands::simulate::Arguments),
    Readmit(commands::readmit::Arguments),
    Verify(commands::verify::Arguments),
    Topics(commands::topics::Arguments),
    Schemas(commands::schemas::Arguments),
    Config(commands::config::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging();
    let outcome = match arguments.command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Demo(arguments) => commands::demo::run(&arguments),
        Command::Replay(arguments) => commands::replay::run(&arguments),
        Command::Simulate(arguments) => commands::simulate::run(&arguments),
        Command::Publish(arguments) => commands::publish::run(&arguments),
        Command::Readmit(arguments) => commands::readmit::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(&arguments),
        Command::Topics(arguments) => commands::topics::run(&arguments),
        Command::Schemas(arguments) => commands::schemas::run(&arguments),
        Command::Config(arguments) => commands::config::run(&arguments),
    };
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
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logging.with_target(false).init();
    } else {
        logging.json().init();
    }
}
