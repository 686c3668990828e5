//! What README and runbook tell people to type, and where they send them.

use std::process::Command;

use super::{root, text};

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "docs/guide.md",
    "docs/evidence.md",
    "docs/api.md",
    "docs/dashboard.md",
    "deploy/README.md",
    "docs/operations.md",
    "docs/figures.md",
];

/// The lines of code blocks: indented by four, or between fences.
fn code(document: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            lines.push(line.trim().to_owned());
        }
    }
    lines
}

/// The arguments of a command of ours: up to a comment, a pipe, or what its output goes into.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let command = line.strip_prefix("gpad-live ")?;
    // A line that shows an answer of the program begins with no subcommand.
    let ends = |word: &&str| !matches!(*word, "#" | "|" | ">" | "&&");
    Some(command.split_whitespace().take_while(ends).collect())
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let mut tried = 0;
    for document in DOCUMENTS {
        for line in code(&text(document)) {
            let Some(arguments) = arguments(&line) else {
                continue;
            };
            // Whatever comes before is read first: what is not known, or has a value that is none, is an error still.
            let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
                .args(&arguments)
                .arg("--help")
                .output()
                .expect("gpad-live");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{document}: {line}: {error}");
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried}");
}

/// Words in back-ticks, or after `](`, that begin as files of ours do.
fn paths(document: &str) -> Vec<&str> {
    let folders = ["deploy/", "docs/", "tests/", "src/", "schemas/", "benches/"];
    let is_end = |letter: char| letter.is_whitespace() || "`'\"()[],;:#".contains(letter);
    let words = document
        .split(is_end)
        .map(|word| word.trim_end_matches(['.', '…']));
    // A pattern is not a file.
    let is_file = |word: &&str| {
        folders.iter().any(|folder| word.starts_with(folder))
            && !word.contains(['*', '<', '{', '$'])
    };
    words.filter(is_file).collect()
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    let mut found = 0;
    for document in DOCUMENTS {
        let content = text(document);
        for path in paths(&content) {
            assert!(root().join(path).exists(), "{document}: {path}");
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

/// `](#address)`: sections of the same document.
#[test]
fn the_runbooks_contents_lead_to_its_sections() {
    let runbook = text("docs/operations.md");
    let headings = runbook.lines().filter(|line| line.starts_with('#'));
    let sections: Vec<String> = headings.map(super::anchor).collect();
    let links = runbook
        .split("](#")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links: Vec<&str> = links.collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links {
        assert!(
            sections.iter().any(|section| section == link),
            "no section {link}"
        );
    }
}
