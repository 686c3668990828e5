//! Pages of rows: a cursor names the last row told, so that the next page begins behind it whatever has come or gone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::adapters::figures::Mark;

/// Rows of one answer, unless fewer are asked for.
pub const MOST_ROWS: usize = 10_000;

/// Rows of one answer at most.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = u32, minimum = 1, maximum = 10_000, example = 1_000)]
pub struct AskedLimit(usize);

impl TryFrom<String> for AskedLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|it| (1..=MOST_ROWS).contains(it));
        let none = || format!("`{text}` is no number from 1 to {MOST_ROWS}");
        limit.map(Self).ok_or_else(none)
    }
}

/// Which page of an answer's rows.
#[derive(Debug)]
pub struct Paging {
    /// The question, without the page.
    address: String,
    limit: usize,
    after: Option<Mark>,
}

impl Paging {
    /// `question` names everything that decides the rows, with what was left open filled in: the next page is of the same.
    ///
    /// # Errors
    /// A cursor that is none, or of another question.
    pub fn new(
        path: &str,
        question: &[(&str, Option<&str>)],
        limit: Option<AskedLimit>,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in question {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let mut paging = Self {
            address: format!("{path}?{}", query.finish()),
            limit: limit.map_or(MOST_ROWS, |AskedLimit(limit)| limit),
            after: None,
        };
        if let Some(cursor) = cursor {
            let after = paging.read(cursor).ok_or_else(|| {
                Problem::wrong(
                    "cursor: is not of this question; take it from the `next` of an answer",
                )
            })?;
            paging.after = Some(after);
        }
        Ok(paging)
    }

    /// The row behind which the page begins.
    pub fn after(&self) -> Option<&Mark> {
        self.after.as_ref()
    }

    /// The rows of the page, of rows in the order of their marks, and where the next page is.
    pub fn take<T>(&self, rows: impl Iterator<Item = (Mark, T)>) -> (Vec<T>, Option<String>) {
        let after = self.after.as_ref();
        let mut rows = rows.filter(|(mark, _)| after.is_none_or(|after| mark > after));
        let (mut page, mut last) = (Vec::new(), None);
        for (mark, row) in rows.by_ref().take(self.limit) {
            page.push(row);
            last = Some(mark);
        }
        let more = rows.next().is_some();
        (page, last.filter(|_| more).map(|last| self.next(&last)))
    }

    fn next(&self, last: &Mark) -> String {
        let (address, limit, cursor) = (&self.address, self.limit, self.write(last));
        format!("{address}&limit={limit}&cursor={cursor}")
    }

    fn question(&self) -> [u8; 8] {
        xxhash_rust::xxh3::xxh3_64(self.address.as_bytes()).to_le_bytes()
    }

    fn write(&self, mark: &Mark) -> String {
        let mut bytes = self.question().to_vec();
        bytes.extend_from_slice(&mark.window.to_le_bytes());
        bytes.extend_from_slice(&mark.printed.to_le_bytes());
        bytes.extend_from_slice(&mark.dimensions.to_le_bytes());
        bytes.extend_from_slice(mark.code.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, cursor: &str) -> Option<Mark> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (question, bytes) = bytes.split_first_chunk::<8>()?;
        let (window, bytes) = bytes.split_first_chunk::<4>()?;
        let (printed, bytes) = bytes.split_first_chunk::<8>()?;
        let (dimensions, code) = bytes.split_first_chunk::<8>()?;
        (*question == self.question()).then(|| {
            Some(Mark {
                window: i32::from_le_bytes(*window),
                code: std::str::from_utf8(code).ok()?.into(),
                printed: u64::from_le_bytes(*printed),
                dimensions: u64::from_le_bytes(*dimensions),
            })
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(window: i32, code: &str, dimensions: u64) -> Mark {
        Mark {
            window,
            code: code.into(),
            printed: 0,
            dimensions,
        }
    }

    fn paging(limit: &str, cursor: Option<&str>) -> Result<Paging, Problem> {
        let limit = AskedLimit::try_from(limit.to_owned()).expect("a limit");
        let question = [("window", Some("1 h")), ("code", None)];
        Paging::new("/rows", &question, Some(limit), cursor)
    }

    /// Catches pages that repeat or leave out a row when rows come or go between them.
    #[test]
    fn the_next_page_begins_behind_the_last_row_whatever_has_come_or_gone() {
        let rows = |codes: &'static str| {
            let words = codes.split(' ');
            words
                .map(|code| (mark(4, code, 7), code))
                .collect::<Vec<_>>()
        };
        let first = paging("2", None).expect("a page");
        let (page, next) = first.take(rows("b d f h").into_iter());
        assert_eq!(page, ["b", "d"]);
        let next = next.expect("more");
        let (address, cursor) = next.split_once("&cursor=").expect("a cursor");
        assert_eq!(address, "/rows?window=1+h&limit=2");
        let second = paging("2", Some(cursor)).expect("a page");
        assert_eq!(second.after(), Some(&mark(4, "d", 7)));
        // `d` has gone, `a` and `e` have come.
        let (page, next) = second.take(rows("a b e f h").into_iter());
        assert_eq!((page, next.is_some()), (vec!["e", "f"], true));
        let (page, next) = second.take(rows("b d f h").into_iter());
        assert_eq!((page, next), (vec!["f", "h"], None));
    }

    #[test]
    fn a_cursor_of_another_question_is_an_error() {
        let cursor = paging("2", None)
            .expect("a page")
            .write(&mark(-3, "15N", 9));
        assert!(paging("9", Some(&cursor)).is_ok());
        let question = [("window", Some("24 h"))];
        assert!(Paging::new("/rows", &question, None, Some(&cursor)).is_err());
        for wrong in ["", "x", "AAAA", "a b"] {
            assert!(paging("2", Some(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["0", "10001", "-1", "many", ""] {
            let refused = AskedLimit::try_from(wrong.to_owned());
            assert!(refused.expect_err(wrong).contains("1 to 10000"));
        }
    }
}
