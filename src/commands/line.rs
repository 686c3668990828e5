//! The command line: what there is to be asked for, and who does it.

use clap::{Parser, Subcommand};

use super::{
    Failure, completions, config, demo, health, man, publish, readmit, replay, run, schemas,
    simulate, topics, verify,
};

/// Live statistics of appointments in general practice: supplier records in, categorised and
/// reconciled aggregates out, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "gpad-live",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  gpad-live demo                                         see it all at work, with nothing installed
  gpad-live run --config /etc/gpad-live.toml             the service, against Kafka
  gpad-live publish --month 2022-02 --output figures     a month's files
  gpad-live verify --config /etc/gpad-live.toml          prove that nothing was lost or counted twice

Each command answers --help. The exit code is 0 done, 1 failed, 2 wrong use or configuration.")]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Demo(demo::Arguments),
    Replay(replay::Arguments),
    Publish(publish::Arguments),
    Simulate(simulate::Arguments),
    Readmit(readmit::Arguments),
    Verify(verify::Arguments),
    Health(health::Arguments),
    Topics(topics::Arguments),
    Schemas(schemas::Arguments),
    Config(config::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl CommandLine {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Demo(arguments) => demo::run(arguments),
            Command::Replay(arguments) => replay::run(arguments),
            Command::Simulate(arguments) => simulate::run(arguments),
            Command::Publish(arguments) => publish::run(arguments),
            Command::Readmit(arguments) => readmit::run(arguments),
            Command::Verify(arguments) => verify::run(arguments),
            Command::Health(arguments) => health::run(arguments),
            Command::Topics(arguments) => topics::run(arguments),
            Command::Schemas(arguments) => schemas::run(arguments),
            Command::Config(arguments) => config::run(arguments),
            Command::Completions(arguments) => completions::run(arguments),
            Command::Man(arguments) => man::run(arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command that does something, with those below it, by its path.
    fn commands(of: &clap::Command, path: &str, into: &mut Vec<(String, clap::Command)>) {
        for command in of.get_subcommands() {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                commands(command, &path, into);
            } else {
                into.push((path, command.clone()));
            }
        }
    }

    #[test]
    fn every_command_has_examples_that_it_understands() {
        let whole = CommandLine::command();
        whole.clone().debug_assert();
        let mut all = Vec::new();
        commands(&whole, "gpad-live", &mut all);
        assert!(all.len() > 12, "{}", all.len());
        for (path, mut command) in all {
            let help = command.render_long_help().to_string();
            let (_, examples) = help
                .split_once("Examples:\n")
                .unwrap_or_else(|| panic!("{path} has no examples"));
            let lines = examples
                .lines()
                .map(|line| line.split("  #").next().unwrap_or(line).trim());
            // Those that begin with a variable or go through a pipe are for the shell.
            let own = lines.filter(|line| line.starts_with(&*path));
            let mut told = 0;
            for line in own {
                let line = line.split([']', '|', '>']).next().unwrap_or(line);
                let words = line.split_whitespace();
                let outcome = whole.clone().try_get_matches_from(words);
                assert!(
                    outcome.is_ok(),
                    "{line}: {}",
                    outcome.err().map_or_else(String::new, |it| it.to_string())
                );
                told += 1;
            }
            assert!(told > 0, "{path}: no example of its own");
        }
    }
}
