//! The reference of the configuration, from the code: what each setting may be is what its error says.

use std::fmt::Write as _;

use crate::config::{ConfigError, Settings};

/// Every setting with its default, and what it is for.
const EXAMPLE: &str = include_str!("../../deploy/gpad-live.toml");

const HEAD: &str = "\
# Configuration

Printed by `gpad-live config reference`; a test holds it against the code. `deploy/gpad-live.toml` has every setting with its default, ready to be
changed. A variable of the environment goes before the file; an unknown key or variable is an error. `gpad-live config check` says whether the
settings are right, `gpad-live config show` what is in force and whence. Aggregates are declared in tables `[[aggregate]]`: `deploy/aggregates.toml`
explains each key.
";

/// The reference as Markdown.
///
/// # Errors
/// None: the defaults are right.
pub fn reference() -> Result<String, ConfigError> {
    let (_, settings) = Settings::load_with(None, std::iter::empty())?;
    let mut text = HEAD.to_owned();
    let mut section = "";
    for setting in settings {
        let (of, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            let about = comment(section, "");
            let title = if section.is_empty() {
                "Without a section"
            } else {
                section
            };
            let _ = write!(text, "\n## {title}\n");
            if !about.is_empty() {
                let _ = write!(text, "\n{about}\n");
            }
        }
        let variable = format!("GPAD_{}", setting.key.replace('.', "_").to_uppercase());
        let _ = write!(
            text,
            "\n### `{}`\n\n{}\n\n- May be: {}\n- Default: `{}`\n- Variable: `{variable}`\n",
            setting.key,
            comment(section, name),
            setting.expected,
            setting.value,
        );
    }
    let about = comment("kafka.client", "");
    let _ = write!(
        text,
        "\n## kafka.client\n\n{about} As a variable: `GPAD_KAFKA_CLIENT_SECURITY_PROTOCOL` is `security.protocol`.\n"
    );
    Ok(text)
}

/// The comment above a key of a section of the example, or above the section itself.
fn comment(section: &str, key: &str) -> String {
    let (mut at, mut lines) = (String::new(), Vec::new());
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut at);
            if key.is_empty() && at == section {
                return lines.join(" ");
            }
        }
        let plain = line.trim_start_matches('#').trim_start();
        let is_key = |name: &str| {
            plain
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(" ="))
        };
        if !key.is_empty() && at == section && is_key(key) {
            return lines.join(" ");
        }
        // A setting without a default stands as a comment: its own lines end there, too.
        let is_setting = plain.split_once(" = ").is_some_and(|(name, _)| {
            name.trim_matches('"')
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || "_.".contains(letter))
        });
        if line.starts_with('#') && !is_setting {
            lines.push(plain);
        } else {
            lines.clear();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_that_of_the_code_and_explains_every_setting() {
        let (_, settings) = Settings::load_with(None, std::iter::empty()).unwrap();
        for setting in settings {
            let (section, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            let about = comment(section, name);
            let is_told = about.len() > 20 || name == "username" || name == "to";
            assert!(is_told, "{}: {about}", setting.key);
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        let told = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            told == reference().unwrap(),
            "docs/configuration.md is old: `gpad-live config reference > docs/configuration.md`"
        );
    }
}
