//! What the configuration takes, and how it says no.

use std::io::Write;
use std::path::Path;

use super::*;

fn load(file: &str, variables: &[(&str, &str)]) -> Result<(Settings, Vec<Shown>), String> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load_with(Some(written.path()), variables).map_err(|error| {
        error
            .to_string()
            .replace(&written.path().display().to_string(), "FILE")
    })
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(load("", &[]).unwrap().0, Settings::default());
}

#[test]
fn the_commented_example_equals_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gpad-live.toml");
    let (settings, shown) = Settings::load_with(Some(&path), std::iter::empty()).unwrap();
    assert_eq!(settings, Settings::default());
    let text = std::fs::read_to_string(&path).unwrap();
    for setting in shown {
        let name = setting.key.rsplit('.').next().unwrap();
        assert!(
            text.contains(&format!("{name} = ")),
            "the example does not show {}",
            setting.key
        );
    }
}

#[test]
fn the_environment_goes_before_the_file() {
    let (settings, shown) = load(
        "[kafka]\nbrokers = 'a:1'\ngroup = 'g'",
        &[
            ("GPAD_KAFKA_BROKERS", "b:2,c:3"),
            ("GPAD_COMMIT_INTERVAL_MS", "25"),
            ("PATH", "x"),
            ("GPAD_TEST_X", "y"),
        ],
    )
    .unwrap();
    assert_eq!(
        (
            settings.kafka.brokers.as_str(),
            settings.kafka.group.as_str()
        ),
        ("b:2,c:3", "g")
    );
    assert_eq!(settings.commit.interval, Duration::from_millis(25));
    let origin = |key| {
        shown
            .iter()
            .find(|s| s.key == key)
            .map(|s| s.origin.clone())
            .unwrap()
    };
    assert_eq!(
        origin("kafka.brokers"),
        Origin::Variable("GPAD_KAFKA_BROKERS".to_owned())
    );
    assert!(matches!(origin("kafka.group"), Origin::File(_)));
    assert_eq!(origin("http.address"), Origin::Default);
}

#[test]
fn client_options_pass_through_by_name() {
    let (settings, _) = load(
        "[kafka.client]\n'security.protocol' = 'ssl'\nssl.ca.location = '/ca'\n'socket.keepalive.enable' = true",
        &[("GPAD_KAFKA_CLIENT_SASL_USERNAME", "u")],
    )
    .unwrap();
    let seen: Vec<_> = settings
        .kafka
        .client
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("sasl.username", "u"),
            ("security.protocol", "ssl"),
            ("socket.keepalive.enable", "true"),
            ("ssl.ca.location", "/ca"),
        ]
    );
}

#[test]
fn aggregates_pass_through_as_they_stand() {
    let (settings, _) = load("[[aggregate]]\nname = 'a'\n[[aggregate]]\nname = 'b'", &[]).unwrap();
    assert_eq!(settings.aggregates.unwrap().0.as_array().unwrap().len(), 2);
}

#[test]
fn every_form_of_a_value_is_understood() {
    let (settings, _) = load(
        "clock = 'scaled 2022-02-01T00:00:00Z 1440'\nignorable_fields = ['a', 'b']\n\
         [service_period]\nfrom = 2021-01-01\nto = 'open'\n[http]\naddress = 'off'\nreleases = '/srv/figures'\n\
         [registry]\nurl = 'http://r:8080/apis/ccompat/v7/'\npassword = 'p'",
        &[],
    )
    .unwrap();
    assert_eq!(
        settings.clock,
        ClockSetting::Scaled {
            start: Timestamp(1_643_673_600_000),
            speed: 1440
        }
    );
    assert_eq!(
        settings.service_period,
        ServicePeriod {
            from: day(2021, 1, 1),
            to: None
        }
    );
    assert_eq!(settings.http.address, None);
    assert_eq!(settings.http.releases, Some("/srv/figures".into()));
    assert_eq!(settings.ignorable_fields, ["a", "b"]);
    assert_eq!(
        settings.registry.url.as_deref(),
        Some("http://r:8080/apis/ccompat/v7")
    );
    assert!(
        !format!("{settings:?}").contains("\"p\""),
        "a secret is printed"
    );
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    type Variables<'v> = &'v [(&'v str, &'v str)];
    let cases: &[(&str, Variables<'_>, &str)] = &[
        (
            "[kafka]\nbroker = 'a:1'",
            &[],
            "FILE: unknown key kafka.broker; did you mean kafka.brokers?",
        ),
        ("zzz = 1", &[], "FILE: unknown key zzz"),
        (
            "[kafka]\nbrokers = 'nohost'",
            &[],
            "FILE: kafka.brokers = \"nohost\": expected HOST:PORT, or several with commas between",
        ),
        (
            "[commit]\ninterval_ms = 24",
            &[],
            "FILE: commit.interval_ms = 24: expected a whole number from 25 to 60000",
        ),
        (
            "[commit]\ninterval_ms = 'soon'",
            &[],
            "FILE: commit.interval_ms = \"soon\": expected a whole number from 25 to 60000",
        ),
        (
            "",
            &[("GPAD_COMMIT_INTERVAL_MS", "0")],
            "GPAD_COMMIT_INTERVAL_MS: commit.interval_ms = \"0\": expected a whole number from 25 to 60000",
        ),
        (
            "",
            &[("GPAD_KAFKA_BROKER", "a:1")],
            "GPAD_KAFKA_BROKER: unknown key kafka_broker; did you mean kafka.brokers?",
        ),
        (
            "[service_period]\nfrom = '2022-02-30'",
            &[],
            "FILE: service_period.from = \"2022-02-30\": expected a day as YYYY-MM-DD",
        ),
        (
            "[service_period]\nto = '2019-01-01'",
            &[],
            "FILE: service_period.to = \"2019-01-01\": expected a day as YYYY-MM-DD that is not before service_period.from, or open",
        ),
        (
            "horizon_days = 0",
            &[],
            "FILE: horizon_days = 0: expected a whole number from 1 to 3660",
        ),
        (
            "[http]\naddress = '9464'",
            &[],
            "FILE: http.address = \"9464\": expected ADDRESS:PORT such as 127.0.0.1:9464, or off",
        ),
        (
            "[registry]\nurl = 'r:8080'",
            &[],
            "FILE: registry.url = \"r:8080\": expected a URL that begins with http:// or https://",
        ),
        (
            "[topics]\nreplication = 0",
            &[],
            "FILE: topics.replication = 0: expected 1 to 9, or -1 for the broker's default",
        ),
        (
            "clock = 'fixed yesterday'",
            &[],
            "FILE: clock = \"fixed yesterday\": expected wall, or fixed YYYY-MM-DDTHH:MM:SSZ, or scaled YYYY-MM-DDTHH:MM:SSZ SPEED (1 to 1,000,000)",
        ),
        (
            "[kafka.client]\n'a' = [1]",
            &[],
            "FILE: kafka.client.a = [1]: expected text, a number, true or false",
        ),
    ];
    for (file, variables, expected) in cases {
        assert_eq!(
            load(file, variables).unwrap_err(),
            *expected,
            "for {file:?} {variables:?}"
        );
    }
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_named() {
    let missing = Settings::load_with(Some(Path::new("/nowhere/x.toml")), std::iter::empty());
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("/nowhere/x.toml: ")
    );
    let error = load("[kafka", &[]).unwrap_err();
    assert!(
        error.starts_with("FILE: ") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_with_an_aggregate_is_told_with_its_line() {
    let file = "[kafka]\ngroup = 'g'\n\n[[aggregate]]\nname = 'triage'\nfollows = 'event_time'\n\
                rolling = ['24 h every 1 h']\nlevels = ['pcn']\nwhere = { mode = ['Telephone'] }\n\
                measures = ['bookings']\n\n[[aggregate]]\nname = 'other'\nlevels = ['england']\nmeasures = ['appointments']\n";
    let told = |file: &str| {
        let (settings, _) = load(file, &[]).unwrap();
        let error = aggregates::plan(settings.aggregates.as_ref()).map(|_| ());
        error.map_err(|error| error.to_string())
    };
    assert_eq!(told(file), Ok(()));
    let cases = [
        ("every 1 h", "every 7 h", 7, "24 h every 7 h"),
        ("'pcn'", "'parish'", 8, "parish"),
        ("'Telephone'", "'Phone'", 9, "Phone"),
        (
            "['bookings']",
            "['bookings', 'slots_offered']",
            10,
            "slots_offered",
        ),
        ("where", "were", 9, "were"),
        ("'other'", "'Other'", 13, "Other"),
        ("['appointments']", "['dna']", 15, "appointment_date"),
        ("'event_time'", "'appointment_date'", 7, "rolling"),
    ];
    for (is, becomes, line, named) in cases {
        let error = told(&file.replace(is, becomes)).expect_err(becomes);
        let place = error.split_once(": ").map(|(place, _)| place.to_owned());
        let place = place.unwrap_or_default();
        assert!(place.ends_with(&format!(":{line}")), "{becomes}: {error}");
        assert!(error.contains(named), "{becomes}: {error}");
    }
}

#[test]
fn the_aggregate_of_the_guide_compiles() {
    let guide = include_str!("../../docs/guide.md");
    let blocks = guide.split("```toml\n").skip(1);
    let mut compiled = 0;
    for block in blocks {
        let (text, _) = block.split_once("```").expect("a block that ends");
        let (settings, _) = load(text, &[]).unwrap();
        aggregates::plan(settings.aggregates.as_ref()).unwrap();
        compiled += 1;
    }
    assert!(compiled > 0, "the example has gone");
}
