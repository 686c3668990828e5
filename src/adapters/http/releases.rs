//! `/api/v1/releases` and `/releases/NUMBER/FILE`: the numbered releases of `publish`, read where they lie.

use std::fs;
use std::path::Path as Folder;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{AskedRows, AskedTime, Nothing, OfRows};
use super::problem::{Problem, Told};
use super::table::{Format, linked, rows_as_csv};
use super::{App, Served, blocking};
use crate::adapters::figures::Mark;
use crate::domain::time::Timestamp;
use crate::publication::release::{Entry, FOLDER, MANIFEST, Manifest, SUMS};

/// What changed since the release before.
const CHANGES: &str = "changes.json";

/// The numbered releases, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleasesAnswer {
    /// False where `http.releases` names no folder.
    is_configured: bool,
    /// The time up to which releases were made, where one was asked for.
    as_known_at: Option<String>,
    /// There are more rows than these: `next` has them.
    is_truncated: bool,
    /// The address of the next page, of the same question.
    next: Option<String>,
    rows: Vec<Listed>,
}

/// A release.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Release)]
struct Listed {
    /// From 1 on.
    release: u32,
    /// `YYYY-MM`, ascending.
    months: Vec<String>,
    /// The greatest time of extraction that went in.
    as_of: Option<String>,
    made_at: String,
    made_by: String,
    /// Published appointments of all its months.
    appointments: i64,
    /// Whether it was compared with the one before.
    is_compared: bool,
    files: Vec<File>,
}

/// A file of a release, at `/releases/{release}/{path}`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReleaseFile)]
struct File {
    path: String,
    bytes: u64,
    /// Lines but the header; null of what is no table.
    rows: Option<u64>,
    sha256: String,
}

/// A file, and the release that it is of: a line of CSV.
#[derive(Debug, Default, Serialize)]
struct FileLine<'a> {
    release: u32,
    months: String,
    as_of: Option<&'a str>,
    made_at: &'a str,
    made_by: &'a str,
    appointments: i64,
    is_compared: bool,
    path: &'a str,
    bytes: u64,
    rows: Option<u64>,
    sha256: &'a str,
}

/// The numbered releases of `publish`, and their files.
#[utoipa::path(
    get,
    path = "/api/v1/releases",
    tag = "figures",
    params(OfRows),
    responses(
        (status = 200, description = "Releases, the newest first; as CSV a line for each file. Of `as_known_at`: those that had been made.", content((ReleasesAnswer = "application/json"), (String = "text/csv")), headers(("etag" = String), ("link" = String, description = "The next page, rel=next."))),
        (status = 304, description = "As If-None-Match has it."),
        (status = 400, description = "A parameter is wrong.", body = Told, content_type = "application/problem+json"),
        (status = 500, description = "A release cannot be read.", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn releases(
    State(app): State<Served>,
    AskedRows { common, format, .. }: AskedRows<Nothing>,
) -> Result<Response, Problem> {
    blocking(move || {
        let paging = common.paging("/api/v1/releases", &[])?;
        let until = common.as_known_at.map(|AskedTime(at)| at);
        let is_asked = |release: &Manifest| {
            let made = Timestamp::parse(&release.made_at);
            until.is_none_or(|until| made.is_some_and(|made| made <= until))
        };
        let mut rows: Vec<(Mark, Listed)> = manifests(&app)?
            .into_iter()
            .filter(is_asked)
            .map(|release| (mark(release.release), told(release)))
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        let (rows, next) = paging.take(rows.into_iter());
        let answer = ReleasesAnswer {
            is_configured: app.releases.is_some(),
            as_known_at: until.map(Timestamp::to_rfc3339),
            is_truncated: next.is_some(),
            next,
            rows,
        };
        let response = match format {
            Format::Json => Json(&answer).into_response(),
            Format::Csv => rows_as_csv(&lines(&answer.rows)),
        };
        Ok(linked(response, answer.next.as_deref()))
    })
    .await
}

/// The newest first.
fn mark(release: u32) -> Mark {
    Mark {
        window: i32::try_from(release).map_or(i32::MIN, |release| -release),
        code: "".into(),
        printed: 0,
        dimensions: 0,
    }
}

fn lines(releases: &[Listed]) -> Vec<FileLine<'_>> {
    let lines = releases.iter().flat_map(|of| {
        of.files.iter().map(|file| FileLine {
            release: of.release,
            months: of.months.join(" "),
            as_of: of.as_of.as_deref(),
            made_at: &of.made_at,
            made_by: &of.made_by,
            appointments: of.appointments,
            is_compared: of.is_compared,
            path: &file.path,
            bytes: file.bytes,
            rows: file.rows,
            sha256: &file.sha256,
        })
    });
    lines.collect()
}

fn told(manifest: Manifest) -> Listed {
    Listed {
        release: manifest.release,
        appointments: manifest.appointments.values().sum(),
        is_compared: manifest.files.iter().any(|file| file.path == CHANGES),
        months: manifest.months,
        as_of: manifest.as_of,
        made_at: manifest.made_at,
        made_by: manifest.made_by,
        files: manifest.files.into_iter().map(File::from).collect(),
    }
}

impl From<Entry> for File {
    fn from(file: Entry) -> Self {
        Self {
            path: file.path,
            bytes: file.bytes,
            rows: file.rows,
            sha256: file.sha256,
        }
    }
}

/// Of all finished releases: a folder without a manifest is none yet.
fn manifests(app: &App) -> Result<Vec<Manifest>, Problem> {
    let Some(output) = &app.releases else {
        return Ok(Vec::new());
    };
    let Ok(entries) = fs::read_dir(output.join(FOLDER)) else {
        // No release has been made.
        return Ok(Vec::new());
    };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .filter(|folder| is_release(folder) && folder.join(MANIFEST).is_file())
        .map(|folder| manifest(&folder))
        .collect()
}

fn is_release(folder: &Folder) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.strip_prefix("release-"));
    number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
}

fn manifest(folder: &Folder) -> Result<Manifest, Problem> {
    let file = folder.join(MANIFEST);
    let text = fs::read_to_string(&file).map_err(|error| error.to_string());
    text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|why| {
            let name = file.display();
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{name}: {why}"))
        })
}

/// A file that the release's manifest names, and no other.
pub async fn file(
    State(app): State<Served>,
    Path((number, path)): Path<(u32, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    blocking(move || {
        let missing = || {
            let why = format!("release {number} has no file `{path}`; see /api/v1/releases");
            Problem::new(StatusCode::NOT_FOUND, why)
        };
        let output = app.releases.as_ref().ok_or_else(missing)?;
        let folder = output.join(FOLDER).join(format!("release-{number:04}"));
        if !folder.join(MANIFEST).is_file() {
            return Err(missing());
        }
        let named = manifest(&folder)?
            .files
            .into_iter()
            .find(|it| it.path == path);
        if named.is_none() && path != MANIFEST && path != SUMS {
            return Err(missing());
        }
        // A release never changes: its file is known by its hash.
        let tag = named.map(|entry| format!("\"{}\"", entry.sha256));
        let known = headers.get(header::IF_NONE_MATCH);
        let is_known = |tag: &String| known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut response = if tag.as_ref().is_some_and(is_known) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let bytes = fs::read(folder.join(&path)).map_err(|_| missing())?;
            let kind = match Folder::new(&path).extension().and_then(|it| it.to_str()) {
                Some("csv") => "text/csv; charset=utf-8; header=present",
                Some("json") => "application/json",
                Some("parquet") => "application/vnd.apache.parquet",
                _ => "text/plain; charset=utf-8",
            };
            ([(header::CONTENT_TYPE, kind)], bytes).into_response()
        };
        if let Some(tag) = tag.and_then(|tag| tag.parse().ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        Ok(response)
    })
    .await
}
