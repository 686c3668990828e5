//! Wrong use of every command that works on files: one error that names it, and the exit code that says who must act.

use std::fs;
use std::process::Command;

/// What a command says to standard error, and its exit code.
fn fail(arguments: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(arguments)
        .env_remove("GPAD_CONFIG")
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, output.status.code().unwrap_or(-1))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn wrong_use_is_named_in_one_error_and_exits_with_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let cells = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/Regional_CSV_Dorset.csv"
    );
    fs::create_dir(at("empty")).expect("a folder");
    fs::write(at("typo.toml"), "[kafka]\nborkers = 'localhost:9092'\n").expect("a file");
    fs::write(at("range.toml"), "[commit]\ninterval_ms = 1\n").expect("a file");
    fs::write(at("broken.csv"), "CCG_CODE,nonsense\n1,2\n").expect("a file");
    fs::write(
        at("levels.toml"),
        "[[aggregate]]\nname='a'\nlevels=['county']\nmeasures=['appointments']\n",
    )
    .expect("a file");
    fs::write(
        at("security.toml"),
        "[kafka.client]\n'security.protocol' = 'sasl_plaintext'\n'sasl.mechanism' = 'GSSAPI'\n",
    )
    .expect("a file");
    let (absent, empty, out, security) =
        (at("absent"), at("empty"), at("out"), at("security.toml"));
    let (typo, range, levels, broken) = (
        at("typo.toml"),
        at("range.toml"),
        at("levels.toml"),
        at("broken.csv"),
    );
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["replay", "--input", &absent, "--output", &out],
            &[&absent, "no such folder"],
        ),
        (
            &["replay", "--input", &empty, "--output", &out],
            &[&empty, "emis.appointments.avro"],
        ),
        (
            &[
                "replay",
                "--input",
                &empty,
                "--output",
                &out,
                "--as-of",
                "yesterday",
            ],
            &["--as-of", "yesterday", "2022-03-01T00:00:00Z"],
        ),
        (
            &[
                "replay", "--input", &empty, "--output", &out, "--config", &typo,
            ],
            &[&typo, "borkers"],
        ),
        (
            &[
                "replay", "--input", &empty, "--output", &out, "--config", &range,
            ],
            &["interval_ms", "25", "60000"],
        ),
        (
            &[
                "replay", "--input", &empty, "--output", &out, "--config", &levels,
            ],
            &["county", "sub_icb"],
        ),
        (
            &[
                "replay", "--input", &empty, "--output", &out, "--config", &absent,
            ],
            &[&absent],
        ),
        (
            &[
                "simulate", "--cells", &absent, "--month", "2021-03", "--output", &out,
            ],
            &[&absent],
        ),
        (
            &[
                "simulate", "--cells", &broken, "--month", "2021-03", "--output", &out,
            ],
            &[&broken],
        ),
        (
            &[
                "simulate", "--cells", cells, "--month", "2031-03", "--output", &out,
            ],
            &["2031-03", "2021-03"],
        ),
        (
            &[
                "simulate", "--cells", cells, "--month", "March", "--output", &out,
            ],
            &["--month", "March"],
        ),
        (
            &[
                "simulate", "--cells", cells, "--month", "2021-03", "--output", &out, "--scale",
                "-1",
            ],
            &["scale"],
        ),
        (
            &["simulate", "--cells", cells, "--month", "2021-03"],
            &["--output"],
        ),
        (
            &["publish", "--month", "2021-13", "--output", &out],
            &["--month", "2021-13"],
        ),
        (
            &[
                "publish", "--month", "2021-03", "--output", &out, "--config", &typo,
            ],
            &["borkers"],
        ),
        (&["run", "--config", &typo], &["borkers"]),
        (
            &["config", "check", "--config", &security],
            &["kafka.client.sasl.mechanism = GSSAPI", "PLAIN"],
        ),
        (&["run", "--config", &security], &["GSSAPI", "PLAIN"]),
        (&["dance"], &["dance"]),
    ];
    for (arguments, named) in cases {
        let (said, code) = fail(arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}");
        for name in *named {
            assert!(
                said.contains(name),
                "{arguments:?} does not name {name}: {said}"
            );
        }
    }
}

/// Otherwise a client would be made that never connects.
#[test]
fn security_that_this_build_cannot_do_is_refused_before_anything_starts() {
    for command in [&["config", "check"][..], &["topics", "create"], &["run"]] {
        for (variable, value) in [
            ("GPAD_KAFKA_CLIENT_SECURITY_PROTOCOL", "ssl"),
            ("GPAD_KAFKA_CLIENT_SASL_MECHANISM", "SCRAM-SHA-512"),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
                .args(command)
                .env_remove("GPAD_CONFIG")
                .env(variable, value)
                .output()
                .expect("the command starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
            for name in [value, "expected", "plain", "built without TLS"] {
                assert!(
                    said.to_lowercase().contains(&name.to_lowercase()),
                    "{name}: {said}"
                );
            }
        }
    }
}

#[test]
fn a_torn_file_and_an_unreachable_broker_exit_with_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::create_dir(at("torn")).expect("a folder");
    fs::write(at("torn/emis.appointments.avro"), "Obj?").expect("a file");
    fs::write(
        at("nobody.toml"),
        "[kafka]\nbrokers = '127.0.0.1:1'\npatience_seconds = 1\n[http]\naddress = 'off'\n",
    )
    .expect("a file");
    let (torn, out, nobody) = (at("torn"), at("out"), at("nobody.toml"));
    let cases: &[(&[&str], &str)] = &[
        (
            &["replay", "--input", &torn, "--output", &out],
            "emis.appointments.avro",
        ),
        (
            &[
                "publish", "--month", "2021-03", "--output", &out, "--config", &nobody,
            ],
            "127.0.0.1:1",
        ),
        (&["run", "--config", &nobody], "127.0.0.1:1"),
    ];
    for (arguments, named) in cases {
        let (said, code) = fail(arguments);
        assert_eq!(code, 1, "{arguments:?}: {said}");
        assert!(
            said.contains(named),
            "{arguments:?} does not name {named}: {said}"
        );
    }
}

/// What a command prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
        .args(arguments)
        .env_remove("GPAD_CONFIG")
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let commands = ["run", "demo", "publish", "verify", "readmit", "completions"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = printed(&["completions", shell]);
        for word in commands.iter().chain(&["as-known-at"]) {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    // What it prints for bash, bash takes.
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("gpad-live");
    fs::write(&script, printed(&["completions", "bash"])).expect("a file");
    let check = "source \"$0\" && complete -p gpad-live";
    let bash = Command::new("bash")
        .args(["-c", check])
        .arg(&script)
        .output();
    let bash = bash.expect("bash starts");
    assert!(
        String::from_utf8_lossy(&bash.stdout).contains("gpad-live"),
        "{bash:?}"
    );
    let page = printed(&["man"]);
    assert!(
        page.contains(".TH gpad-live 1") && page.contains("Examples:"),
        "{page}"
    );
    let pages = folder.path().join("man1");
    printed(&["man", "--output", pages.to_str().expect("UTF-8")]);
    for command in commands {
        let page = fs::read_to_string(pages.join(format!("gpad-live-{command}.1")));
        assert!(page.expect(command).contains("Examples:"), "{command}");
    }
    let below = fs::read_to_string(pages.join("gpad-live-config-show.1")).expect("a page");
    assert!(below.contains("Examples:"));
}

/// On a terminal `run` says how it goes, and clears the line; elsewhere it does not.
#[test]
fn run_has_a_line_on_a_terminal_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = env!("CARGO_BIN_EXE_gpad-live");
    let log = folder.path().join("log");
    // In the foreground: otherwise it signals the child, and then the child's group, and a second signal ends it at once.
    let run = format!(
        "timeout --foreground --signal=TERM 4 {binary} run --embedded {}",
        log.display()
    );
    let output = |terminal: bool| {
        let mut command = if terminal {
            let mut command = Command::new("script");
            command.args(["--quiet", "--return", "--command", &run, "/dev/null"]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", &run]);
            command
        };
        let done = command
            .env_remove("GPAD_CONFIG")
            .env("GPAD_HTTP_ADDRESS", "127.0.0.1:0")
            .env("TERM", "xterm")
            .output()
            .expect("it starts");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    let shown = output(true);
    assert!(
        shown.contains("records, 0/s") && shown.contains("Ctrl-C stops"),
        "{shown}"
    );
    // What is logged stands above it, on lines of its own.
    assert!(shown.contains("serving http://"), "{shown}");
    let plain = output(false);
    assert!(
        !plain.contains("Ctrl-C stops") && plain.contains("stopped"),
        "{plain}"
    );
}
