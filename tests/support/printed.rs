//! What the documents print for people to type, and which test types it.
//!
//! Every such test takes its commands from `of`, so none is typed that is not printed; `tests/deploy/documents.rs` fails
//! where one is printed that nobody types.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "every test binary uses its own part, and fails as its tests do"
)]

use std::fs;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A line of a block of code, or words between back-ticks.
pub struct Printed {
    pub document: String,
    pub line: usize,
    pub text: String,
    /// In a block: printed to be typed as it stands. Otherwise it may be a name, or have words that stand for others.
    pub is_block: bool,
}

/// Who types a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typist {
    /// Beside a service on a real Kafka that has taken a month in.
    Month,
    /// As a client of a service.
    Client,
    /// On a broker with authorisation.
    Rights,
    /// `--help` of the command must know the options that are named.
    Help,
    /// The rules that `deploy/prometheus` ships.
    Rules,
    /// A suite that runs for minutes to hours: what it names must be there.
    Suite,
}

pub const TYPISTS: [(Typist, &str); 6] = [
    (Typist::Month, "tests/kafka_month.rs"),
    (Typist::Client, "src/adapters/http/tests/protocol.rs"),
    (Typist::Rights, "tests/kafka_operations.rs"),
    (Typist::Help, "tests/deploy/documents.rs"),
    (Typist::Rules, "tests/deploy/documents.rs"),
    (Typist::Suite, "tests/deploy/documents.rs"),
];

/// Programs that the documents speak of: what begins with one is a command, wherever it stands.
const PROGRAMS: [&str; 16] = [
    "cargo",
    "cd",
    "curl",
    "docker",
    "git",
    "gpad-live",
    "head",
    "kafka-acls.sh",
    "kafka-transactions.sh",
    "kubectl",
    "podman",
    "promtool",
    "sh",
    "sha256sum",
    "systemctl",
    "tests/run",
];

/// Commands of ours, which are named without the program too.
pub const OURS: [&str; 13] = [
    "completions",
    "config",
    "demo",
    "health",
    "man",
    "publish",
    "readmit",
    "replay",
    "run",
    "schemas",
    "simulate",
    "topics",
    "verify",
];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What people read to use, run or change it: by path and content.
pub fn documents() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "deploy/README.md".to_owned()];
    for folder in ["docs", "docs/proofs"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|it| it == "md") {
                names.push(format!("{folder}/{name}"));
            }
        }
    }
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// Whether words between back-ticks, or a line of what is shown, are a command.
pub fn is_command(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else {
        return false;
    };
    let mut rest = words.peekable();
    if rest.peek().is_none() {
        return false;
    }
    let is_ours = ["tests/", "benches/", "deploy/"]
        .iter()
        .any(|folder| first.starts_with(folder));
    let is_word = first.starts_with(|letter: char| letter.is_ascii_lowercase());
    is_ours
        || PROGRAMS.contains(&first)
        || OURS.contains(&first)
        || is_word && rest.any(|word| word.starts_with("--"))
}

/// Every command that a document prints.
///
/// A block without a language, or of `sh`, is one command a line; a block of anything else holds none.
pub fn commands_of(document: &str, text: &str) -> Vec<Printed> {
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let mut print = |line: usize, words: &str, is_block: bool| {
            found.push(Printed {
                document: document.to_owned(),
                line,
                text: words.split_whitespace().collect::<Vec<_>>().join(" "),
                is_block,
            });
        };
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                block = Some(match kind {
                    CodeBlockKind::Indented => String::new(),
                    CodeBlockKind::Fenced(language) => language.to_string(),
                });
            }
            Event::End(TagEnd::CodeBlock) => block = None,
            Event::Text(shown) => {
                let Some(language) = &block else { continue };
                let is_shell = matches!(&**language, "" | "sh");
                for (at, line) in shown.lines().enumerate() {
                    let typed = line.split(" # ").next().unwrap_or_default().trim();
                    // What is shown of a file or an answer must not hide what should be typed.
                    let counts = is_shell && !typed.is_empty() && !typed.starts_with('#');
                    if counts || is_command(typed) {
                        print(line_of(range.start) + at, typed, true);
                    }
                }
            }
            Event::Code(words) if is_command(&words) => {
                print(line_of(range.start), &words, false);
            }
            _ => {}
        }
    }
    found
}

pub fn commands() -> Vec<Printed> {
    let documents = documents();
    let of = documents
        .iter()
        .flat_map(|(name, text)| commands_of(name, text));
    of.collect()
}

/// Whose it is to type a command.
pub fn typist(printed: &Printed) -> Option<Typist> {
    let mut words = printed.text.split_whitespace();
    let first = words.next()?;
    let second = words.next().unwrap_or_default();
    Some(match first {
        "curl" => Typist::Client,
        "gpad-live" | "head" | "sha256sum" if printed.is_block => Typist::Month,
        "gpad-live" => Typist::Help,
        _ if OURS.contains(&first) && !printed.is_block => Typist::Help,
        "promtool" => Typist::Rules,
        "deploy/kafka/acls" => Typist::Rights,
        "cargo" if matches!(second, "bench" | "test") => Typist::Suite,
        "tests/prove" | "benches/compare" => Typist::Suite,
        _ => return None,
    })
}

/// What a test has to type, in the order of the documents.
pub fn of(who: Typist) -> Vec<Printed> {
    let all = commands();
    assert!(!all.is_empty());
    all.into_iter()
        .filter(|it| typist(it) == Some(who))
        .collect()
}
