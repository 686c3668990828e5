//! `completions`: what a shell completes.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Failure;
use super::line::CommandLine;

/// Print what a shell needs to complete the command's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live completions bash > /etc/bash_completion.d/gpad-live
  gpad-live completions zsh > \"${fpath[1]}/_gpad-live\"
  gpad-live completions fish > ~/.config/fish/completions/gpad-live.fish")]
pub struct Arguments {
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut CommandLine::command(),
        "gpad-live",
        &mut text,
    );
    super::print(&String::from_utf8_lossy(&text))
}
