//! What all answers have in common: pages, tags, compression, CSV, problems, and the examples of docs/api.md.

use std::io::Read;
use std::process::Command;

use serde_json::Value;

use self::printed::Typist;
use super::world::{World, releases, surgeries};
use crate::adapters::metrics::{ROUTES, STREAM};

#[path = "../../../../tests/support/printed.rs"]
mod printed;

/// Catches pages that leave out or repeat rows, and pages of another question.
#[test]
fn pages_are_the_whole_in_order() {
    let folder = releases(&[1, 2, 3, 4, 5]);
    World::of(&surgeries()).serve_with(Some(folder.path().to_owned()), |served| {
        for question in [
            "/api/v1/totals/practice_month?level=practice&from=2022-02-01&by=waiting_band,status",
            "/api/v1/totals/activity?level=icb&from=2022-02-01&to=2022-03-05&per=week&by=mode",
            "/api/v1/places",
            "/api/v1/places?q=surgery&parent=QVV",
            "/api/v1/releases",
            "/api/v1/aggregates/practice_month?level=practice&from=2022-02-01",
            "/api/v1/aggregates/activity?level=icb&from=2022-02-01&to=2022-03-05",
            "/api/v1/quality?level=practice&from=2022-02-01",
            "/api/v1/quality?level=icb&from=2022-02-01",
            "/api/v1/variation?measure=dna_share&parent=11J",
            "/api/v1/variation?measure=dna_share&practice=J81006",
            "/api/v1/seasons",
            "/api/v1/seasons?by=winter_year",
        ] {
            let whole = served.json(question);
            assert_eq!(
                (&whole["next"], &whole["is_truncated"]),
                (&Value::Null, &false.into())
            );
            let whole = whole["rows"].as_array().expect("rows").clone();
            assert!(whole.len() > 1, "{question}");
            let joined = if question.contains('?') { '&' } else { '?' };
            let size = whole.len() / 3 + 1;
            let mut next = format!("{question}{joined}limit={size}");
            let mut pages = Vec::new();
            loop {
                let answer = served.ask("GET", &next, "");
                let page = answer.json();
                let rows = page["rows"].as_array().expect("rows");
                assert!(rows.len() <= size && !rows.is_empty(), "{next}");
                pages.extend(rows.clone());
                let Some(further) = page["next"].as_str() else {
                    assert_eq!(
                        (answer.header("link"), &page["is_truncated"]),
                        ("", &false.into())
                    );
                    break;
                };
                assert_eq!(page["is_truncated"], true);
                let link = format!("<{further}>; rel=\"next\"").to_lowercase();
                assert_eq!(answer.header("link"), link);
                next = further.to_owned();
            }
            assert_eq!(pages, whole, "{question}");
            let (_, cursor) = next.split_once("cursor=").expect("a cursor");
            let other = format!("/api/v1/quality?level=pcn&cursor={cursor}");
            assert_eq!(served.get(&other).0, 400);
        }
    });
}

#[test]
fn rows_come_as_csv_by_parameter_or_header_with_the_figures_of_the_json() {
    World::of(&surgeries()).serve(|served| {
        let all = "/api/v1/aggregates/practice_month?level=practice&from=2022-02-01";
        // All but one, so that there is a next page.
        let most = served.rows(all).len() - 1;
        let path = &format!("{all}&limit={most}");
        let by_header = served.ask("GET", path, "Accept: text/csv\n");
        let by_parameter = served.ask("GET", &format!("{path}&format=csv"), "");
        assert_eq!(by_header.text(), by_parameter.text());
        let kind = by_header.header("content-type");
        assert_eq!(kind, "text/csv; charset=utf-8; header=present");
        assert!(by_parameter.header("link").contains("format=csv"));
        let mut reader = csv::Reader::from_reader(&*by_header.body);
        let columns = reader.headers().expect("columns").clone();
        let rows = served.rows(path);
        let mut lines = 0;
        for (line, row) in reader.records().zip(&rows) {
            let line = line.expect("a line");
            for (column, cell) in columns.iter().zip(&line) {
                let value = match column {
                    "level" => "practice".into(),
                    "window_start" => row["window"][0].clone(),
                    "window_end" => row["window"][1].clone(),
                    "as_of" | "revision" | "finality" => row["published"][column].clone(),
                    _ => [row, &row["dimensions"], &row["figures"]]
                        .into_iter()
                        .find_map(|it| it.get(column))
                        .unwrap_or_else(|| panic!("no {column} in {row}"))
                        .clone(),
                };
                let told = match &value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        value.to_string()
                    }
                };
                // 100 and 100.0 are one number.
                match (cell.parse::<f64>(), told.parse::<f64>()) {
                    (Ok(cell), Ok(told)) => {
                        assert_eq!(cell.to_bits(), told.to_bits(), "{column}");
                    }
                    _ => assert_eq!(cell, told, "{column}"),
                }
            }
            lines += 1;
        }
        assert_eq!((lines, rows.len()), (most, most));
        let suppressed = rows
            .iter()
            .any(|row| row["figures"]["appointments"].is_null());
        assert!(suppressed && columns.iter().any(|it| it == "waiting_band"));
    });
}

#[test]
fn who_has_an_answer_is_not_sent_it_again_and_others_get_it_compressed() {
    World::of(&surgeries()).serve(|served| {
        let path = "/api/v1/aggregates/practice_month?level=practice&from=2022-02-01";
        let first = served.ask("GET", path, "");
        let tag = first.header("etag").to_owned();
        assert!(
            tag.starts_with("w/\"") && first.header("vary").contains("accept"),
            "{tag}"
        );
        assert_eq!(first.header("content-encoding"), "");
        let again = served.ask(
            "GET",
            path,
            &format!("If-None-Match: \"x\", {}\n", tag.replace("w/", "W/")),
        );
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, &*tag)
        );
        assert_eq!(
            served.ask("GET", path, "If-None-Match: \"x\"\n").status,
            200
        );
        let csv = served.ask("GET", path, "Accept: text/csv\n");
        assert_ne!(csv.header("etag"), tag, "another answer, another tag");
        let known = format!(
            "Accept-Encoding: gzip\nIf-None-Match: {}\n",
            tag.replace("w/", "W/")
        );
        assert_eq!(served.ask("GET", path, &known).status, 304);
        let packed = served.ask("GET", path, "Accept-Encoding: gzip\nConnection: close\n");
        assert_eq!(
            (packed.header("content-encoding"), packed.header("etag")),
            ("gzip", &*tag)
        );
        assert!(packed.body.len() * 5 < first.body.len());
        // Without a length it comes in chunks; the first begins behind its size.
        let start = packed
            .body
            .windows(2)
            .position(|it| it == [0x1f, 0x8b])
            .expect("gzip");
        let mut text = Vec::new();
        let _ = flate2::read::GzDecoder::new(&packed.body[start..])
            .take(100)
            .read_to_end(&mut text);
        assert_eq!(text, &first.body[..100]);
    });
}

/// Catches kept answers that are older than what somebody was told already.
#[test]
fn no_answer_is_older_than_one_that_was_given_before() {
    let world = World::of(&surgeries());
    let path = "/api/v1/totals/activity?level=england&from=2022-02-01&to=2022-02-28";
    world.serve(|served| {
        let told = |accept: &str| {
            let answer = served.ask("GET", path, &format!("Accept: {accept}\n"));
            answer.json()["rows"][0]["figures"]["appointments"].clone()
        };
        for round in 1..=5 {
            let before = told("application/json");
            world.england(round);
            // Each of these is a question of its own.
            let mut times = 0;
            let seen = loop {
                times += 1;
                let seen = told(&format!("application/json, a/b{round}-{times}"));
                if seen != before {
                    break seen;
                }
                assert!(times < 2_000, "round {round}: {seen} stays");
            };
            assert_eq!(told("application/json"), seen, "round {round}");
        }
    });
}

#[test]
fn whatever_is_wrong_below_the_api_is_a_problem_that_says_what_would_be_right() {
    World::of(&surgeries()).serve(|served| {
        let cases = [
            ("GET", "/api", 404, "openapi.json"),
            ("GET", "/api/v1/nothing", 404, "openapi.json"),
            ("GET", "/api/v1/aggregates/nothing", 404, "practice_day"),
            ("GET", "/api/v1/aggregates/%ff", 400, "UTF-8"),
            ("POST", "/api/v1/summary", 405, "GET"),
            ("DELETE", "/api/v1/aggregates/activity", 405, "GET"),
            ("GET", "/api/v1/summary?refresh=off", 400, "as_known_at"),
            ("GET", "/api/v1/ledger?level=icb", 400, "level"),
            ("GET", "/api/v1/quality?limit=0", 400, "1 to 10000"),
            ("GET", "/api/v1/quality?limit=5&limit=6", 400, "limit"),
            ("GET", "/api/v1/quality?cursor=abc", 400, "next"),
            (
                "GET",
                "/api/v1/aggregates/activity?level=pcn",
                400,
                "sub_icb",
            ),
            ("GET", "/api/v1/aggregates/activity?window=week", 400, "day"),
            (
                "GET",
                "/api/v1/aggregates/activity?from=yesterday",
                400,
                "2022-02-28",
            ),
            (
                "GET",
                "/api/v1/aggregates/activity?as_known_at=soon",
                400,
                "2022-03-03T09:00:00Z",
            ),
            (
                "GET",
                "/api/v1/aggregates/activity?as_known_at=2022-03-06",
                400,
                "2022-03-05T10:00",
            ),
            (
                "GET",
                "/api/v1/aggregates/activity?as_known_at=2022-01-01",
                400,
                "2022-01-29T10:00",
            ),
            (
                "GET",
                "/api/v1/aggregates/pressure?as_known_at=2022-03-04",
                400,
                "pressure",
            ),
            (
                "GET",
                "/api/v1/variation?measure=dna_share&parent=11J&as_known_at=2022-03-04",
                400,
                "month",
            ),
        ];
        for (method, path, status, named) in cases {
            let answer = served.ask(method, path, "");
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{path}"
            );
            let problem = answer.json();
            assert_eq!(
                (&problem["status"], &problem["type"]),
                (&status.into(), &"about:blank".into())
            );
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(detail.contains(named), "{path}: {detail}");
            let allows = answer.header("allow").contains("get");
            assert_eq!(allows, status == 405, "{method} {path}");
        }
        let early = served.ask("GET", "/api/v1/summary?as_known_at=2022-01-01", "");
        assert_eq!(early.json()["earliest"], "2022-01-29T10:00:00.000Z");
    });
}

/// Catches a route that is counted as another, and one that the metrics do not know.
#[test]
fn requests_are_counted_by_their_route_and_status() {
    World::of(&surgeries()).serve(|served| {
        let document = served.json("/api/v1/openapi.json");
        for path in document["paths"].as_object().expect("paths").keys() {
            let is_known = ROUTES.contains(&&**path) || path == STREAM;
            assert!(is_known, "{path} is none of ROUTES");
        }
        for path in [
            "/",
            "/api/v1/places?q=surg",
            "/api/v1/places?q=park",
            "/api/v1/places?limit=0",
            "/api/v1/aggregates/activity",
            "/api/v1/aggregates/nothing",
            "/nowhere",
            "/definitions",
            "/assets/0/app.js",
            "/releases/1/release.json",
            "/livez",
            "/readyz",
        ] {
            served.get(path);
        }
        served.first_event("/api/v1/events");
        let (_, metrics) = served.get("/metrics");
        let counted = |route: &str, status: &str, count: u32| {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            let line = format!("\ngpad_http_requests_total{labels} {count}\n");
            assert!(metrics.contains(&line), "no {line} in {metrics}");
        };
        for route in ["/", "/definitions", "/livez", "/readyz", STREAM] {
            counted(route, "200", 1);
        }
        counted("/api/v1/places", "200", 2);
        counted("/api/v1/places", "400", 1);
        counted("/api/v1/aggregates/{name}", "200", 1);
        counted("/api/v1/aggregates/{name}", "404", 1);
        counted("/assets/{version}/{*name}", "404", 1);
        counted("/releases/{number}/{*path}", "404", 1);
        counted("other", "404", 1);
        let line = "gpad_http_request_duration_seconds_count{route=\"/api/v1/places\"} 3\n";
        assert!(metrics.contains(line), "{metrics}");
        assert!(!metrics.contains("duration_seconds_count{route=\"/api/v1/events\"}"));
    });
}

/// The examples of the documents, run as they are printed.
#[test]
fn the_examples_of_the_documentation_work() {
    let printed = printed::of(Typist::Client);
    // A stream has no end.
    let commands: Vec<String> = printed
        .iter()
        .map(|it| it.text.replace("curl -N ", "curl -N --max-time 1 "))
        .collect();
    assert!(commands.len() >= 15, "{}", commands.len());
    World::of(&surgeries()).serve(|served| {
        for command in &commands {
            let address = served.address.to_string();
            let here = command.replace("127.0.0.1:9464", &address);
            let here = here.replace("HOST:9464", &address);
            let done = Command::new("sh")
                .args(["-c", &here])
                .output()
                .expect("a shell and curl");
            let told = String::from_utf8_lossy(&done.stdout);
            let why = String::from_utf8_lossy(&done.stderr);
            let is_cut_off = command.contains("--max-time") && done.status.code() == Some(28);
            assert!(
                (done.status.success() || is_cut_off) && !told.is_empty(),
                "{command}: {told}{why}"
            );
        }
    });
}
