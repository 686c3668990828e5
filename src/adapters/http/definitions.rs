//! `/definitions` and `/api/v1/definitions`: what the figures mean, from `docs/figures.md`.

use std::sync::LazyLock;

use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{Asked, Nothing};
use super::page;
use super::problem::Told;

const TEXT: &str = include_str!("../../../docs/figures.md");

/// A part of the text under a heading of the second level.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Definition {
    /// Made of the title: `per-working-weekday-and-seasons`.
    pub id: String,
    pub title: String,
    pub html: String,
}

/// What the figures mean.
#[derive(Debug, Serialize, ToSchema)]
pub struct DefinitionsAnswer {
    /// In the order of the text.
    #[schema(value_type = Vec<Definition>)]
    definitions: &'static [Definition],
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| read(TEXT));

/// What the figures mean, section by section; `/definitions` has it as a page.
#[utoipa::path(
    get,
    path = "/api/v1/definitions",
    tag = "figures",
    responses(
        (status = 200, description = "The sections.", body = DefinitionsAnswer, headers(("etag" = String))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "There are no parameters.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn definitions(Asked(Nothing {}): Asked<Nothing>) -> Json<DefinitionsAnswer> {
    Json(DefinitionsAnswer {
        definitions: &DEFINITIONS,
    })
}

pub async fn page() -> Response {
    let headers = page::headers("public, max-age=300");
    (headers, Html(page::definitions(&DEFINITIONS))).into_response()
}

/// Sections by headings of the second level; what comes before the first is one called "In general".
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "events of Markdown that are neither headings nor links stay as they are"
)]
fn read(text: &str) -> Vec<Definition> {
    let mut sections = vec![("In general".to_owned(), Vec::new())];
    let mut heading: Option<HeadingLevel> = None;
    let mut is_outside = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { level, .. }) if level <= HeadingLevel::H2 => {
                heading = Some(level);
                if level == HeadingLevel::H2 {
                    sections.push((String::new(), Vec::new()));
                }
            }
            Event::End(TagEnd::Heading(level)) if level <= HeadingLevel::H2 => heading = None,
            Event::Text(text) | Event::Code(text) if heading.is_some() => {
                if let (Some(HeadingLevel::H2), Some((title, _))) = (heading, sections.last_mut()) {
                    title.push_str(&text);
                }
            }
            _ if heading.is_some() => {}
            // Other documents are not served.
            Event::Start(Tag::Link { dest_url, .. }) if !dest_url.starts_with("http") => {
                is_outside = true;
            }
            Event::End(TagEnd::Link) if is_outside => is_outside = false,
            event => {
                if let Some((_, events)) = sections.last_mut() {
                    events.push(event);
                }
            }
        }
    }
    let made = sections.into_iter().map(|(title, events)| {
        let mut html = String::new();
        html::push_html(&mut html, events.into_iter());
        // What is wider than the screen is scrolled, also by the keyboard.
        let html = html
            .replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>")
            .replace("</table>", "</table></div>");
        let id = identifier(&title);
        Definition { id, title, html }
    });
    made.collect()
}

fn identifier(title: &str) -> String {
    let words = title
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_cut_at_headings_and_keep_no_link_to_what_is_not_served() {
        let text = "# Top\nfirst\n\n## One, *two*\na [b](c.md) [d](https://e)\n\n## Three\n\n|x|\n|-|\n|y|\n";
        let read = read(text);
        let ids: Vec<&str> = read.iter().map(|it| &*it.id).collect();
        assert_eq!(ids, ["in-general", "one-two", "three"]);
        assert_eq!(read[0].html, "<p>first</p>\n");
        assert_eq!(read[1].html, "<p>a b <a href=\"https://e\">d</a></p>\n");
        assert!(read[2].html.contains("<td>y</td>") && read[2].html.contains("tabindex"));
    }
}
