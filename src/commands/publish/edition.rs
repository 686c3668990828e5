//! Writes a release, compares it with another, and keeps the newest files of each month at hand.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::Context;

use super::Wanted;
use super::topics::Read;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::publication::changes::{self, Change, HEADER, Overview};
use crate::publication::release::{Draft, Made, Release, Releases};
use crate::publication::{PROVENANCE, PrintedNames, parquet};

/// Writes the next release, with what changed since the one before.
pub fn write(
    releases: &Releases,
    read: &Read,
    reference: &Reference,
    wanted: &Wanted<'_>,
    tell: &dyn Fn(&str),
) -> anyhow::Result<Release> {
    let names = PrintedNames::of(reference);
    let mut draft = releases.begin()?;
    let mut made = Made {
        as_of: read
            .publication
            .as_of(&read.months)
            .map(Timestamp::to_rfc3339),
        made_at: wanted.now.to_rfc3339(),
        sources: read.sources.clone(),
        transactions: read.transactions.clone(),
        ..Made::default()
    };
    for month in &read.months {
        let label = month.label();
        tell(&format!("writing {label}"));
        read.publication
            .tables(*month, reference, &names, &mut |table| {
                let (file, rows) = (table.layout.file, table.lines().len());
                table.write_csv(&draft.place(&format!("{label}/{file}.csv"), rows)?)?;
                let beside = format!("{label}/{PROVENANCE}/{file}.csv");
                if table.lines().iter().all(|line| line.provenance.is_some()) {
                    table.write_provenance(&draft.place(&beside, rows)?)?;
                }
                if wanted.parquet {
                    let path = draft.place(&format!("{label}/{file}.parquet"), rows)?;
                    parquet::write(&table, &path)?;
                }
                anyhow::Ok(())
            })?;
        let [appointments, ..] = read.publication.totals(*month);
        made.appointments.insert(label.clone(), appointments);
        made.months.push(label);
    }
    if let Some(before) = releases.newest() {
        tell("comparing with the release before");
        write_changes(before, &mut draft, &made)?;
    }
    let release = draft.finish(made)?;
    tell("copying to publication/");
    for month in &release.manifest.months {
        let current = wanted.output.join("publication").join(month);
        let copied = copy(&release.folder.join(month), &current);
        copied.with_context(|| format!("cannot write into {}", current.display()))?;
    }
    Ok(release)
}

/// `changes.csv` and `changes.json` of a release in the making.
fn write_changes(before: &Release, draft: &mut Draft, made: &Made) -> anyhow::Result<()> {
    let after = draft.so_far(made);
    let path = draft.place("changes.csv", 0)?;
    let mut file = csv::Writer::from_path(&path)?;
    file.write_record(HEADER)?;
    let mut rows = 0;
    let overview = changes::compare(before, &after, &mut |change| {
        rows += 1;
        file.write_record(change.texts())?;
        anyhow::Ok(())
    })?;
    file.flush()?;
    draft.place("changes.csv", rows)?;
    let text = serde_json::to_string_pretty(&overview)? + "\n";
    let path = draft.folder().join("changes.json");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The files of a month, in the place of those that were there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let from = entry?.path();
        if let (true, Some(name)) = (from.is_file(), from.file_name()) {
            // Not `fs::copy`: the copy may be written to, unlike the release.
            io::copy(&mut File::open(&from)?, &mut File::create(to.join(name))?)?;
        }
    }
    Ok(())
}

/// Two releases compared, as it is told.
#[derive(Debug)]
pub struct Compared {
    pub overview: Overview,
    /// The first of them.
    pub changes: Vec<Change>,
    /// All of them.
    pub count: usize,
}

/// The newest release against another; without a number, against the one before it.
pub fn compare(releases: &Releases, since: Option<u32>, most: usize) -> anyhow::Result<Compared> {
    let newest = releases
        .newest()
        .map_or(0, |newest| newest.manifest.release);
    let newest = releases.numbered(newest)?;
    let number = newest.manifest.release;
    let since = since.unwrap_or(number - 1);
    if since == 0 {
        let text = format!("release {number} is the first: there is none before it");
        return Err(anyhow::anyhow!(text));
    }
    let (mut first, mut count) = (Vec::new(), 0);
    let overview = changes::compare(releases.numbered(since)?, newest, &mut |change| {
        count += 1;
        if first.len() < most {
            first.push(change.clone());
        }
        anyhow::Ok(())
    })?;
    Ok(Compared {
        overview,
        changes: first,
        count,
    })
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let overview = &self.overview;
        let counts: Vec<String> = (overview.cells().iter())
            .map(|(why, cells)| format!("{cells} {}", why.label()))
            .collect();
        let counts = if counts.is_empty() {
            "no cell changed".to_owned()
        } else {
            counts.join(", ")
        };
        writeln!(
            f,
            "release {} against release {}: {counts}",
            overview.release, overview.since
        )?;
        let lists = [
            ("months added", &overview.months_added),
            ("months left out", &overview.months_left_out),
            ("files not compared", &overview.files_not_compared),
        ];
        for (what, list) in lists {
            if !list.is_empty() {
                writeln!(f, "{what}: {}", list.join(" "))?;
            }
        }
        for (month, files) in &overview.months {
            for (file, totals) in files {
                if let (Some(old), Some(new)) = (totals.old, totals.new)
                    && !totals.cells.is_empty()
                {
                    let difference = new - old;
                    writeln!(
                        f,
                        "{month} {file}: {old} → {new} ({difference:+}) appointments"
                    )?;
                }
            }
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        match self.count - self.changes.len() {
            0 => Ok(()),
            more => writeln!(f, "and {more} changes more: changes.csv, or --most"),
        }
    }
}
