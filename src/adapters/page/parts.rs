//! The page's tables and bars.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{date, escaped, moment};
use crate::adapters::http::App;
use crate::adapters::http::summary::{Block, Summary, of};
use crate::domain::disposition::Disposition;
use crate::domain::time::Timestamp;
use crate::domain::topic::SupplierTopic;

/// Each item's text, one after the other.
pub fn each<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    let mut all = String::new();
    for item in items {
        all.push_str(&text(item));
    }
    all
}

/// With separators of thousands.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "−" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In per cent; a dash where nothing is counted.
pub fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// A score of the data's quality, from 0 to 100; a dash where nothing is known of it.
pub fn score(score: Option<f64>) -> String {
    score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}"))
}

/// Values of one dimension: the day's count, its bar, and the month's share.
pub fn bars(
    day: &BTreeMap<&'static str, i64>,
    month: &BTreeMap<&'static str, i64>,
    labels: &[&'static str],
) -> String {
    let (all_day, all_month) = (day.values().sum::<i64>(), month.values().sum::<i64>());
    let part = |count: i64, all: i64| (all > 0).then(|| count as f64 / all as f64);
    let mut rows = String::new();
    for label in labels {
        let (today, so_far) = (of(day, label), of(month, label));
        let width = part(today, all_day).unwrap_or(0.0) * 100.0;
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"bar\"><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{width:.1}\" height=\"10\"/></svg></td><td>{}</td><td class=\"sub\">{}</td></tr>",
            shown(label),
            count(today),
            share(part(today, all_day)),
            share(part(so_far, all_month)),
        );
    }
    format!(
        "<table class=\"bars\"><thead><tr><th scope=\"col\"><span class=\"vh\">Value</span></th><th scope=\"col\">Day</th><td></td><th scope=\"col\">Share</th><th scope=\"col\">Month</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

/// Published labels have double spaces; a page shows one.
fn shown(label: &str) -> String {
    escaped(&label.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Slots of the day and the month.
pub fn capacity(summary: &Summary) -> String {
    let blocks: [&Block; 2] = [&summary.england.day, &summary.england.month];
    if blocks.iter().all(|block| block.capacity.is_empty()) {
        return String::new();
    }
    let kinds = [
        ("Offered", "offered"),
        ("Booked", "booked"),
        ("Attended", "attended"),
        ("Did not attend", "dna"),
        ("Unused", "unused"),
    ];
    let mut rows = String::new();
    for (name, kind) in kinds {
        let figures = blocks.iter().flat_map(|block| {
            ["slots", "minutes"].map(|unit| of(&block.capacity, &format!("{unit}_{kind}")))
        });
        let cells = each(figures, |figure| format!("<td>{}</td>", count(figure)));
        let _ = write!(rows, "<tr><th scope=\"row\">{name}</th>{cells}</tr>");
    }
    format!(
        "<div class=\"card\"><h3>Capacity</h3><table><thead><tr><td></td><th scope=\"colgroup\" colspan=\"2\">Day</th><th scope=\"colgroup\" colspan=\"2\">Month so far</th></tr>\
         <tr><td></td><th scope=\"col\">Slots</th><th scope=\"col\">Minutes</th><th scope=\"col\">Slots</th><th scope=\"col\">Minutes</th></tr></thead><tbody>{rows}</tbody></table>\
         <p class=\"note\">All of the day’s slots, also those to come.</p></div>"
    )
}

/// The month's days as columns.
pub fn days(summary: &Summary) -> String {
    const HEIGHT: f64 = 120.0;
    const STEP: usize = 24;
    let most = summary
        .days
        .iter()
        .map(|day| day.appointments)
        .max()
        .unwrap_or(0)
        .max(1);
    let mut columns = String::new();
    for (at, day) in summary.days.iter().enumerate() {
        let height = day.appointments as f64 / most as f64 * HEIGHT;
        let class = if day.day == summary.day {
            " class=\"now\""
        } else {
            ""
        };
        let number = day
            .day
            .rsplit('-')
            .next()
            .unwrap_or_default()
            .trim_start_matches('0');
        let x = at * STEP;
        let _ = write!(
            columns,
            "<g{class}><title>{}: {}</title><rect x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{height:.1}\"/><text x=\"{}\" y=\"{}\">{number}</text></g>",
            date(&day.day),
            count(day.appointments),
            x + 2,
            HEIGHT + 4.0 - height,
            STEP - 4,
            x + STEP / 2,
            HEIGHT + 18.0,
        );
    }
    let width = summary.days.len() * STEP;
    let peak = summary.days.iter().max_by_key(|day| day.appointments);
    let told = peak.map_or_else(String::new, |day| {
        format!(
            "busiest day so far {} with {}",
            date(&day.day),
            count(day.appointments)
        )
    });
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Appointments by day\"><svg class=\"days\" viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"Appointments by day, {told}\">{columns}</svg></div><p class=\"note\">The {told}.</p>",
        HEIGHT + 24.0
    )
}

/// Regions with their ICBs.
pub fn places(summary: &Summary) -> String {
    let mut rows = String::new();
    let england = std::iter::once(&summary.england);
    for place in england.chain(&summary.places) {
        let name = if place.name.is_empty() {
            &place.code
        } else {
            &place.name
        };
        let cells = [
            count(place.day.appointments),
            count(place.month.appointments),
            share(place.month.dna_rate()),
            share(place.month.same_day()),
            share(place.month.face_to_face()),
            share(place.month.by_gp()),
            share(place.month.utilisation()),
            score(place.month.quality_score),
        ];
        let cells = each(cells, |cell| format!("<td>{cell}</td>"));
        let _ = write!(
            rows,
            "<tr class=\"{}\"><th scope=\"row\">{}</th>{cells}</tr>",
            place.level,
            escaped(&titled(name))
        );
    }
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-places\"><table class=\"places\"><thead><tr><td></td><th scope=\"col\">Day</th><th scope=\"col\">Month</th><th scope=\"col\">Did not attend</th><th scope=\"col\">Same day</th>\
         <th scope=\"col\">Face to face</th><th scope=\"col\">With a GP</th><th scope=\"col\">Minutes booked</th><th scope=\"col\">Data quality</th></tr></thead><tbody>{rows}</tbody></table></div><p class=\"note\">Shares are of the month so far; the quality of the data behind them is a score from 0 to 100 (below).</p>"
    )
}

/// Names of the register are in capitals, or carry the level that the table says anyway.
fn titled(name: &str) -> String {
    const SMALL: [&str; 6] = ["and", "of", "the", "on", "in", "upon"];
    let name = name.strip_prefix("NHS ").unwrap_or(name);
    let name = name
        .strip_suffix(" INTEGRATED CARE BOARD")
        .or(name.strip_suffix(" Integrated Care Board"))
        .unwrap_or(name);
    let name = name.strip_suffix(" COMMISSIONING REGION").unwrap_or(name);
    if name.chars().any(char::is_lowercase) {
        return name.to_owned();
    }
    let word = |(at, word): (usize, &str)| {
        let lower = word.to_lowercase();
        if at > 0 && SMALL.contains(&lower.as_str()) {
            return lower;
        }
        let mut after = true;
        lower
            .chars()
            .map(|letter| {
                let starts =
                    std::mem::replace(&mut after, !letter.is_alphabetic() && letter != '\'');
                if starts {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
            .collect()
    };
    name.split(' ')
        .enumerate()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Counts of what is wrong or missing in the data, beside the appointments they are of.
pub fn quality(summary: &Summary) -> String {
    let columns = [
        ("Appointments", "appointments"),
        ("Unmapped", "unmapped"),
        ("Inconsistent", "inconsistent"),
        ("Status unknown", "unknown_status"),
        ("Mode unknown", "unknown_mode"),
        ("Type unknown", "unknown_hcp"),
        ("Wait unknown", "unknown_wait"),
        ("Booked after", "booked_after_appointment"),
        ("Times reversed", "times_reversed"),
        ("Contradictions", "contradictions"),
        ("Unbooked consultations", "unbooked_consultations"),
    ];
    let head = each(columns, |(name, _)| {
        format!("<th scope=\"col\">{name}</th>")
    });
    let mut rows = String::new();
    for quality in &summary.quality {
        let cells = each(columns, |(_, key)| {
            format!("<td>{}</td>", count(of(&quality.figures, key)))
        });
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td>{cells}</tr>",
            escaped(&quality.supplier),
            score(quality.score),
        );
    }
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-quality\"><table><thead><tr><th scope=\"col\">Supplier</th><th scope=\"col\">Score</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>\
             <p class=\"note\">The score, from 0 to 100, is the mean share without flaw in category, status, mode, type of professional and wait, and of consultations that contradict or have no appointment. \
             INPS sends no mode: it is unknown in all of its appointments, and not scored. <a href=\"/api/v1/quality\">By supplier and day (JSON)</a></p>"
    )
}

/// By topic: records, their dispositions, and why some were withheld or rejected.
pub fn dispositions(app: &App) -> String {
    const COLUMNS: [(&str, &str); 8] = [
        ("Accepted", "accepted"),
        ("Unchanged", "unchanged"),
        ("Duplicate", "duplicate"),
        ("Conflicting", "conflicting"),
        ("Superseded", "superseded"),
        ("Pending", "pending"),
        ("Withheld", "withheld"),
        ("Rejected", "rejected"),
    ];
    let state = app.figures.read();
    let ledger = &state.ledger;
    let head = each(COLUMNS, |(name, _)| {
        format!("<th scope=\"col\">{name}</th>")
    });
    let mut rows = String::new();
    for topic in SupplierTopic::ALL {
        let of_topic: Vec<(Disposition, i64)> = ledger
            .counts
            .entries()
            .filter(|(of, ..)| *of == topic)
            .map(|(_, end, records)| (end, records))
            .collect();
        let sum = |label: &str| {
            of_topic
                .iter()
                .filter(|(end, _)| end.label() == label)
                .map(|(_, records)| records)
                .sum::<i64>()
        };
        let cells = each(COLUMNS, |(_, label)| {
            format!("<td>{}</td>", count(sum(label)))
        });
        let reasons: Vec<String> = of_topic
            .iter()
            .filter_map(|(end, records)| {
                Some(format!(
                    "{} {}",
                    end.reason()?.replace('_', " "),
                    count(*records)
                ))
            })
            .collect();
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{topic}</th><td>{}</td>{cells}<td class=\"why\">{}</td></tr>",
            count(ledger.topic(topic).offsets),
            escaped(&reasons.join(", "))
        );
    }
    let sums = if ledger.adds_up() {
        "<span class=\"ok\">Every record read ended in exactly one of these.</span>"
    } else {
        "<span class=\"wait\">The dispositions do not add up to the records read.</span>"
    };
    format!(
        "<p>{sums} {} records in {} transactions since the first start.</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-records\"><table><thead><tr><th scope=\"col\">Topic</th><th scope=\"col\">Records</th>{head}<th scope=\"col\" class=\"why\">Reasons</th></tr></thead><tbody>{rows}</tbody></table></div>",
        count(ledger.counts.total()),
        count(ledger.transactions.cast_signed()),
    )
}

/// By supplier, and how much is waiting.
pub fn watermarks(app: &App) -> String {
    let mut rows = String::new();
    for (supplier, behind, ahead) in app.metrics.watermarks() {
        let at = |millis| moment(&Timestamp(millis).to_rfc3339());
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            supplier.label(),
            at(behind),
            at(ahead)
        );
    }
    format!(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Supplier</th><th scope=\"col\">Everything up to</th><th scope=\"col\">Newest record</th></tr></thead><tbody>{rows}</tbody></table></div>\
         <p class=\"note\">Of this instance’s tasks: the watermark of the one furthest behind, and the newest record of all. {} records wait to be read.</p>",
        count(app.metrics.lag()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (25_355_260, "25,355,260"),
            (-1_234, "−1,234"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
        assert_eq!(
            (share(None), share(Some(0.0456))),
            ("–".to_owned(), "4.6%".to_owned())
        );
    }

    #[test]
    fn names_are_shown_without_what_the_table_says_anyway() {
        let cases = [
            (
                "NHS BATH AND NORTH EAST SOMERSET, SWINDON AND WILTSHIRE INTEGRATED CARE BOARD",
                "Bath and North East Somerset, Swindon and Wiltshire",
            ),
            ("NHS Dorset Integrated Care Board", "Dorset"),
            ("EAST OF ENGLAND COMMISSIONING REGION", "East of England"),
            ("STOKE-ON-TRENT", "Stoke-On-Trent"),
        ];
        for (name, shown) in cases {
            assert_eq!(titled(name), shown);
        }
    }
}
