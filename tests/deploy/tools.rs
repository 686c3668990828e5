//! What `tests/components` fetches for `deploy/`, each a real tool's verdict.

use std::path::PathBuf;
use std::process::Command;

use super::root;

/// A program or a folder of the tools.
pub fn fetched(name: &str) -> PathBuf {
    let home = root().join(".cache/deploy-tools");
    assert!(
        home.join("complete").exists(),
        "{} is missing: run tests/components",
        home.display()
    );
    home.join(name)
}

/// Runs it in the repository's folder; it must succeed. What it said.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}
