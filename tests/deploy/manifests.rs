//! Image, compose file, Kubernetes manifests and systemd unit: each by the tool that reads it, their settings by ours.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::tools::{fetched, succeeds};
use super::{root, text};

/// What `config check` says of a file and variables, where it is not "right".
fn fault_of(config: Option<&Path>, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpad-live"));
    command.args(["config", "check"]).envs(variables);
    if let Some(file) = config {
        command.arg("--config").arg(file);
    }
    let output = command.output().expect("gpad-live");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

/// `GPAD_…` of a file, by what stands between a name and its value.
fn variables(file: &str, separator: &str) -> BTreeMap<String, String> {
    let content = text(file);
    let lines = content.lines().map(str::trim);
    let named = lines.filter_map(|line| {
        let assignment = line.strip_prefix("Environment=").unwrap_or(line);
        let (name, value) = assignment.split_once(separator)?;
        let of_ours = name.starts_with("GPAD_") && name != "GPAD_CONFIG";
        of_ours.then(|| (name.to_owned(), value.trim_matches('"').to_owned()))
    });
    named.collect()
}

/// As compose does: `${NAME:-default}` becomes the default.
fn defaulted(value: &str) -> String {
    match value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        None => value.to_owned(),
        Some(inner) => inner
            .split_once(":-")
            .map_or("", |(_, default)| default)
            .to_owned(),
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        }
    };
    entries.flat_map(below).collect()
}

#[test]
fn the_settings_that_deploy_gives_are_right() {
    let nothing = BTreeMap::new();
    let mut files = vec![root().join("deploy/gpad-live.toml")];
    let in_clusters = files_below(&root().join("deploy/kubernetes"));
    files.extend(
        in_clusters
            .into_iter()
            .filter(|path| path.extension().is_some_and(|it| it == "toml")),
    );
    assert!(files.len() > 2, "{files:?}");
    for file in &files {
        assert_eq!(fault_of(Some(file), &nothing), None, "{}", file.display());
    }
    let mut compose = variables("deploy/compose.yaml", ": ");
    for value in compose.values_mut() {
        *value = defaulted(value);
    }
    assert_eq!(compose.get("GPAD_CLOCK").map(String::as_str), Some("wall"));
    let mut unit = variables("deploy/systemd/gpad-live.service", "=");
    for value in unit.values_mut() {
        *value = value.replace("%H", "host").replace("%S", "/var/lib");
    }
    let image: BTreeMap<_, _> = text("deploy/image/Containerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (of, variables) in [("compose", compose), ("systemd", unit), ("image", image)] {
        assert!(!variables.is_empty(), "{of}");
        assert_eq!(fault_of(None, &variables), None, "{of}");
    }
}

#[test]
fn the_containerfile_is_one() {
    succeeds(Command::new(fetched("venv/bin/hadolint")).arg("deploy/image/Containerfile"));
}

fn rendered() -> Vec<PathBuf> {
    let files = files_below(&root().join("deploy/kubernetes/rendered"));
    assert_eq!(
        files.len(),
        fs::read_dir(root().join("deploy/kubernetes/overlays"))
            .expect("a folder")
            .count()
    );
    files
}

#[test]
fn the_manifests_are_those_of_kubernetes_and_fit_each_other() {
    let validate = fetched("venv/bin/kubernetes-validate");
    succeeds(Command::new(validate).arg("--strict").args(rendered()));
    let mut check = Command::new(fetched("venv/bin/python"));
    succeeds(check.arg("tests/deploy/manifests.py").args(rendered()));
}

/// SHA-256, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(bytes) {
        write!(digits, "{byte:02x}").expect("memory is writable");
    }
    digits
}

#[test]
fn the_rendered_manifests_are_of_the_sources_as_they_are() {
    let folder = root().join("deploy/kubernetes");
    let parts = ["base", "components", "overlays"].map(|part| files_below(&folder.join(part)));
    let mut names: Vec<_> = parts
        .iter()
        .flatten()
        .map(|path| {
            path.strip_prefix(&folder)
                .expect("below")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    // As `sha256sum` lists them.
    let mut listed = String::new();
    for name in names {
        let content = fs::read(folder.join(&name)).expect("a file");
        writeln!(listed, "{}  {name}", hash(&content)).expect("memory is writable");
    }
    let sources = format!("# Sources: {}\n", hash(listed.as_bytes()));
    for file in rendered() {
        let content = fs::read_to_string(&file).expect("text");
        assert!(
            content.contains(&sources),
            "{}: run deploy/kubernetes/render",
            file.display()
        );
    }
}

#[test]
fn systemd_takes_the_unit_without_a_word_and_finds_little_exposed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = folder.path().join("gpad-live.service");
    // It must be a program that is there.
    let content = text("deploy/systemd/gpad-live.service");
    let content = content.replace("/usr/local/bin/gpad-live", env!("CARGO_BIN_EXE_gpad-live"));
    fs::write(&unit, content).expect("a writable folder");
    // Warnings do not make it fail.
    let said = succeeds(Command::new("systemd-analyze").arg("verify").arg(&unit));
    assert_eq!(said, "");
    let security = ["security", "--offline=true", "--no-pager", "--threshold=15"];
    succeeds(Command::new("systemd-analyze").args(security).arg(&unit));
}

/// The image has one program; what compose asks it must be a command of it.
#[test]
fn the_health_check_of_compose_is_a_command_of_ours() {
    let compose = text("deploy/compose.yaml");
    let image = text("deploy/image/Containerfile");
    let program = "/usr/bin/gpad-live";
    let check = format!("test: [\"CMD\", \"{program}\", \"health\"]");
    assert!(compose.contains(&check) && image.contains(&format!("gpad-live {program}\n")));
    assert!(compose.contains("gpad-live: {condition: service_healthy}"));
}
