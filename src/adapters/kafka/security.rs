//! Which protocols and mechanisms this build of librdkafka can do: it takes some that it cannot, and then never connects.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use super::super::log::{LogError, Remedy};

const PROTOCOL: &str = "security.protocol";
/// librdkafka knows it by two names.
const MECHANISM: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];
const PLAIN: [&str; 2] = ["plaintext", "sasl_plaintext"];
const TLS: [&str; 2] = ["ssl", "sasl_ssl"];
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
const WITHOUT_TLS: &str =
    "; this program was built without TLS, which ssl, sasl_ssl and SCRAM need";

/// What was compiled in.
#[derive(Clone, Copy)]
struct Build {
    tls: bool,
}

impl Build {
    fn here() -> Self {
        let config = ClientConfig::new().create_native_config();
        let features = config.and_then(|config| config.get("builtin.features"));
        let features = features.unwrap_or_default();
        Self {
            tls: features.split(',').any(|feature| feature == "ssl"),
        }
    }

    /// Fails with the first option that cannot be done, and what could be.
    fn check(self, client: &BTreeMap<String, String>) -> Result<(), LogError> {
        let with = |always: &[&'static str], by_tls: &[&'static str]| {
            let more = by_tls.iter().filter(|_| self.tls);
            always.iter().chain(more).copied().collect::<Vec<_>>()
        };
        let hint = if self.tls { "" } else { WITHOUT_TLS };
        let refuse = |key: &str, value: &str, allowed: &[&str]| {
            let doing = format!("kafka.client.{key} = {value}");
            let expected = format!("expected {}{hint}", allowed.join(" or "));
            Err(LogError::new(Remedy::Stop, doing, expected))
        };
        let protocol = client.get(PROTOCOL);
        let protocols = with(&PLAIN, &TLS);
        if let Some(value) = protocol
            && !protocols.contains(&&*value.to_ascii_lowercase())
        {
            return refuse(PROTOCOL, value, &protocols);
        }
        let mechanisms = with(&["PLAIN"], &SCRAM);
        let mut is_named = false;
        for key in MECHANISM {
            let Some(value) = client.get(key) else {
                continue;
            };
            is_named = true;
            if !mechanisms.contains(&&**value) {
                return refuse(key, value, &mechanisms);
            }
        }
        let has_users = protocol.is_some_and(|it| it.to_ascii_lowercase().starts_with("sasl_"));
        if has_users && !is_named {
            // Kafka's own default is Kerberos.
            return refuse(MECHANISM[0], "GSSAPI (default)", &mechanisms);
        }
        Ok(())
    }
}

/// # Errors
/// The first option that this build cannot do.
pub(super) fn check(client: &BTreeMap<String, String>) -> Result<(), LogError> {
    Build::here().check(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of `key=value` words, if anything.
    fn said(tls: bool, options: &str) -> String {
        let options = options.split_whitespace().map(|option| {
            let (key, value) = option.split_once('=').expect("key=value");
            (key.to_owned(), value.to_owned())
        });
        let outcome = Build { tls }.check(&options.collect());
        outcome.err().map_or(String::new(), |it| it.to_string())
    }

    #[test]
    fn a_build_takes_what_it_can_do_and_names_what_it_cannot() {
        let without = "this program was built without TLS";
        let cases: &[(bool, &str, &[&str])] = &[
            (false, "", &[]),
            (false, "security.protocol=plaintext", &[]),
            (
                false,
                "security.protocol=SASL_PLAINTEXT sasl.mechanism=PLAIN",
                &[],
            ),
            (
                false,
                "security.protocol=sasl_plaintext sasl.mechanisms=PLAIN",
                &[],
            ),
            (
                false,
                "security.protocol=ssl",
                &[
                    "kafka.client.security.protocol = ssl: expected plaintext or sasl_plaintext;",
                    without,
                ],
            ),
            (
                false,
                "security.protocol=SASL_SSL sasl.mechanism=PLAIN",
                &["= SASL_SSL: ", without],
            ),
            (
                false,
                "security.protocol=sasl_plaintext sasl.mechanism=SCRAM-SHA-512",
                &[
                    "kafka.client.sasl.mechanism = SCRAM-SHA-512: expected PLAIN;",
                    without,
                ],
            ),
            (
                false,
                "sasl.mechanisms=OAUTHBEARER",
                &["kafka.client.sasl.mechanisms = OAUTHBEARER: "],
            ),
            (
                false,
                "security.protocol=sasl_plaintext",
                &["kafka.client.sasl.mechanism = GSSAPI (default): expected PLAIN"],
            ),
            (true, "security.protocol=ssl", &[]),
            (
                true,
                "security.protocol=SASL_SSL sasl.mechanism=SCRAM-SHA-256",
                &[],
            ),
            (
                true,
                "security.protocol=tls",
                &[
                    "security.protocol = tls: expected plaintext or sasl_plaintext or ssl or sasl_ssl",
                ],
            ),
            (
                true,
                "security.protocol=sasl_ssl sasl.mechanism=scram-sha-256",
                &[
                    "sasl.mechanism = scram-sha-256: expected PLAIN or SCRAM-SHA-256 or SCRAM-SHA-512",
                ],
            ),
        ];
        for (tls, options, named) in cases {
            let said = said(*tls, options);
            assert_eq!(said.is_empty(), named.is_empty(), "{options}: {said}");
            for name in *named {
                assert!(said.contains(name), "{options}: {said}");
            }
            assert!(!(*tls && said.contains(without)), "{options}: {said}");
        }
    }

    /// What `Cargo.toml` asks of rdkafka, and what the documents say of it.
    #[test]
    fn this_build_is_without_tls() {
        assert!(!Build::here().tls);
    }
}
