//! `/api/v1/releases` and `/releases/NUMBER/FILE`: the numbered releases of `publish`, read where they lie.

use std::fs;
use std::path::Path as Folder;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::Query, extract::rejection::QueryRejection};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{App, Served, blocking};
use crate::publication::release::{Entry, FOLDER, MANIFEST, Manifest, SUMS};

/// What changed since the release before.
const CHANGES: &str = "changes.json";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {}

/// The newest first.
#[derive(Debug, Serialize)]
struct Releases {
    /// False where `http.releases` names no folder.
    is_configured: bool,
    rows: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    release: u32,
    months: Vec<String>,
    as_of: Option<String>,
    made_at: String,
    made_by: String,
    appointments: i64,
    /// Whether it was compared with the one before.
    is_compared: bool,
    /// Below `/releases/NUMBER/`.
    files: Vec<Entry>,
}

pub async fn releases(
    State(app): State<Served>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Asked {}) = asked.map_err(|error| Problem::wrong(error.body_text()))?;
    blocking(move || {
        let mut rows: Vec<Listed> = manifests(&app)?.into_iter().map(told).collect();
        rows.sort_by_key(|release| std::cmp::Reverse(release.release));
        let is_configured = app.releases.is_some();
        Ok(Json(Releases {
            is_configured,
            rows,
        })
        .into_response())
    })
    .await
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
        files: manifest.files,
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
