//! What all answers have in common: pages, tags, compression, CSV, problems, and the examples of docs/api.md.

use std::io::Read;
use std::process::Command;

use serde_json::Value;

use super::world::{World, releases, surgeries};

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

/// The examples of docs/api.md, run as they are printed; each is answered, and the ones said to be wrong are not.
#[test]
fn the_examples_of_the_documentation_work() {
    let text = include_str!("../../../../docs/api.md");
    let blocks = text.split("```sh\n").skip(1);
    let commands: Vec<String> = blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .filter(|line| line.trim_start().starts_with("curl"))
        .map(str::to_owned)
        .collect();
    assert!(commands.len() >= 8, "{}", commands.len());
    World::of(&surgeries()).serve(|served| {
        for command in &commands {
            let here = command.replace("127.0.0.1:9464", &served.address.to_string());
            let done = Command::new("sh")
                .args(["-c", &here])
                .output()
                .expect("a shell and curl");
            let told = String::from_utf8_lossy(&done.stdout);
            let why = String::from_utf8_lossy(&done.stderr);
            assert!(
                done.status.success() && !told.is_empty(),
                "{command}: {told}{why}"
            );
        }
    });
}
