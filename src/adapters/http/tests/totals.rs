//! Rows added up, and the places that they are of.

use super::world::{World, releases, surgeries};

const MONTH: &str = "from=2022-02-01&to=2022-02-28";

#[test]
fn rows_add_up_over_days_places_and_dimensions() {
    let surgeries = surgeries();
    World::of(&surgeries).serve(|served| {
        let totals = |path: &str| served.rows(&format!("/api/v1/totals/{path}"));
        let count = |row: &serde_json::Value| row["figures"]["appointments"].as_i64();

        let dorset = totals(&format!("activity?level=icb&code=QVV&{MONTH}"));
        assert_eq!(dorset.len(), 1);
        assert_eq!(count(&dorset[0]), Some(379_052 + 37_905));
        assert_eq!(
            dorset[0]["window"],
            serde_json::json!(["2022-02-01", "2022-03-01"])
        );
        assert_eq!(dorset[0]["published"]["finality"], "final");

        let days = totals("activity?level=icb&code=QVV&from=2022-02-01&to=2022-03-04&per=day");
        let of_days: Vec<_> = days.iter().map(count).collect();
        assert_eq!(of_days, [Some(379_052), Some(37_905), Some(800)]);
        let months = totals(
            "activity?level=icb&code=QVV&from=2022-02-01&to=2022-03-04&per=month&by=mode,status",
        );
        assert_eq!(months.len(), 2);
        assert_eq!(count(&months[0]), Some(379_052 + 37_905));
        assert_eq!(months[1]["window"][0], "2022-03-01");
        assert_eq!(months[0]["dimensions"]["mode"], "Telephone");

        // The aggregate has practices alone: those of the sub-ICB are added up, exactly.
        let by_status = totals(&format!(
            "practice_month?level=sub_icb&code=11J&by=status&{MONTH}"
        ));
        let dna: i64 = surgeries
            .iter()
            .filter(|it| it.sub_icb == "11J")
            .map(|it| it.dna)
            .sum();
        let found = (by_status.iter()).find(|row| row["dimensions"]["status"] == "DNA");
        assert_eq!(found.and_then(count), Some(dna));
        let ratio = totals(&format!("capacity?level=england&{MONTH}"));
        assert!(ratio.is_empty(), "nothing was written of it");
    });
}

#[test]
fn finer_than_a_sub_icb_sums_are_told_as_counts_are() {
    let surgeries = surgeries();
    World::of(&surgeries).serve(|served| {
        let totals = |path: &str| served.rows(&format!("/api/v1/totals/{path}&{MONTH}"));
        let devon = totals("practice_day?level=practice&parent=QJK");
        assert_eq!(devon.len(), 5);
        let told = |row: &serde_json::Value| row["figures"]["appointments"].clone();
        assert_eq!(told(&devon[0]), 3_000);
        let small = totals("practice_day?level=practice&code=J81000");
        assert!(told(&small[0]).is_null(), "{}", small[0]);
        // 412 appointments: the nearest five.
        assert_eq!(
            told(&totals("practice_day?level=practice&code=J81003")[0]),
            410
        );
        // Its PCN has no other practice, and the sum over practices is told as a PCN's.
        let pcn = totals("practice_month?level=pcn&code=U00001");
        assert_eq!(pcn.len(), 1);
        assert_eq!(told(&pcn[0]), 3_500);
        let exact: i64 = (surgeries.iter().filter(|it| it.pcn == "U00002"))
            .map(|it| it.appointments)
            .sum();
        let pcn = totals("practice_month?level=pcn&code=U00002");
        assert_eq!(told(&pcn[0]), (exact + 2) / 5 * 5);
        assert_eq!(pcn[0]["name"], "=A PCN");
        let path =
            format!("/api/v1/totals/practice_month?level=pcn&code=U00002&{MONTH}&format=csv");
        let (_, csv) = served.get(&path);
        assert!(csv.contains(",U00002,'=A PCN,"), "{csv}");
        let (_, csv) = served.get(&format!(
            "/api/v1/totals/practice_day?level=practice&parent=QJK&by=status&{MONTH}&format=csv"
        ));
        let mut lines = csv.lines();
        assert_eq!(
            lines.next(),
            Some("level,code,name,window_start,window_end,status,appointments,as_of,revision,finality,quality_score")
        );
        let first = lines.next().unwrap_or_default();
        assert!(
            first.starts_with("practice,L83000,SURGERY L83000,2022-02-01,2022-03-01,Attended,3000,"),
            "{first}"
        );
    });
}

#[test]
fn what_cannot_be_added_up_is_refused_with_what_could_be() {
    World::of(&surgeries()).serve(|served| {
        let cases = [
            (
                "activity?by=colour",
                400,
                "status, hcp_type, mode, waiting_band",
            ),
            ("activity?by=mode,mode", 400, "twice"),
            ("activity?level=practice", 400, "sub_icb"),
            ("activity?per=hour", 400, "period, day, week, month"),
            ("two_week?per=day", 400, "by month"),
            ("activity?from=2022-02-30", 400, "from"),
            ("activity?from=2022-02-02&to=2022-02-01", 400, "before"),
            ("pressure", 400, "/api/v1/aggregates/pressure"),
            ("nothing", 404, "activity"),
        ];
        for (path, status, part) in cases {
            let (found, body) = served.get(&format!("/api/v1/totals/{path}"));
            assert_eq!(found, status, "{path}: {body}");
            assert!(body.contains(part), "{path}: {body}");
        }
    });
}

#[test]
fn places_are_found_by_name_code_and_parent() {
    World::of(&surgeries()).serve(|served| {
        let found = |query: &str| -> Vec<String> {
            let rows = served.rows(&format!("/api/v1/places?{query}"));
            let code = |row: &serde_json::Value| row["code"].as_str().map(str::to_owned);
            rows.iter().filter_map(code).collect()
        };
        assert_eq!(found("q=l8300&limit=2"), ["L83000", "L83001"]);
        assert_eq!(found("q=surg%20j81029"), ["J81029"]);
        assert_eq!(found("parent=E92000001"), ["Y58"]);
        assert_eq!(found("parent=QVV"), ["11J"]);
        assert_eq!(found("parent=U00009").len(), 5);
        assert_eq!(found("parent=QVV&level=pcn").len(), 3);
        assert_eq!(found("level=england"), ["E92000001"]);
        assert_eq!(found("code=J81006"), ["J81006"]);
        assert_eq!(found("q=nowhere"), Vec::<String>::new());
        let row = &served.rows("/api/v1/places?code=J81006")[0];
        assert_eq!(
            (&row["pcn_code"], &row["icb_code"], &row["region_name"]),
            (&"U00002".into(), &"QVV".into(), &"South West".into())
        );
        assert_eq!(row["registered_patients"], 8_600);
        let (status, _) = served.get("/api/v1/places?limit=0");
        assert_eq!(status, 400);
    });
}

#[test]
fn the_page_is_loaded_in_parts_that_are_kept_for_good() {
    World::of(&surgeries()).serve(|served| {
        let (_, page) = served.get("/");
        let parts: Vec<&str> = (page.split('"'))
            .filter(|part| part.starts_with("/assets/"))
            .collect();
        assert!(parts.len() > 10, "{parts:?}");
        for part in parts {
            assert_eq!(served.get(part).0, 200, "{part}");
        }
        assert_eq!(served.get("/assets/0123456789abcdef/app.js").0, 404);
        let definitions = served.json("/api/v1/definitions");
        let all = definitions["definitions"].as_array().expect("definitions");
        let (_, document) = served.get("/definitions");
        for one in all {
            let id = one["id"].as_str().expect("an id");
            assert!(document.contains(&format!("id=\"{id}\"")), "{id}");
        }
        // Every panel names a section that there is.
        for asset in super::super::page::assets::ASSETS {
            let text = String::from_utf8_lossy(asset.bytes);
            for named in text.split("definition: \"").skip(1) {
                let id = named.split('"').next().unwrap_or_default();
                let is_there = all.iter().any(|one| one["id"] == id);
                assert!(is_there, "{}: no definition {id}", asset.name);
            }
        }
    });
}

#[test]
fn releases_are_offered_with_the_files_that_they_name_and_no_other() {
    let folder = releases(&[1]);
    std::fs::create_dir_all(folder.path().join("releases/release-0002")).expect("a folder");
    std::fs::write(folder.path().join("secret"), "s").expect("written");
    let world = World::of(&surgeries());
    world.serve(|served| {
        let told = served.json("/api/v1/releases");
        assert_eq!(told["is_configured"], false);
        assert_eq!(served.get("/releases/1/2022-02/daily.csv").0, 404);
    });
    world.serve_with(Some(folder.path().to_owned()), |served| {
        let told = served.json("/api/v1/releases");
        let rows = told["rows"].as_array().expect("rows");
        // The second has no manifest yet: it is none.
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["appointments"], &rows[0]["is_compared"]),
            (&7.into(), &true.into())
        );
        let (_, csv) = served.get("/api/v1/releases?format=csv");
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "release,months,as_of,made_at,made_by,appointments,is_compared,path,bytes,rows,sha256",
                "1,2022-02,,2022-03-03T10:00:00Z,a test,7,true,2022-02/daily.csv,4,1,00ff"
            ]
        );
        let made = |at: &str| served.rows(&format!("/api/v1/releases?as_known_at={at}")).len();
        assert_eq!(
            [made("2022-03-03T09:59Z"), made("2022-03-03T10:00Z")],
            [0, 1]
        );
        let file = |path: &str| served.get(&format!("/releases/{path}"));
        assert_eq!(file("1/2022-02/daily.csv"), (200, "a\nb\n".to_owned()));
        assert_eq!(file("1/release.json").0, 200);
        for other in [
            "1/2022-02/other.csv",
            "1/../../secret",
            "1/..%2F..%2Fsecret",
            "2/release.json",
            "3/release.json",
            "1/2022-02",
        ] {
            assert_eq!(file(other).0, 404, "{other}");
        }
    });
}
