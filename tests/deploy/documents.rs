//! What README and runbook tell people to type, and where they send them.

use std::process::Command;

use super::printed::{self, Typist};
use super::{root, text};

/// Commands that no test types, and why not. What a document no longer prints is taken off.
const NOT_TYPED: [(&str, &str); 11] = [
    (
        "cargo run --release -- demo",
        "a release build of some minutes; tests/demo.rs runs what it starts",
    ),
    ("tests/run", "it runs this test"),
    (
        "cargo doc --open",
        "opens a browser; tests/run makes the same pages, warnings being errors",
    ),
    (
        "docker compose --file deploy/compose.yaml up",
        "needs containers; tests/check-deploy loads the file as compose does",
    ),
    (
        "kubectl apply --kustomize deploy/kubernetes/overlays/production",
        "needs a cluster; tests/check-deploy renders the overlay",
    ),
    (
        "kubectl rollout status statefulset/gpad-live",
        "needs a cluster; the_rollout_is_of_what_the_base_names",
    ),
    (
        "systemctl restart gpad-live",
        "needs the unit installed; systemd-analyze reads it",
    ),
    (
        "kubernetes-validate --strict",
        "the name of a check; tests/deploy/manifests.rs makes it",
    ),
    (
        "kafka-transactions.sh --bootstrap-server … find-hanging --broker-id …",
        "of Kafka; its places stand for an operator's",
    ),
    (
        "describe-producers --topic … --partition …",
        "of Kafka; its places stand for an operator's",
    ),
    (
        "abort --topic … --partition … --start-offset 345",
        "of Kafka; its places stand for an operator's",
    ),
];

#[test]
fn every_command_that_a_document_prints_is_typed_by_a_test() {
    let printed = printed::commands();
    assert!(printed.len() > 80, "{}", printed.len());
    let mut wrong = Vec::new();
    for it in &printed {
        let is_listed = NOT_TYPED.iter().any(|(text, _)| *text == it.text);
        let said = match (printed::typist(it), is_listed) {
            (None, false) => "no test types it",
            (Some(_), true) => "a test types it: NOT_TYPED need not name it",
            _ => continue,
        };
        wrong.push(format!("{}:{}: {}: {said}", it.document, it.line, it.text));
    }
    for (text, _) in NOT_TYPED {
        if !printed.iter().any(|it| it.text == text) {
            wrong.push(format!("NOT_TYPED: {text}: no document prints it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_typist_has_something_to_type_and_does() {
    for (typist, test) in printed::TYPISTS {
        assert!(!printed::of(typist).is_empty(), "{typist:?}");
        let asks = format!("printed::of(Typist::{typist:?})");
        assert!(text(test).contains(&asks), "{test} has no {asks}");
    }
}

/// A command hides neither in a list, nor in a block of another language, nor between back-ticks.
#[test]
fn commands_are_found_wherever_they_stand() {
    let document = "\
Type `new-tool --flag` or `topics create`, not `one`, `state.standby = 2` or `GET /api`:

    first one   # and why

1. In a list:

       second one

```sh
# a comment
third one
```

```text
an answer
curl hidden
```

```toml
key = 1
```

| `a | b` | `cargo fmt --check` |
";
    let found = printed::commands_of("a", document);
    let found: Vec<(usize, &str, bool)> = found
        .iter()
        .map(|it| (it.line, &*it.text, it.is_block))
        .collect();
    let expected = [
        (1, "new-tool --flag", false),
        (1, "topics create", false),
        (3, "first one", true),
        (7, "second one", true),
        (11, "third one", true),
        (16, "curl hidden", true),
    ];
    assert_eq!(found[..expected.len()], expected);
}

fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("it starts");
    let all = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&all).into_owned();
    (output.status.success(), told)
}

#[test]
fn every_command_that_a_document_names_has_the_options_it_names() {
    let (_, all) = told(Command::new(env!("CARGO_BIN_EXE_gpad-live")).arg("--help"));
    for name in printed::OURS {
        assert!(all.contains(&format!("\n  {name} ")), "{name}: {all}");
    }
    for it in printed::of(Typist::Help) {
        let words = it.text.split_whitespace();
        let words: Vec<&str> = words.filter(|word| *word != "gpad-live").collect();
        let is_name = |word: &&&str| word.bytes().all(|letter| letter.is_ascii_lowercase());
        let names: Vec<&str> = words.iter().take_while(is_name).copied().collect();
        let (is_known, help) = told(
            Command::new(env!("CARGO_BIN_EXE_gpad-live"))
                .args(&names)
                .arg("--help"),
        );
        let place = format!("{}:{}: {}", it.document, it.line, it.text);
        assert!(is_known && !names.is_empty(), "{place}: {help}");
        for word in words {
            let option = word.trim_matches(['[', ']', '(', ')', ',']);
            if option.starts_with("--") {
                let is_of_it = help.split([' ', '\n', ',', '=']).any(|it| it == option);
                assert!(is_of_it, "{place}: {option} is not in {help}");
            }
        }
    }
}

#[test]
fn what_is_printed_for_promtool_works() {
    for it in printed::of(Typist::Rules) {
        let (is_done, told) = told(
            Command::new("sh")
                .args(["-c", &it.text])
                .current_dir(root()),
        );
        assert!(is_done, "{}: {told}", it.text);
    }
}

/// What a suite's command names is there: the test, the benchmark, the proof.
#[test]
fn every_suite_that_a_document_names_is_there() {
    let manifest = text("Cargo.toml");
    let prove = text("tests/prove");
    for it in printed::of(Typist::Suite) {
        let place = format!("{}:{}: {}", it.document, it.line, it.text);
        let words: Vec<&str> = it.text.split_whitespace().collect();
        let after = |option: &str| {
            let at = words.iter().position(|word| *word == option)?;
            words.get(at + 1).copied()
        };
        if words[0] == "tests/prove" {
            let proof = format!("\n    {}) binary=", words[1]);
            assert!(prove.contains(&proof), "{place}");
        } else if words[0] == "benches/compare" {
            assert!(root().join("benches/compare").exists(), "{place}");
        } else if let Some(bench) = after("--bench") {
            let declared = format!("[[bench]]\nname = \"{bench}\"");
            let file = root().join(format!("benches/{bench}.rs"));
            assert!(manifest.contains(&declared) && file.exists(), "{place}");
        } else if let Some(test) = after("--test") {
            let content = text(&format!("tests/{test}.rs"));
            // A filter of tests, where one is printed.
            let filter = words.iter().skip_while(|word| **word != test).nth(1);
            let filter = filter.filter(|word| !word.starts_with('-'));
            assert!(filter.is_none_or(|name| content.contains(*name)), "{place}");
        } else {
            assert!(words.contains(&"--lib"), "{place}: which suite?");
        }
    }
}

/// `kubectl rollout status statefulset/gpad-live`.
#[test]
fn the_rollout_is_of_what_the_base_names() {
    let base = text("deploy/kubernetes/base/statefulset.yaml");
    let named = "kind: StatefulSet\nmetadata:\n  name: gpad-live\n";
    assert!(base.contains(named), "{base}");
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
    for (document, content) in printed::documents() {
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
