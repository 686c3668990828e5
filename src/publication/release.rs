//! Releases: numbered folders that are written once, each with a manifest of what it is and what it was made of.
//
//   releases/release-0001/release.json        what it is: months, sources, a hash of every file
//                        /SHA256SUMS          of every file and of release.json, for `sha256sum --check`
//                        /2022-02/daily.csv …
//                        /2022-02/provenance/daily.csv …
//           /release-0002/release.json        names the hash of the release.json before
//                        /changes.csv, changes.json
//
// A release comes to be by the renaming of its finished folder: it is there in whole, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PublicationError;

/// Folder of the releases within the output.
pub const FOLDER: &str = "releases";
pub const MANIFEST: &str = "release.json";
pub const SUMS: &str = "SHA256SUMS";

/// What a release is: `release.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// From 1 on, without gaps.
    pub release: u32,
    /// `YYYY-MM`, ascending.
    pub months: Vec<String>,
    /// Event time: the greatest time of extraction that went into any row; none where no row says.
    pub as_of: Option<String>,
    pub made_at: String,
    /// Name and version of the program.
    pub made_by: String,
    /// How far each topic was read.
    pub sources: Vec<Source>,
    /// The newest transaction of each task when the topics had been read.
    pub transactions: Vec<Transaction>,
    /// Published appointments by month.
    pub appointments: BTreeMap<String, i64>,
    /// By path, ascending; all but this file and the sums.
    pub files: Vec<Entry>,
    pub previous: Option<Previous>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub topic: String,
    pub partition: i32,
    /// The first offset that was not read.
    pub next: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub task: String,
    /// Number of its manifest in the task's chain.
    pub sequence: i64,
    /// Of that manifest, SHA-256 in hexadecimal digits.
    pub hash: String,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the release's folder, with `/`.
    pub path: String,
    pub bytes: u64,
    /// Lines but the header; none where the file is no table.
    pub rows: Option<u64>,
    pub sha256: String,
}

/// The release before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub release: u32,
    /// Of its `release.json`.
    pub sha256: String,
}

/// Why releases cannot be read, or a new one not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error(
        "{}: {why}; releases are never changed: put it back as it was, or publish into another folder",
        path.display()
    )]
    Altered { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Unknown { path: PathBuf, why: String },
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    Publication(#[from] PublicationError),
}

fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> ReleaseError + 'p {
    move |source| ReleaseError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

fn altered(path: &Path, why: impl Into<String>) -> ReleaseError {
    ReleaseError::Altered {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// A release as it lies in its folder.
#[derive(Debug, Clone)]
pub struct Release {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// Of its `release.json`.
    pub sha256: String,
}

impl Release {
    /// The folder of one of its months, if it has the month.
    #[must_use]
    pub fn month(&self, label: &str) -> Option<PathBuf> {
        let has = self.manifest.months.iter().any(|month| month == label);
        has.then(|| self.folder.join(label))
    }
}

/// All releases of an output folder, by number, each as it was made.
#[derive(Debug)]
pub struct Releases {
    folder: PathBuf,
    releases: Vec<Release>,
}

impl Releases {
    /// Reads the releases, and checks every file of each against its hashes; `tell` hears which one is looked at.
    ///
    /// # Errors
    /// `Altered`, naming the file: a number is missing, a file is missing, is one too many, or is not what its hash says.
    pub fn open(output: &Path, tell: &dyn Fn(&str)) -> Result<Self, ReleaseError> {
        let folder = output.join(FOLDER);
        let mut releases: Vec<Release> = Vec::new();
        for (number, name) in numbered(&folder)? {
            let path = folder.join(&name);
            let before = releases.last();
            let expected = before.map_or(1, |before| before.manifest.release + 1);
            if number != expected {
                let missing = folder.join(named(expected));
                return Err(altered(
                    &missing,
                    format!("it is missing, and {name} is there"),
                ));
            }
            tell(&format!("checking {name}"));
            let release = read(path)?;
            let previous = before.map(|before| Previous {
                release: before.manifest.release,
                sha256: before.sha256.clone(),
            });
            if release.manifest.release != number {
                let why = format!("it says that it is release {}", release.manifest.release);
                return Err(altered(&release.folder.join(MANIFEST), why));
            }
            if release.manifest.previous != previous {
                let at = before.map_or(&release.folder, |before| &before.folder);
                let why = format!("it is not what {name} was made after");
                return Err(altered(&at.join(MANIFEST), why));
            }
            releases.push(release);
        }
        Ok(Self { folder, releases })
    }

    #[must_use]
    pub fn newest(&self) -> Option<&Release> {
        self.releases.last()
    }

    /// The release of that number.
    ///
    /// # Errors
    /// `Unknown`: the numbers that there are.
    pub fn numbered(&self, number: u32) -> Result<&Release, ReleaseError> {
        let at = usize::try_from(number)
            .ok()
            .and_then(|at| at.checked_sub(1));
        at.and_then(|at| self.releases.get(at)).ok_or_else(|| {
            let why = match self.releases.len() {
                0 => format!("there is no release {number}: none has been made"),
                last => format!("there is no release {number}: there are 1 to {last}"),
            };
            let path = self.folder.clone();
            ReleaseError::Unknown { path, why }
        })
    }

    /// Starts the next release, in a folder that no reader takes for one.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(&self) -> Result<Draft, ReleaseError> {
        let number = self
            .newest()
            .map_or(1, |newest| newest.manifest.release + 1);
        let name = named(number);
        let folder = (self.folder).join(format!(".{name}.{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io("remove the unfinished", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(io("make the folder", &folder))?;
        Ok(Draft {
            number,
            target: self.folder.join(name),
            previous: self.newest().map(|newest| Previous {
                release: newest.manifest.release,
                sha256: newest.sha256.clone(),
            }),
            folder,
            rows: BTreeMap::new(),
            is_finished: false,
        })
    }
}

fn named(number: u32) -> String {
    format!("release-{number:04}")
}

/// Numbers and names of the folders that are releases, ascending.
fn numbered(folder: &Path) -> Result<BTreeMap<u32, String>, ReleaseError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(io("read the folder", folder)(error)),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(io("read the folder", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("release-").and_then(|it| it.parse().ok());
        match number {
            Some(number) if named(number) == name => {
                found.insert(number, name);
            }
            // Left behind by a run that was interrupted, or by the operating system.
            _ if name.starts_with('.') => {}
            _ => {
                return Err(altered(
                    &entry.path(),
                    "it is no release, and lies among them",
                ));
            }
        }
    }
    Ok(found)
}

/// A release, its files checked.
fn read(folder: PathBuf) -> Result<Release, ReleaseError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(|error| altered(&path, error.to_string()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| altered(&path, error.to_string()))?;
    let sha256 = hex(&Sha256::digest(&text));
    let mut there: BTreeSet<String> = files(&folder)?.into_iter().collect();
    there.remove(MANIFEST);
    let sums_path = folder.join(SUMS);
    let sums = fs::read_to_string(&sums_path).unwrap_or_default();
    if sums != summed(&manifest.files, &sha256) {
        return Err(altered(
            &sums_path,
            format!("it is not what {MANIFEST} says"),
        ));
    }
    there.remove(SUMS);
    for entry in &manifest.files {
        let path = folder.join(&entry.path);
        if !there.remove(&entry.path) {
            return Err(altered(&path, "it is missing"));
        }
        if hash(&path)? != (entry.bytes, entry.sha256.clone()) {
            return Err(altered(
                &path,
                format!("its hash is not the one in {MANIFEST}"),
            ));
        }
    }
    match there.first() {
        Some(more) => Err(altered(
            &folder.join(more),
            "it does not belong to the release",
        )),
        None => Ok(Release {
            folder,
            manifest,
            sha256,
        }),
    }
}

/// Paths of all files below a folder, ascending.
fn files(folder: &Path) -> Result<Vec<String>, ReleaseError> {
    fn walk(folder: &Path, before: &str, into: &mut Vec<String>) -> Result<(), ReleaseError> {
        for entry in fs::read_dir(folder).map_err(io("read the folder", folder))? {
            let entry = entry.map_err(io("read the folder", folder))?;
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), into)?;
            } else {
                into.push(name);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    found.sort_unstable();
    Ok(found)
}

fn hash(path: &Path) -> Result<(u64, String), ReleaseError> {
    let mut file = File::open(path).map_err(io("read", path))?;
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(io("read", path))? {
            0 => return Ok((bytes, hex(&hasher.finalize()))),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `SHA256SUMS`, as coreutils' `sha256sum` writes it.
fn summed(files: &[Entry], manifest: &str) -> String {
    let files = files.iter().map(|entry| (&*entry.sha256, &*entry.path));
    let lines = files.chain([(manifest, MANIFEST)]);
    let lines: Vec<_> = lines
        .map(|(sha256, path)| format!("{sha256}  {path}\n"))
        .collect();
    lines.concat()
}

/// What the manifest says beside what the files tell.
#[derive(Debug, Clone, Default)]
pub struct Made {
    pub months: Vec<String>,
    pub as_of: Option<String>,
    pub made_at: String,
    pub sources: Vec<Source>,
    pub transactions: Vec<Transaction>,
    pub appointments: BTreeMap<String, i64>,
}

/// A release in the making; without [`Draft::finish`] nothing is left of it.
#[derive(Debug)]
pub struct Draft {
    number: u32,
    target: PathBuf,
    previous: Option<Previous>,
    folder: PathBuf,
    rows: BTreeMap<String, u64>,
    is_finished: bool,
}

impl Draft {
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place for a file of so many rows, its folder made.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn place(&mut self, path: &str, rows: usize) -> Result<PathBuf, ReleaseError> {
        let file = self.folder.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(io("make the folder", folder))?;
        }
        self.rows.insert(path.to_owned(), rows as u64);
        Ok(file)
    }

    /// What there is of it, to be compared with a release.
    #[must_use]
    pub fn so_far(&self, made: &Made) -> Release {
        Release {
            folder: self.folder.clone(),
            manifest: self.manifest(made.clone(), Vec::new()),
            sha256: String::new(),
        }
    }

    fn manifest(&self, made: Made, files: Vec<Entry>) -> Manifest {
        Manifest {
            release: self.number,
            months: made.months,
            as_of: made.as_of,
            made_at: made.made_at,
            made_by: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            sources: made.sources,
            transactions: made.transactions,
            appointments: made.appointments,
            files,
            previous: self.previous.clone(),
        }
    }

    /// Writes the manifest, and gives the folder its name.
    ///
    /// # Errors
    /// When something cannot be written, or another process has made a release of this number meanwhile.
    pub fn finish(mut self, made: Made) -> Result<Release, ReleaseError> {
        let mut entries = Vec::new();
        for path in files(&self.folder)? {
            let file = self.folder.join(&path);
            let (bytes, sha256) = hash(&file)?;
            let rows = self.rows.get(&path).copied();
            entries.push(Entry {
                path,
                bytes,
                rows,
                sha256,
            });
        }
        let manifest = self.manifest(made, entries);
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest is JSON") + "\n";
        let sha256 = hex(&Sha256::digest(&text));
        let put = |name: &str, text: &str| {
            let path = self.folder.join(name);
            let written = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(io("write", &path))
        };
        put(MANIFEST, &text)?;
        put(SUMS, &summed(&manifest.files, &sha256))?;
        for path in files(&self.folder)? {
            close(&self.folder.join(path))?;
        }
        // It fails where the target is there: a folder with files in it is not replaced.
        fs::rename(&self.folder, &self.target).map_err(io("finish", &self.target))?;
        self.is_finished = true;
        if let Some(above) = self.target.parent() {
            let synced = File::open(above).and_then(|folder| folder.sync_all());
            synced.map_err(io("write", above))?;
        }
        Ok(Release {
            folder: self.target.clone(),
            manifest,
            sha256,
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // What is left is passed over, and removed by who begins the next.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// On disk, and no longer to be written to.
fn close(path: &Path) -> Result<(), ReleaseError> {
    let closed = || {
        let file = File::open(path)?;
        file.sync_all()?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions)
    };
    closed().map_err(io("write", path))
}
