//! What a dead letter may tell of a refused record (feeds.md, rules 2, 3 and 12).

use serde_json::{Map, Value};

use crate::domain::disposition::Rejection;
use crate::domain::time::Timestamp;
use crate::domain::topic::SupplierTopic;
use crate::wire::avro::Field;
use crate::wire::supplier::SupplierRecord;

use super::screen::FreeText;

/// A refused record: always its coordinates and the reason, the rest only where the rules let it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub topic: SupplierTopic,
    pub partition: i32,
    pub offset: i64,
    pub reason: Rejection,
    /// The field at fault, by name.
    pub field: Option<String>,
    /// What is wrong, never with a value.
    pub detail: Option<String>,
    pub practice: Option<String>,
    pub extracted_at: Option<Timestamp>,
    /// Key and value of an undecodable record.
    pub raw: Option<(Vec<u8>, Vec<u8>)>,
    /// The decoded record as JSON, without its free text.
    pub content: Option<String>,
}

/// A screened record as JSON. Free text stays out: it can hold a person's name, which no screen
/// finds, and never leaves the service (domain.md §4.8).
pub fn content<'a, R: SupplierRecord<'a> + FreeText>(record: &R) -> String {
    let mut fields = Map::new();
    record.visit(&mut |name, field| {
        if R::FIELDS.contains(&name) {
            return;
        }
        let value = match field {
            Field::Null => Value::Null,
            Field::Bool(value) => value.into(),
            Field::Int(value) => value.into(),
            Field::Long(value) => value.into(),
            Field::Text(value) => value.into(),
            Field::Symbol(value) => value.into(),
        };
        fields.insert(name.to_owned(), value);
    });
    Value::Object(fields).to_string()
}
