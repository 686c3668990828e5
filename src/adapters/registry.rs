//! The schema registry: the few calls of the Confluent API that we need.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;
use ureq::{Body, RequestBuilder};

use crate::config;

/// Tries of one call before it counts as away; the service then tries again for as long as it takes.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The Confluent API's own "not found", which a wrong URL or a proxy does not send.
const SCHEMA_NOT_FOUND: u64 = 40403;
const SUBJECT_NOT_FOUND: u64 = 40401;
const VERSION_NOT_FOUND: u64 = 40402;

/// A registry that does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer, or one that says "not now": trying again may help.
    #[error("schema registry {url}: {detail}")]
    Away { url: String, detail: String },
    /// An answer that trying again will not change.
    #[error("schema registry {url}: {detail}")]
    Refused { url: String, detail: String },
}

/// What the registry says about a schema that is to replace the subject's newest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// It is the newest one, byte for byte or in meaning.
    Same,
    Compatible,
    Incompatible(Vec<String>),
    /// The subject is not registered yet.
    New,
}

/// A client of one registry.
#[derive(Debug, Clone)]
pub struct Registry {
    agent: Agent,
    url: String,
    authorisation: Option<String>,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> u64 {
        self.body["error_code"].as_u64().unwrap_or_default()
    }

    fn is_missing(&self) -> bool {
        self.status == 404
            && [SCHEMA_NOT_FOUND, SUBJECT_NOT_FOUND, VERSION_NOT_FOUND].contains(&self.code())
    }
}

impl Registry {
    /// `None` where no registry is configured.
    #[must_use]
    pub fn new(settings: &config::Registry) -> Option<Self> {
        let url = settings.url.clone()?;
        let agent = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let authorisation = settings.username.as_ref().map(|name| {
            let password = settings
                .password
                .as_ref()
                .map_or("", |secret| secret.0.as_str());
            format!("Basic {}", base64(format!("{name}:{password}").as_bytes()))
        });
        Some(Self {
            agent,
            url,
            authorisation,
        })
    }

    /// The schema of that id; `None` where the registry does not know it.
    ///
    /// # Errors
    /// When the registry is away, or answers with something else.
    pub fn schema(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let answer = self.get(&format!("schemas/ids/{id}"))?;
        if answer.is_missing() {
            return Ok(None);
        }
        match answer.body["schema"].as_str() {
            Some(schema) if answer.status == 200 => Ok(Some(schema.to_owned())),
            _ => Err(self.refused(&format!("asking for schema {id}"), &answer)),
        }
    }

    /// The id of a schema under a subject, registered if it was not.
    ///
    /// # Errors
    /// When the registry is away, or refuses the schema as incompatible.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let body = json!({ "schema": schema, "schemaType": "AVRO" });
        let answer = self.post(&format!("subjects/{}/versions", escape(subject)), &body)?;
        match answer.body["id"]
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
        {
            Some(id) if answer.status == 200 => Ok(id),
            _ => Err(self.refused(&format!("registering {subject}"), &answer)),
        }
    }

    /// Sets what later versions of a subject must keep to; `BACKWARD` lets new readers read old records.
    ///
    /// # Errors
    /// When the registry is away, or refuses.
    pub fn set_compatibility(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let body = json!({ "compatibility": level });
        let path = format!("config/{}", escape(subject));
        let answer = self.call(|| self.signed(self.agent.put(self.at(&path))).send_json(&body))?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(self.refused(&format!("setting the compatibility of {subject}"), &answer))
        }
    }

    /// Whether a schema may become the subject's newest one.
    ///
    /// # Errors
    /// When the registry is away, or cannot tell.
    pub fn compatibility(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Compatibility, RegistryError> {
        let body = json!({ "schema": schema, "schemaType": "AVRO" });
        // Asked first: of a subject that is missing, some registries say that anything is compatible.
        let versions = self.get(&format!("subjects/{}/versions", escape(subject)))?;
        if versions.is_missing() {
            return Ok(Compatibility::New);
        }
        let known = self.post(&format!("subjects/{}", escape(subject)), &body)?;
        if known.status == 200 {
            return Ok(Compatibility::Same);
        }
        let path = format!(
            "compatibility/subjects/{}/versions/latest?verbose=true",
            escape(subject)
        );
        let answer = self.post(&path, &body)?;
        match answer.body["is_compatible"].as_bool() {
            Some(true) => Ok(Compatibility::Compatible),
            Some(false) => Ok(Compatibility::Incompatible(texts(&answer.body["messages"]))),
            None => Err(self.refused(&format!("checking {subject}"), &answer)),
        }
    }

    fn get(&self, path: &str) -> Result<Answer, RegistryError> {
        self.call(|| self.signed(self.agent.get(self.at(path))).call())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Answer, RegistryError> {
        self.call(|| self.signed(self.agent.post(self.at(path))).send_json(body))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = request.header(
            "Accept",
            "application/vnd.schemaregistry.v1+json, application/json",
        );
        match &self.authorisation {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    /// One call, tried again while the registry does not answer or answers "not now".
    fn call(
        &self,
        request: impl Fn() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Answer, RegistryError> {
        let mut pause = FIRST_PAUSE;
        let mut tried = 1;
        loop {
            let detail = match request() {
                Ok(mut response) => {
                    let status = response.status().as_u16();
                    let body = response.body_mut().read_json().unwrap_or(Value::Null);
                    if status < 500 && status != 408 && status != 429 {
                        return Ok(Answer { status, body });
                    }
                    format!("answers {status}")
                }
                Err(error) => error.to_string(),
            };
            if tried == TRIES {
                return Err(RegistryError::Away {
                    url: self.url.clone(),
                    detail,
                });
            }
            tried += 1;
            std::thread::sleep(pause);
            pause *= 3;
        }
    }

    fn refused(&self, doing: &str, answer: &Answer) -> RegistryError {
        let message = answer.body["message"].as_str().unwrap_or("no reason given");
        let detail = format!("{doing}: answers {}: {message}", answer.status);
        RegistryError::Refused {
            url: self.url.clone(),
            detail,
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Subjects are names of topics: letters, digits, `.`, `_` and `-`; anything else is percent-encoded.
fn escape(subject: &str) -> String {
    let mut escaped = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to text cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for at in 0..4 {
            if at <= chunk.len() {
                text.push(char::from(LETTERS[(group >> (18 - 6 * at)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_as_basic_authentication_wants() {
        // RFC 4648, 10.
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_subject_stays_one_part_of_the_path() {
        assert_eq!(
            escape("gpad.aggregates.two_week-value"),
            "gpad.aggregates.two_week-value"
        );
        assert_eq!(escape("a/b?c d"), "a%2Fb%3Fc%20d");
    }

    #[test]
    fn a_registry_that_is_away_says_so_after_its_tries() {
        let settings = config::Registry {
            // Nothing listens on port 1.
            url: Some("http://127.0.0.1:1".to_owned()),
            ..config::Settings::default().registry
        };
        let error = Registry::new(&settings).unwrap().schema(1).unwrap_err();
        assert!(matches!(error, RegistryError::Away { .. }));
        assert!(
            error
                .to_string()
                .starts_with("schema registry http://127.0.0.1:1: "),
            "{error}"
        );
    }
}
