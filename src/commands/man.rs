//! `man`: the manual's pages.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::Failure;
use super::line::CommandLine;

/// Print the manual's page, or write the pages of every command into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live man | man --local-file -
  gpad-live man --output /usr/local/share/man/man1")]
pub struct Arguments {
    /// Folder for gpad-live.1, gpad-live-run.1 and so on, made if it is not there.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When standard output or the folder cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let command = CommandLine::command();
    let Some(folder) = &arguments.output else {
        let mut page = Vec::new();
        let rendered = Man::new(command).render(&mut page);
        rendered.map_err(|error| Failure::Failed(error.into()))?;
        return super::print(&String::from_utf8_lossy(&page));
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written
        .with_context(|| format!("--output {}", folder.display()))
        .map_err(Failure::Failed)
}
