//! What the reader of cells takes, and what it refuses.

use super::*;

const ICB: &str = "icb_ons_code,appointment_month,appointment_status,hcp_type,appointment_mode,\
    time_between_book_and_appointment,count_of_appointments\n";
const REGIONAL: &str = "CCG_CODE,CCG_ONS_CODE,CCG_NAME,STP_ONS,STPNM,REGION_ONS_CODE,REGION_NAME,\
    Appointment_Month,APPT_STATUS,HCP_TYPE,APPT_MODE,TIME_BETWEEN_BOOK_AND_APPT,COUNT_OF_APPOINTMENTS\n";
const DEVON: &str = "15N,E38000230,NHS Devon CCG,E54000037,Devon  STP,E40000006,South West";

fn parse(header: &str, rows: &[&str], month: &str) -> Result<Cells, Error> {
    let text = format!("{header}{}\n", rows.join("\n"));
    let month = Month::parse(month).expect("a month");
    Cells::parse(Path::new("cells.csv"), text.as_bytes(), month)
}

#[test]
fn a_wrong_line_is_named_with_its_number_and_value() {
    let sound = "E54000008,2022-02,Attended,GP,Telephone,1 Day,7";
    let cases = [
        (
            "E54000008,2022-02,Attended,GP,Telephone,1 Day,7.5",
            "the count \"7.5\"",
        ),
        (
            "E54000008,2022-02,Attended,GP,Telephone,1 Day,-7",
            "the count \"-7\"",
        ),
        (
            "E54000008,2022-02,Attended,GP,Telephone,1 Day,",
            "the count \"\"",
        ),
        (
            "E54000008,2022-02,Attended,GP,Telephone,Yesterday,7",
            "\"Yesterday\"",
        ),
        (
            "E54000008,2022-02,Attended,GP,Pigeon,1 Day,7",
            "mode \"Pigeon\"",
        ),
        (
            "E54000008,2022-02,Attended,Vet,Telephone,1 Day,7",
            "HCP type \"Vet\"",
        ),
        (
            "E54000008,2022-02,Late,GP,Telephone,1 Day,7",
            "status \"Late\"",
        ),
        (
            "E54000008,2022-13,Attended,GP,Telephone,1 Day,7",
            "month \"2022-13\"",
        ),
        (",2022-02,Attended,GP,Telephone,1 Day,7", "no code"),
        ("E54000008,2022-02,Attended,GP,Telephone", "fields"),
    ];
    for (wrong, problem) in cases {
        let error = parse(ICB, &[sound, wrong, sound], "2022-02").expect_err(wrong);
        assert!(error.is_wrong_use(), "{error}");
        let error = error.to_string();
        assert!(error.starts_with("cells.csv, line 3: "), "{error}");
        assert!(error.contains(problem), "{error}");
    }
    let error = parse("place,count\n", &[], "2022-02")
        .expect_err("a header")
        .to_string();
    assert!(
        error.starts_with("cells.csv, line 1: the header"),
        "{error}"
    );
}

#[test]
fn a_wrong_line_of_another_month_is_an_error_too() {
    let rows = [
        format!("{DEVON},MAR2019,Attended,GP,Telephone,1 Day,7"),
        format!("{DEVON},APR2019,Attended,GP,Telephone,1 Day,x"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let error = parse(REGIONAL, &rows, "2019-03")
        .expect_err("a count")
        .to_string();
    assert!(error.starts_with("cells.csv, line 3: "), "{error}");
}

#[test]
fn a_month_that_is_not_there_is_refused_with_those_that_are() {
    let rows =
        ["APR2019", "MAR2019"].map(|month| format!("{DEVON},{month},DNA,GP,Telephone,1 Day,7"));
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let error = parse(REGIONAL, &rows, "2022-02").expect_err("no such month");
    assert!(error.is_wrong_use());
    let expected = "cells.csv: has no cells of --month 2022-02; it holds 2019-03, 2019-04";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn one_code_has_one_name() {
    let rows = [
        format!("{DEVON},MAR2019,DNA,GP,Telephone,1 Day,7"),
        format!(
            "{},MAR2019,DNA,GP,Telephone,1 Day,7",
            DEVON.replace("Devon CCG", "Devonshire CCG")
        ),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let error = parse(REGIONAL, &rows, "2019-03")
        .expect_err("two names")
        .to_string();
    assert!(
        error.contains("line 3") && error.contains("in line 2"),
        "{error}"
    );
}

#[test]
fn old_labels_and_repeated_cells_add_up() {
    let rows = [
        "E54000008,2022-02,Attended,GP,Telephone,Unknown / Data Issue,7",
        "E54000008,2022-02,Attended,GP,Telephone,Unknown / Data Quality,5",
        "E54000008,2022-02,DNA,GP,Video Conference/Online,8 to 14 Days,2",
        "E54000008,2022-02,DNA,GP,Telephone,1 Day,0",
    ];
    let cells = parse(ICB, &rows, "2022-02").expect("cells");
    let kinds: Vec<(WaitingBand, Mode, u64)> = cells
        .cells
        .iter()
        .map(|cell| (cell.kind.wait, cell.kind.mode, cell.count))
        .collect();
    let expected = [
        (WaitingBand::Unknown, Mode::Telephone, 12),
        (WaitingBand::EightToFourteenDays, Mode::VideoOnline, 2),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(cells.total(), 14);
}

#[test]
fn scaled_cells_keep_the_rounded_total_and_give_what_is_over_to_the_largest_remainders() {
    let rows = [
        "E54000008,2022-02,Attended,GP,Telephone,1 Day,14",
        "E54000008,2022-02,DNA,GP,Telephone,1 Day,19",
        "E54000008,2022-02,Unknown,GP,Telephone,1 Day,3",
    ];
    let cells = parse(ICB, &rows, "2022-02").expect("cells");
    let scaled = |factor| -> Vec<u64> {
        cells
            .scaled(factor)
            .cells
            .iter()
            .map(|cell| cell.count)
            .collect()
    };
    assert_eq!(scaled(0.1), [2, 2]);
    assert_eq!(scaled(0.05), [1, 1]);
    assert_eq!(scaled(2.5), [35, 48, 7]);
    assert_eq!(cells.scaled(1.0), cells);
}
