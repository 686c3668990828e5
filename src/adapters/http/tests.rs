//! What is derived when read, asked for over HTTP, from rows on the topics of a log.

mod document;
mod protocol;
mod totals;
mod world;

use serde_json::Value;

use crate::analysis::funnel::Chance;
use crate::domain::place::ENGLAND;
use world::{Surgery, World, surgeries};

fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or(f64::NAN);
    assert!((found - expected).abs() <= 1e-6, "{value} and {expected}");
}

fn rounded_to_five(count: i64) -> f64 {
    ((count as f64 / 5.0) + 0.5).floor() * 5.0
}

#[test]
fn a_practice_stands_against_its_four_groups_by_what_may_be_told() {
    let surgeries = surgeries();
    World::of(&surgeries).serve(|served| {
        let told = served.json("/api/v1/variation?measure=dna_share&practice=J81006");
        assert_eq!(
            (&told["month"], &told["working_weekdays"]),
            (&"2022-02".into(), &20.into())
        );
        assert_eq!(told["is_month_over"], true);
        let rows = told["rows"].as_array().expect("rows");
        let group = |holds: &dyn Fn(&&Surgery) -> bool| {
            let of = surgeries.iter().filter(holds);
            of.fold((0, 0), |sum, it| (sum.0 + it.dna, sum.1 + it.appointments))
        };
        let pcn = group(&|it| it.pcn == "U00002");
        let exact = |(dna, all): (i64, i64)| dna as f64 / all as f64;
        let dorset = exact(group(&|it| it.icb.0 == "QVV"));
        let expected = [
            (
                "pcn",
                "U00002",
                rounded_to_five(pcn.0) / rounded_to_five(pcn.1),
            ),
            ("sub_icb", "11J", dorset),
            ("icb", "QVV", dorset),
            ("england", ENGLAND, exact(group(&|_| true))),
        ];
        assert_eq!(rows.len(), 4);
        let own = &surgeries[6];
        let size = rounded_to_five(own.appointments);
        for (row, (level, code, benchmark)) in rows.iter().zip(expected) {
            assert_eq!(
                (&row["benchmark_level"], &row["benchmark_code"]),
                (&level.into(), &code.into())
            );
            near(&row["benchmark_value"], benchmark);
            near(&row["value"], rounded_to_five(own.dna) / size);
            let chance = Chance::Binomial {
                trials: size as u64,
                share: benchmark,
            };
            let limits = chance.limits().expect("limits").map(|limit| limit / size);
            near(&row["lower_998"], limits.lower_998);
            near(&row["lower_95"], limits.lower_95);
            near(&row["upper_95"], limits.upper_95);
            near(&row["upper_998"], limits.upper_998);
            assert_eq!(row["verdict"], "above 99.8%", "{row}");
            assert!(
                row["adjusted_upper_998"].as_f64() > row["upper_998"].as_f64(),
                "{row}"
            );
            assert!(
                row["phi"].as_f64() > Some(1.0) && row["tau"].as_f64() > Some(0.0),
                "{row}"
            );
        }
        // A PCN's own practices never tell how practices differ.
        assert_eq!(rows[0]["dispersion_level"], "sub_icb");
        assert_eq!(rows[3]["dispersion_level"], "england");
        assert_eq!(rows[1]["benchmark_practices"], 30);
        let alone = served.rows("/api/v1/variation?measure=dna_share&practice=J81000");
        assert!(
            alone[0]["note"]
                .as_str()
                .expect("a note")
                .contains("no other practice"),
            "{}",
            alone[0]
        );
        assert!(alone[0]["verdict"].is_null() && !alone[1]["verdict"].is_null());
        // Devon has five practices and is its own ICB: how practices differ is England's.
        let devon = served.rows("/api/v1/variation?measure=dna_share&practice=L83001");
        assert_eq!(devon[1]["dispersion_level"], "region", "{}", devon[1]);
        assert_eq!(devon[1]["adjusted_verdict"], "within");
    });
}

#[test]
fn rates_are_of_patients_and_days_and_leave_out_who_does_not_report() {
    let surgeries = surgeries();
    World::of(&surgeries).serve(|served| {
        let measure = "appointments_per_1000_patients_per_working_weekday";
        let rows = served.rows(&format!(
            "/api/v1/variation?measure={measure}&parent=11J&month=2022-02"
        ));
        assert_eq!(rows.len(), 30);
        let counted = |it: &&Surgery| {
            it.sub_icb == "11J"
                && it
                    .patients
                    .is_some_and(|patients| 12 * it.appointments >= patients.into())
        };
        let all: Vec<&Surgery> = surgeries.iter().filter(counted).collect();
        assert_eq!(
            all.len(),
            27,
            "of a small one, one without a list, and one that hardly sends"
        );
        let appointments: i64 = all.iter().map(|it| it.appointments).sum();
        let patients: i32 = all.iter().filter_map(|it| it.patients).sum();
        let benchmark = appointments as f64 / (f64::from(patients) / 1_000.0 * 20.0);
        let row = &rows[9];
        assert_eq!(
            (&row["practice_code"], &row["registered_patients"]),
            (&"J81009".into(), &8_900.into())
        );
        near(&row["benchmark_value"], benchmark);
        let exposure = 8.9 * 20.0;
        near(
            &row["value"],
            rounded_to_five(surgeries[9].appointments) / exposure,
        );
        let limits = Chance::Poisson {
            mean: benchmark * exposure,
        }
        .limits()
        .expect("limits");
        near(&row["upper_95"], limits.upper_95 / exposure);
        let note = |at: usize| rows[at]["note"].as_str().unwrap_or_default().to_owned();
        assert!(
            note(3).contains("does not report") && note(5).contains("does not report"),
            "{}",
            note(3)
        );
        assert!(note(4).contains("no registered patients"));
        assert!(rows[5]["verdict"].is_null() && rows[5]["value"].is_null());
    });
}

/// Catches a figure of a practice that is worked out from more than may be told of it.
#[test]
fn what_is_suppressed_cannot_be_read_off_anything_else() {
    let columns = |rows: &[Value]| -> Vec<Value> {
        let told = |row: &Value| {
            let of = [
                "numerator",
                "denominator",
                "value",
                "z",
                "lower_998",
                "upper_95",
                "verdict",
                "quality_score",
                "note",
            ];
            Value::from(of.map(|column| row[column].clone()).to_vec())
        };
        rows.iter().map(told).collect()
    };
    let answers = |dna: i64| {
        let mut surgeries = surgeries();
        // What one has more another has less of, within what rounding hides: no group's count changes.
        surgeries[3].dna = dna;
        surgeries[8].dna = 105 - dna;
        let mut found = Vec::new();
        World::of(&surgeries).serve(|served| {
            for parent in ["U00002", "11J", ENGLAND] {
                let rows = served.rows(&format!(
                    "/api/v1/variation?measure=dna_share&parent={parent}"
                ));
                found.push(columns(&rows));
            }
            let small = &served.rows("/api/v1/variation?measure=dna_share&practice=J81003")[1];
            assert!(
                small["numerator"].is_null() && small["value"].is_null() && small["z"].is_null()
            );
            assert!(small["verdict"].is_null() && small["adjusted_verdict"].is_null());
            assert_eq!(small["note"], "a count is suppressed");
        });
        found
    };
    let first = answers(3);
    assert_eq!(first[1].len(), 30);
    assert_eq!(first, answers(4));
}

#[test]
fn answers_come_as_csv_too_and_errors_say_what_would_be_right() {
    World::of(&surgeries()).serve(|served| {
        let path = "/api/v1/variation?measure=unmapped_share&parent=11J";
        let (status, text) = served.get(&format!("{path}&format=csv"));
        assert_eq!(status, 200);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers().expect("columns").clone();
        let of = |name: &str| {
            columns
                .iter()
                .position(|column| column == name)
                .expect("it")
        };
        let (value, verdict) = (of("value"), of("verdict"));
        let lines: Vec<csv::StringRecord> = reader.records().map(|it| it.expect("a row")).collect();
        let rows = served.rows(path);
        assert_eq!((lines.len(), rows.len()), (30, 30));
        for (line, row) in lines.iter().zip(&rows) {
            assert_eq!(line[value].parse::<f64>().ok(), row["value"].as_f64());
            assert_eq!(line[verdict], *row["verdict"].as_str().unwrap_or_default());
        }
        // Nothing is unmapped in Devon: a benchmark of 0 leaves no room for chance, and no one lies outside.
        for row in served.rows("/api/v1/variation?measure=unmapped_share&parent=15N") {
            near(&row["upper_998"], 0.0);
            assert_eq!(
                (&row["verdict"], &row["adjusted_verdict"]),
                (&"within".into(), &"within".into())
            );
        }
        let wrong = [
            ("variation", 400, "dna_share"),
            ("variation?measure=dna", 400, "dna_share"),
            ("variation?measure=dna_share", 400, "practice"),
            (
                "variation?measure=dna_share&practice=J81001&parent=11J",
                400,
                "either",
            ),
            ("variation?measure=dna_share&practice=X99999", 404, "X99999"),
            ("variation?measure=dna_share&parent=99Z", 404, "99Z"),
            (
                "variation?measure=dna_share&practice=J81001&month=2022-13",
                400,
                "2022-13",
            ),
            (
                "variation?measure=dna_share&practice=J81001&month=2021-02",
                404,
                "2021-02",
            ),
            (
                "variation?measure=dna_share&practice=J81001&format=xls",
                400,
                "xls",
            ),
            (
                "variation?measure=dna_share&practise=J81001",
                400,
                "practise",
            ),
            ("seasons?level=county", 400, "county"),
            ("seasons?level=icb", 400, "code"),
            ("seasons?level=icb&code=QZZ", 404, "QZZ"),
            ("seasons?by=week", 400, "winter_year"),
            ("quality?level=county", 400, "county"),
            ("quality?from=2022-02-30", 400, "2022-02-30"),
            ("quality?from=2022-02-02&to=2022-02-01", 400, "before"),
        ];
        for (path, expected, named) in wrong {
            let (status, body) = served.get(&format!("/api/v1/{path}"));
            assert!(
                status == expected && body.contains(named),
                "{path}: {status} {body}"
            );
        }
    });
}

#[test]
fn seasons_take_published_months_where_nothing_was_counted() {
    World::of(&surgeries()).serve(|served| {
        let find = |rows: &[Value], month: &str| {
            let found = rows.iter().find(|row| row["month"] == month);
            found.unwrap_or_else(|| panic!("no {month}")).clone()
        };
        let england = served.rows("/api/v1/seasons");
        let row = find(&england, "2022-02");
        assert_eq!(
            (&row["source"], &row["is_whole"]),
            (&"live".into(), &true.into())
        );
        assert_eq!(
            (&row["winter_year"], &row["working_weekdays"]),
            (&"2021/22".into(), &20.into())
        );
        near(&row["per_working_weekday"], 1_250_000.0);
        assert_eq!(row["published_appointments"], 25_355_260);
        assert_eq!(row["year_before_source"], "published");
        near(
            &row["change_on_year_before"],
            25_000_000.0 / 22_399_569.0 - 1.0,
        );
        assert!(
            row["pre_pandemic_appointments"].is_null(),
            "England's 2019 is not in the data"
        );
        // Of 110,500 appointments 33 are unmapped, all in EMIS; INPS's modes do not count.
        assert!(row["quality_score"].as_f64() > Some(99.9), "{row}");
        let winters = served.rows("/api/v1/seasons?by=winter_year");
        let winter = winters
            .iter()
            .find(|row| row["winter_year"] == "2021/22")
            .expect("it");
        assert_eq!(
            (&winter["months"], &winter["months_compared"]),
            (&12.into(), &8.into())
        );
        assert_eq!(winter["working_weekdays"], 251);
        // An ICB is published under its ONS code: March 2019 to August 2021, and February 2022.
        let dorset = served.rows("/api/v1/seasons?level=icb&code=QVV");
        let row = find(&dorset, "2022-02");
        assert_eq!(row["appointments"], 379_052 + 37_905);
        assert_eq!(row["year_before_source"], "published");
        let march = find(&dorset, "2022-03");
        // Four of March's working weekdays are over; the day is Saturday the 5th.
        assert_eq!(
            (&march["is_whole"], &march["working_weekdays"]),
            (&false.into(), &4.into())
        );
        assert_eq!(
            (
                &march["pre_pandemic_appointments"],
                &march["pre_pandemic_working_weekdays"]
            ),
            (&379_052.into(), &21.into())
        );
        near(
            &march["change_on_pre_pandemic"],
            200.0 / (379_052.0 / 21.0) - 1.0,
        );
        assert!(march["quality_score"].is_null());
        // A practice's count of 3 is not told, and neither is what follows from it.
        let small = served.rows("/api/v1/seasons?level=practice&code=J81000");
        assert_eq!(small.len(), 1);
        assert!(small[0]["appointments"].is_null() && small[0]["per_working_weekday"].is_null());
        let (_, csv) = served.get("/api/v1/seasons?level=practice&code=J81001&format=csv");
        assert!(
            csv.lines()
                .nth(1)
                .expect("a row")
                .starts_with("2022-02,2021/22,live,true,3595,20,179.75,"),
            "{csv}"
        );
    });
}

#[test]
fn quality_stands_beside_every_figure_and_says_no_more_than_may_be_told() {
    let surgeries = surgeries();
    World::of(&surgeries).serve(|served| {
        let suppliers = served.rows("/api/v1/quality?from=2022-02-01&to=2022-02-28");
        assert_eq!(suppliers.len(), 2);
        let inps = suppliers.iter().find(|row| row["code"] == "INPS").expect("it");
        assert_eq!((&inps["score"], &inps["mode_of"]), (&100.0.into(), &0.into()));
        assert_eq!(inps["mode_never_sent"], inps["appointments"]);
        let emis = suppliers.iter().find(|row| row["code"] == "EMIS").expect("it");
        assert_eq!((&emis["category"], &emis["mode_never_sent"]), (&33.into(), &0.into()));
        let practice = &served.rows("/api/v1/quality?level=practice&code=J81007&from=2022-02-01&to=2022-02-28")[0];
        assert_eq!((&practice["supplier"], &practice["category"]), (&"EMIS".into(), &35.into()));
        let all = rounded_to_five(surgeries[7].appointments);
        near(&practice["score"], ((100.0 * (1.0 - 35.0 / all / 7.0)) * 10.0).round() / 10.0);
        // An ICB's flaws are those of its practices.
        let dorset = &served.rows("/api/v1/quality?level=icb&code=QVV&from=2022-02-01&to=2022-02-28")[0];
        let of = |holds: &dyn Fn(&Surgery) -> i64| -> i64 {
            surgeries.iter().filter(|it| it.icb.0 == "QVV").map(holds).sum()
        };
        assert_eq!(dorset["appointments"], of(&|it| it.appointments));
        assert_eq!((&dorset["category"], &dorset["category_of"]), (&33.into(), &dorset["appointments"]));
        // Beside a day's figure, a month's, and a comparison.
        let path = "/api/v1/aggregates/practice_day?level=practice&code=J81007&from=2022-02-01&to=2022-02-01";
        assert_eq!(served.rows(path)[0]["quality_score"], practice["score"]);
        let path = "/api/v1/aggregates/practice_month?level=practice&code=J81007&from=2022-02-01&to=2022-02-28";
        assert_eq!(served.rows(path)[0]["quality_score"], practice["score"]);
        let path = "/api/v1/variation?measure=dna_share&practice=J81007";
        assert_eq!(served.rows(path)[0]["quality_score"], practice["score"]);
        let path = "/api/v1/aggregates/activity?level=england&from=2022-02-01&to=2022-02-01";
        assert!(served.rows(path)[0]["quality_score"].as_f64() > Some(99.9));
        let summary = served.json("/api/v1/summary");
        assert_eq!(summary["day"], "2022-02-01");
        assert!(summary["england"]["day"]["quality_score"].as_f64() > Some(99.9));
        let (_, page) = served.get("/");
        assert!(page.contains("Data quality, of 100") && page.contains("not scored"));
    });
}
