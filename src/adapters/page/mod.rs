//! The page: one document without script or outside parts, which refreshes itself.

mod parts;

use super::http::App;
use super::http::summary::Summary;
use crate::domain::aggregate::Dimension;
use parts::{bars, count, days, dispositions, each, places, quality, score, share, watermarks};

const STYLE: &str = include_str!("style.css");
const REFRESH: &str = "<meta http-equiv=\"refresh\" content=\"5\">";
const PAUSE: &str = "<a href=\"?refresh=off\">Pause</a>";
const RESUME: &str = "<a href=\"/\">Resume</a>";

/// The page as it refreshes itself.
#[must_use]
pub fn render(app: &App, summary: &Summary) -> String {
    let England { title, figures } = england(summary);
    let reasons = (app.reasons)();
    let status = if reasons.is_empty() {
        "<span class=\"ok\">ready</span>".to_owned()
    } else {
        format!(
            "<span class=\"wait\">not ready: {}</span>",
            escaped(&reasons.join("; "))
        )
    };
    let banner = app.banner.as_ref().map_or_else(String::new, |text| {
        format!("<p class=\"banner\">{}</p>", escaped(text))
    });
    let as_of = summary
        .as_of
        .as_deref()
        .map_or("no data yet".to_owned(), |at| {
            format!("data up to <time datetime=\"{at}\">{}</time>", moment(at))
        });
    let reading = if summary.is_complete {
        ""
    } else {
        "<p class=\"banner\">The committed figures are still being read; what is shown is not complete.</p>"
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{REFRESH}\
         <title>GP appointments in England, live</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body>\
         <a class=\"skip\" href=\"#main\">Skip to the figures</a>\
         <header><div class=\"in\"><h1>GP appointments in England, live</h1>\
         <p>Clock <time datetime=\"{now}\"><strong>{clock}</strong></time> · {as_of} · {status} · refreshes every 5 seconds · {PAUSE}</p></div></header>\
         <main id=\"main\" class=\"in\">{banner}{reading}\
         <p class=\"lead\">What general practices offered, booked and delivered, from the four suppliers’ appointment systems: categorised, reconciled and added up within seconds, each record counted exactly once.</p>\
         <section aria-labelledby=\"h-england\"><h2 id=\"h-england\">{title}</h2>{figures}</section>\
         <section aria-labelledby=\"h-days\"><h2 id=\"h-days\">Appointments by day, {month}</h2>{days}{finality}</section>\
         <section aria-labelledby=\"h-places\"><h2 id=\"h-places\">Regions and integrated care boards</h2>{places}</section>\
         <section aria-labelledby=\"h-quality\"><h2 id=\"h-quality\">Quality of the data, {month}</h2>{quality}</section>\
         <section aria-labelledby=\"h-records\"><h2 id=\"h-records\">What became of every record</h2>{records}</section>\
         <section aria-labelledby=\"h-marks\"><h2 id=\"h-marks\">How far each supplier is</h2>{marks}</section>\
         </main><footer><div class=\"in\"><p><a href=\"/metrics\">Metrics</a> · <a href=\"/readyz\">Readiness</a> · <a href=\"/livez\">Liveness</a> · \
         <a href=\"/api/v1/summary\">Summary (JSON)</a> · <a href=\"/api/v1/aggregates\">Aggregates (JSON)</a> · <a href=\"/api/v1/ledger\">Ledger (JSON)</a> · <a href=\"/api/v1/seasons\">Seasons (JSON)</a> · <a href=\"/api/v1/quality\">Quality (JSON)</a> · <a href=\"/api/v1/variation?measure=dna_share&amp;parent=E92000001&amp;format=csv\">Variation between practices (CSV)</a></p>\
         <p>An appointment is counted once its start has passed, if it was booked and not cancelled. Shares are of all appointments counted, those of unknown status, mode or type included.</p></div></footer></body></html>",
        now = summary.now,
        clock = moment(&summary.now),
        month = month(&summary.month),
        days = days(summary),
        finality = finality(summary),
        places = places(summary),
        quality = quality(summary),
        records = dispositions(app),
        marks = watermarks(app),
    )
}

/// The same page, not refreshing itself.
#[must_use]
pub fn still(page: &str) -> String {
    page.replacen(REFRESH, "", 1)
        .replacen("refreshes every 5 seconds", "paused", 1)
        .replacen(PAUSE, RESUME, 1)
}

struct England {
    title: String,
    figures: String,
}

fn england(summary: &Summary) -> England {
    let (day, month_so_far) = (&summary.england.day, &summary.england.month);
    let named = if summary.day_is_today {
        format!("Today, {}", date(&summary.day))
    } else {
        format!("Latest day with figures, {}", date(&summary.day))
    };
    let cards = [
        (
            "Appointments",
            count(day.appointments),
            count(month_so_far.appointments),
        ),
        (
            "Did not attend",
            share(day.dna_rate()),
            share(month_so_far.dna_rate()),
        ),
        (
            "Same day",
            share(day.same_day()),
            share(month_so_far.same_day()),
        ),
        (
            "Face to face",
            share(day.face_to_face()),
            share(month_so_far.face_to_face()),
        ),
        ("With a GP", share(day.by_gp()), share(month_so_far.by_gp())),
        (
            "Minutes booked of offered",
            share(day.utilisation()),
            share(month_so_far.utilisation()),
        ),
        (
            "Data quality, of 100",
            score(day.quality_score),
            score(month_so_far.quality_score),
        ),
    ];
    let cards = each(cards, |(name, day, month)| {
        format!(
            "<li><span class=\"name\">{name}</span><strong>{day}</strong><span class=\"sub\">{month} this month</span></li>"
        )
    });
    let sets = [
        (
            "Status",
            bars(
                &day.status,
                &month_so_far.status,
                &Dimension::Status.values(),
            ),
        ),
        (
            "Mode",
            bars(&day.mode, &month_so_far.mode, &Dimension::Mode.values()),
        ),
        (
            "Type of professional",
            bars(
                &day.hcp_type,
                &month_so_far.hcp_type,
                &Dimension::HcpType.values(),
            ),
        ),
        (
            "Time from booking",
            bars(
                &day.waiting_band,
                &month_so_far.waiting_band,
                &Dimension::WaitingBand.values(),
            ),
        ),
    ];
    let tables = each(sets, |(name, table)| {
        format!("<div class=\"card\"><h3>{name}</h3>{table}</div>")
    });
    let capacity = parts::capacity(summary);
    England {
        title: format!("England: {named}"),
        figures: format!(
            "<ul class=\"cards\">{cards}</ul><div class=\"grid\">{tables}{capacity}</div>"
        ),
    }
}

fn finality(summary: &Summary) -> String {
    let of = |label: &str| summary.finality.get(label).copied().unwrap_or(0);
    format!(
        "<p class=\"note\">How sure these figures are: of the month’s {} rows for England {} are provisional (records may still be expected), {} final, and {} restated (corrected after they were final). \
         Late records and corrections are always taken in; a figure that changes is published again under the next revision.</p>",
        count((of("provisional") + of("final") + of("restated")).cast_signed()),
        count(of("provisional").cast_signed()),
        count(of("final").cast_signed()),
        count(of("restated").cast_signed()),
    )
}

/// `2022-02-14` as `Monday 14 February 2022`.
fn date(iso: &str) -> String {
    iso.parse::<chrono::NaiveDate>().map_or_else(
        |_| iso.to_owned(),
        |date| date.format("%A %-d %B %Y").to_string(),
    )
}

/// `2022-02` as `February 2022`.
fn month(label: &str) -> String {
    format!("{label}-01")
        .parse::<chrono::NaiveDate>()
        .map_or_else(
            |_| label.to_owned(),
            |date| date.format("%B %Y").to_string(),
        )
}

/// An instant in London's time, to the minute.
fn moment(rfc3339: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(rfc3339).map_or_else(
        |_| rfc3339.to_owned(),
        |at| {
            at.with_timezone(&chrono_tz::Europe::London)
                .format("%a %-d %b %Y, %H:%M")
                .to_string()
        },
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
