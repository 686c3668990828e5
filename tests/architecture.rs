//! The arrows of the house: which part may name which, and what no file may do.

use std::fs;
use std::path::{Path, PathBuf};

/// A part of the crate and the parts that it may name.
const ARROWS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("wire", &["domain"]),
    ("stages", &["domain", "wire"]),
    ("engine", &["domain"]),
    // It names the decoder and the record types: decoding is its first line.
    ("pipeline", &["stages", "engine", "domain", "wire"]),
    ("publication", &["domain"]),
    ("analysis", &["domain"]),
    ("simulate", &["domain", "wire"]),
    // The declarations of aggregates compile to the engine's plan.
    ("config", &["domain", "engine"]),
    (
        "adapters",
        &[
            "domain",
            "wire",
            "stages",
            "engine",
            "pipeline",
            "publication",
            "analysis",
            "simulate",
            "config",
        ],
    ),
    (
        "service",
        &[
            "domain",
            "wire",
            "stages",
            "engine",
            "pipeline",
            "publication",
            "analysis",
            "simulate",
            "config",
            "adapters",
        ],
    ),
    (
        "commands",
        &[
            "service",
            "domain",
            "wire",
            "stages",
            "engine",
            "pipeline",
            "publication",
            "analysis",
            "simulate",
            "config",
            "adapters",
        ],
    ),
    ("main", &["adapters", "commands"]),
];

/// What a reader takes in at once; none is longer.
const LINES: usize = 600;

struct File {
    /// Below `src`, with `/`.
    name: String,
    text: String,
}

fn sources() -> Vec<File> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| File {
        name: path
            .strip_prefix(&root)
            .expect("below src")
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/"),
        text: fs::read_to_string(&path).expect("a readable file"),
    };
    paths.into_iter().map(read).collect()
}

/// The part of the crate that a file belongs to.
fn part(name: &str) -> &str {
    let first = name.split('/').next().unwrap_or(name);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The code of a file: no comments, and nothing of its tests.
fn code(text: &str) -> String {
    let without_tests = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let lines = without_tests.lines();
    let code = lines.map(|line| {
        // `//` in a text is no comment, but what follows it names no part either.
        line.split("//").next().unwrap_or(line)
    });
    code.collect::<Vec<_>>().join("\n")
}

/// The parts that code names: after `crate::`, `gpad_live::`, or one of several in braces.
fn named(code: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut named = Vec::new();
    for root in ["crate::", "gpad_live::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(is_word) {
                continue;
            }
            let rest = &code[at + root.len()..];
            let Some(several) = rest.strip_prefix('{') else {
                named.extend(
                    rest.split(|letter| !is_word(letter))
                        .next()
                        .map(str::to_owned),
                );
                continue;
            };
            let (mut depth, mut word, mut is_first) = (0, String::new(), true);
            for letter in several.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        named.push(std::mem::take(&mut word));
                        is_first = true;
                    }
                    ':' => is_first &= depth > 0,
                    letter if depth == 0 && is_first && is_word(letter) => word.push(letter),
                    _ => {}
                }
            }
            named.push(word);
        }
    }
    named
}

#[test]
fn the_arrows_hold() {
    let parts: Vec<&str> = ARROWS.iter().map(|(part, _)| *part).collect();
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.name != "lib.rs") {
        let from = part(&file.name);
        let Some((_, allowed)) = ARROWS.iter().find(|(part, _)| *part == from) else {
            wrong.push(format!("{}: `{from}` has no arrows", file.name));
            continue;
        };
        for to in named(&code(&file.text)) {
            if parts.contains(&&*to) && to != from && !allowed.contains(&&*to) {
                wrong.push(format!("{}: {from} → {to}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_sees_every_way_to_name_a_part() {
    let cases = [
        ("use crate::engine::task::Task;", "engine"),
        ("let a = crate::wire::avro::Field::Null;", "wire"),
        (
            "use crate::{domain::{time::Day, place}, stages::gate};",
            "domain stages",
        ),
        ("use crate::{\n    pipeline,\n};", "pipeline"),
        ("use gpad_live::commands;", "commands"),
        ("$crate::adapters::clock", "adapters"),
        ("othercrate::engine", ""),
    ];
    for (code, expected) in cases {
        let mut found = named(code);
        found.retain(|name| !name.is_empty());
        assert_eq!(found.join(" "), expected, "{code}");
    }
}

#[test]
fn the_domain_knows_no_serde_and_no_async() {
    let foreign = [
        "serde",
        "tokio",
        "async ",
        "rdkafka",
        "std::fs",
        "std::net",
        "std::time",
    ];
    for file in sources().iter().filter(|file| part(&file.name) == "domain") {
        let code = code(&file.text);
        for word in foreign {
            assert!(!code.contains(word), "{}: {word}", file.name);
        }
    }
}

#[test]
fn the_core_does_no_input_and_no_output() {
    let core = ["domain", "stages", "engine", "pipeline", "analysis"];
    let foreign = [
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "tokio",
        "rdkafka",
        "redb",
        "tracing",
    ];
    for file in sources()
        .iter()
        .filter(|file| core.contains(&part(&file.name)))
    {
        let code = code(&file.text);
        for word in foreign {
            assert!(!code.contains(word), "{}: {word}", file.name);
        }
    }
}

#[test]
fn the_wall_clock_is_read_in_one_file() {
    let clocks = ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"];
    for file in sources()
        .iter()
        .filter(|file| file.name != "adapters/clock.rs")
    {
        let code = code(&file.text);
        for clock in clocks {
            assert!(!code.contains(clock), "{}: {clock}", file.name);
        }
    }
}

/// What waits elsewhere would hold up a simulation (docs/decisions/0017), or be told another time than it.
#[test]
fn the_service_starts_threads_and_waits_in_one_place() {
    let foreign = [
        "std::thread",
        ".elapsed()",
        "Condvar",
        ".recv(",
        "recv_timeout",
        "tokio",
    ];
    for file in sources()
        .iter()
        .filter(|file| part(&file.name) == "service")
    {
        let code = code(&file.text);
        for word in foreign {
            assert!(
                !code.contains(word) || file.name.ends_with("tests.rs"),
                "{}: {word}; adapters/threads.rs and adapters/clock.rs are the place",
                file.name
            );
        }
    }
}

#[test]
fn every_file_opens_with_a_sentence_of_its_own() {
    for file in sources() {
        let first = file.text.lines().next().unwrap_or_default();
        let sentence = first.strip_prefix("//! ").unwrap_or_default();
        assert!(!sentence.is_empty(), "{}: {first}", file.name);
    }
}

#[test]
fn files_fit_a_reader() {
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= LINES, "{}: {lines} lines of {LINES}", file.name);
    }
}
