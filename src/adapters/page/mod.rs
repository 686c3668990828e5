//! The page: today's figures as tables without any script, and the frame in which a script shows all views.

pub mod assets;
mod parts;

use std::sync::LazyLock;

use axum::http::HeaderName;
use axum::http::header;

use super::http::App;
use super::http::definitions::Definition;
use super::http::summary::Summary;
use crate::domain::aggregate::Dimension;
use parts::{bars, count, days, dispositions, each, places, quality, score, share, watermarks};

/// Only a page without script is loaded anew: with one, figures come by themselves.
const REFRESH: &str = "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>";
const PAUSE: &str =
    "<noscript> · refreshes every 5 seconds · <a href=\"?refresh=off\">Pause</a></noscript>";
const RESUME: &str = "<noscript> · paused · <a href=\"/\">Resume</a></noscript>";

/// What the page may do: nothing is fetched from elsewhere, and nothing written into it is run.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'self'{}; style-src 'self'{}; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        assets::sources(assets::SCRIPT),
        assets::sources(assets::STYLE),
    )
});

/// Views in the order of the menu: the name in an address, and what it is called.
const VIEWS: [(&str, &str); 9] = [
    ("now", "Now"),
    ("activity", "Activity"),
    ("capacity", "Capacity"),
    ("forward", "Forward look"),
    ("season", "Season"),
    ("variation", "Variation"),
    ("quality", "Data quality"),
    ("ledger", "Ledger"),
    ("publication", "Publication"),
];

/// Headers of every document.
#[must_use]
pub fn headers(caching: &'static str) -> [(HeaderName, &'static str); 4] {
    [
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, &POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}

/// The page as it refreshes itself.
#[must_use]
pub fn render(app: &App, summary: &Summary) -> String {
    let England { title, figures } = england(summary);
    let reasons = (app.reasons)();
    let status = if reasons.is_empty() {
        "<span id=\"status\" class=\"ok\">ready</span>".to_owned()
    } else {
        format!(
            "<span id=\"status\" class=\"wait\">not ready: {}</span>",
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
    let menu = each(VIEWS, |(name, title)| {
        format!("<li><a href=\"/?view={name}\" data-view=\"{name}\">{title}</a></li>")
    });
    format!(
        "{head}<body>\
         <a class=\"skip\" href=\"#main\">Skip to the figures</a>\
         <header class=\"top\"><div class=\"in\"><p class=\"name\"><a href=\"/\">GP appointments in England, live</a></p>\
         <p class=\"state\">Clock <time id=\"clock\" datetime=\"{now}\"><strong>{clock}</strong></time> · <span id=\"as-of\">{as_of}</span> · {status}{PAUSE}</p>\
         <p class=\"theme\" id=\"theme\"></p></div></header>\
         <nav class=\"views\" aria-label=\"Views\"><div class=\"in\"><ul>{menu}</ul></div></nav>\
         <div id=\"connection\" role=\"status\" class=\"in\"></div>\
         <div id=\"context\" class=\"in\"></div>\
         <main id=\"main\" class=\"in\" tabindex=\"-1\">{banner}{reading}\
         <noscript><p class=\"note\">Without JavaScript this page has the figures of today and the month; the <a href=\"/api/v1/aggregates\">API</a> has all others.</p></noscript>\
         <div id=\"view\"><h1>GP appointments in England, live</h1><p class=\"lead\">What general practices offered, booked and delivered, from the four suppliers’ appointment systems: categorised, reconciled and added up within seconds, each record counted exactly once.</p>\
         <section aria-labelledby=\"h-england\"><h2 id=\"h-england\">{title}</h2>{figures}</section>\
         <section aria-labelledby=\"h-days\"><h2 id=\"h-days\">Appointments by day, {month}</h2>{days}{finality}</section>\
         <section aria-labelledby=\"h-places\"><h2 id=\"h-places\">Regions and integrated care boards</h2>{places}</section>\
         <section aria-labelledby=\"h-quality\"><h2 id=\"h-quality\">Quality of the data, {month}</h2>{quality}</section>\
         <section aria-labelledby=\"h-records\"><h2 id=\"h-records\">What became of every record</h2>{records}</section>\
         <section aria-labelledby=\"h-marks\"><h2 id=\"h-marks\">How far each supplier is</h2>{marks}</section></div>\
         </main>{FOOTER}</body></html>",
        head = head("GP appointments in England, live", REFRESH, true),
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

const FOOTER: &str = "<footer><div class=\"in\"><p><a href=\"/definitions\">What the figures mean</a> · <a href=\"/metrics\">Metrics</a> · <a href=\"/readyz\">Readiness</a> · \
     <a href=\"/api/v1/summary\">Summary (JSON)</a> · <a href=\"/api/v1/aggregates\">Aggregates (JSON)</a> · <a href=\"/api/v1/ledger\">Ledger (JSON)</a></p>\
     <p>An appointment is counted once its start has passed, if it was booked and not cancelled. Shares are of all appointments counted, those of unknown status, mode or type included. \
     Volumes are not demand; a long wait may be a patient’s choice; coding varies between practices.</p></div></footer>";

/// The document's head; modules are named beforehand, so that they are not found one after the other.
fn head(title: &str, more: &str, has_views: bool) -> String {
    let version = assets::version();
    let parts = each(assets::ASSETS, |asset| {
        let path = format!("/assets/{version}/{}", asset.name);
        match asset.name {
            _ if assets::is_inline(asset) => {
                let tag = if asset.kind == assets::STYLE {
                    "style"
                } else {
                    "script"
                };
                let text = str::from_utf8(asset.bytes).unwrap_or_default();
                format!("<{tag}>{text}</{tag}>")
            }
            _ if !has_views || asset.kind != assets::SCRIPT => String::new(),
            "uPlot.iife.min.js" => format!("<script src=\"{path}\" defer></script>"),
            "app.js" => format!("<script type=\"module\" src=\"{path}\"></script>"),
            _ => format!("<link rel=\"modulepreload\" href=\"{path}\">"),
        }
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{more}\
         <title>{title}</title><link rel=\"icon\" href=\"data:,\">{parts}</head>"
    )
}

/// The document of all definitions.
#[must_use]
pub fn definitions(definitions: &[Definition]) -> String {
    let contents = each(definitions, |it| {
        format!("<li><a href=\"#{}\">{}</a></li>", it.id, escaped(&it.title))
    });
    let sections = each(definitions, |it| {
        let (id, title) = (&it.id, escaped(&it.title));
        let html = &it.html;
        format!(
            "<section class=\"text\" aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2>{html}</section>"
        )
    });
    format!(
        "{head}<body><a class=\"skip\" href=\"#main\">Skip to the definitions</a>\
         <header class=\"top\"><div class=\"in\"><p class=\"name\"><a href=\"/\">GP appointments in England, live</a></p><p class=\"theme\" id=\"theme\"></p></div></header>\
         <main id=\"main\" class=\"in\" tabindex=\"-1\"><h1>What the figures mean</h1><nav aria-label=\"On this page\"><ul>{contents}</ul></nav>{sections}</main>{FOOTER}</body></html>",
        head = head(
            "What the figures mean: GP appointments in England, live",
            "",
            false
        ),
    )
}

/// The same page, not refreshing itself.
#[must_use]
pub fn still(page: &str) -> String {
    page.replacen(REFRESH, "", 1).replacen(PAUSE, RESUME, 1)
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
