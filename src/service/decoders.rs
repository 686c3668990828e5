//! From a record's value to what the core decodes: the frame taken off, the writer's schema at hand.

use std::collections::HashMap;
use std::sync::Arc;

use crate::adapters::registry::RegistryError;
use crate::adapters::schemas::{NoSchema, Schemas, reader_schema};
use crate::domain::topic::SupplierTopic;
use crate::pipeline::Payload;
use crate::wire::avro::Decoder;
use crate::wire::framing::unframe;

/// What a schema's id means for one topic.
#[derive(Clone)]
enum Known {
    Decoder(Arc<Decoder>),
    /// Why records of this id cannot be read.
    Useless(Arc<str>),
}

/// The decoders of one task, each compiled once.
pub struct Decoders {
    schemas: Arc<Schemas>,
    known: HashMap<(SupplierTopic, u32), Known>,
    /// The last of each topic: ids change once in months.
    last: [Option<(u32, Known)>; SupplierTopic::ALL.len()],
    detail: String,
}

impl Decoders {
    #[must_use]
    pub fn new(schemas: Arc<Schemas>) -> Self {
        Self {
            schemas,
            known: HashMap::new(),
            last: Default::default(),
            detail: String::new(),
        }
    }

    /// What the core is given of a value.
    ///
    /// # Errors
    /// When the registry is away: the record is neither good nor bad until it is back.
    pub fn payload<'a>(
        &'a mut self,
        topic: SupplierTopic,
        value: Option<&'a [u8]>,
    ) -> Result<Payload<'a>, RegistryError> {
        let raw = value.unwrap_or_default();
        let (id, datum) = match unframe(value) {
            Ok(framed) => framed,
            Err(error) => {
                self.detail = error.to_string();
                return Ok(Payload::Unreadable {
                    raw,
                    detail: &self.detail,
                });
            }
        };
        let is_last = self.last[topic.index()]
            .as_ref()
            .is_some_and(|(last, _)| *last == id);
        if !is_last {
            let Some(known) = self.find(topic, id)? else {
                // Not remembered here: the id may yet be registered.
                self.detail = format!("the registry does not know schema {id}");
                return Ok(Payload::Unreadable {
                    raw,
                    detail: &self.detail,
                });
            };
            self.last[topic.index()] = Some((id, known));
        }
        Ok(match &self.last[topic.index()] {
            Some((_, Known::Decoder(decoder))) => Payload::Datum { decoder, datum },
            Some((_, Known::Useless(detail))) => Payload::Unreadable { raw, detail },
            None => Payload::Unreadable {
                raw,
                detail: "no schema",
            },
        })
    }

    fn find(&mut self, topic: SupplierTopic, id: u32) -> Result<Option<Known>, RegistryError> {
        if let Some(known) = self.known.get(&(topic, id)) {
            return Ok(Some(known.clone()));
        }
        let known = match self.schemas.schema(id) {
            Ok(writer) => match Decoder::compile(&writer, reader_schema(topic)) {
                Ok(decoder) => {
                    let unnamed = decoder.unnamed_fields();
                    if !unnamed.is_empty() {
                        tracing::warn!(%topic, id, fields = unnamed.join(", "), "the writer's schema has fields that we do not name");
                    }
                    Known::Decoder(Arc::new(decoder))
                }
                Err(error) => {
                    tracing::error!(%topic, id, "the writer's schema cannot be read as ours: {error}");
                    Known::Useless(format!("schema {id}: {error}").into())
                }
            },
            Err(NoSchema::Unknown) => return Ok(None),
            Err(NoSchema::Unreadable) => {
                Known::Useless(format!("schema {id} cannot be parsed").into())
            }
            Err(NoSchema::Registry(error)) => return Err(error),
        };
        self.known.insert((topic, id), known.clone());
        Ok(Some(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::framing::frame;

    fn seen(value: Option<&[u8]>) -> String {
        let mut decoders = Decoders::new(Arc::new(Schemas::new(None)));
        match decoders
            .payload(SupplierTopic::EmisAppointments, value)
            .unwrap()
        {
            Payload::Datum { datum, .. } => format!("datum {datum:?}"),
            Payload::Front { .. } => "front".to_owned(),
            Payload::Unreadable { raw, detail } => format!("{raw:?} {detail}"),
        }
    }

    #[test]
    fn a_value_is_a_datum_with_its_decoder_or_says_what_is_wrong() {
        let framed = |id| {
            let mut value = Vec::new();
            frame(id, &[7, 8], &mut value);
            value
        };
        assert_eq!(seen(Some(&framed(1))), "datum [7, 8]");
        assert_eq!(
            seen(Some(&framed(999))),
            "[0, 0, 0, 3, 231, 7, 8] the registry does not know schema 999"
        );
        // A schema of another topic has none of the fields.
        assert!(
            seen(Some(&framed(12))).contains(" schema 12: field"),
            "{}",
            seen(Some(&framed(12)))
        );
        assert_eq!(seen(None), "[] null value");
        assert_eq!(
            seen(Some(&[1, 2, 3, 4, 5, 6])),
            "[1, 2, 3, 4, 5, 6] wrong magic byte 0x01"
        );
    }
}
