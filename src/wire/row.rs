//! Rows of aggregates read where their records lie: who follows every row makes no shape of each.

use super::avro::{Cursor, DecodeError, Fault};
use super::datum::{Avro, array};
use super::output::{ClosedBy, Finality};

/// An [`AggregateKey`](super::output::AggregateKey), borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    pub aggregate: &'a str,
    pub level: &'a str,
    pub code: &'a str,
    pub window_start: &'a str,
    pub window_end: &'a str,
    /// Names and values.
    pub dimensions: Vec<(&'a str, &'a str)>,
}

/// An [`AggregateValue`](super::output::AggregateValue), borrowed, but for the transaction that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<'a> {
    /// Measures and values.
    pub counts: Vec<(&'a str, i64)>,
    pub ratios: Vec<(&'a str, f64)>,
    pub as_of: i64,
    pub revision: i32,
    pub finality: Finality,
    pub closed_by: ClosedBy,
}

impl<'a> Key<'a> {
    /// # Errors
    /// When the bytes are no key of ours.
    pub fn from_bytes(datum: &'a [u8]) -> Result<Self, DecodeError> {
        whole(datum, |cursor| {
            Ok(Self {
                aggregate: cursor.text()?,
                level: cursor.text()?,
                code: cursor.text()?,
                window_start: cursor.text()?,
                window_end: cursor.text()?,
                dimensions: array(cursor, |cursor| Ok((cursor.text()?, cursor.text()?)))?,
            })
        })
    }
}

impl<'a> Value<'a> {
    /// # Errors
    /// When the bytes are no value of ours.
    pub fn from_bytes(datum: &'a [u8]) -> Result<Self, DecodeError> {
        whole(datum, |cursor| {
            let read = Self {
                counts: array(cursor, |cursor| Ok((cursor.text()?, cursor.long()?)))?,
                ratios: array(cursor, |cursor| Ok((cursor.text()?, f64::read(cursor)?)))?,
                as_of: cursor.long()?,
                revision: cursor.int()?,
                finality: Finality::read(cursor)?,
                closed_by: ClosedBy::read(cursor)?,
            };
            if cursor.branch()? == 1 {
                // The task and the number of its manifest.
                cursor.text()?;
                cursor.long()?;
            }
            Ok(read)
        })
    }
}

/// A value that takes the whole datum.
fn whole<'a, T>(
    datum: &'a [u8],
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Fault>,
) -> Result<T, DecodeError> {
    let mut cursor = Cursor::new(datum);
    let value = read(&mut cursor).and_then(|value| {
        let is_whole = cursor.at == datum.len();
        is_whole.then_some(value).ok_or(Fault::TrailingBytes)
    });
    value.map_err(|fault| DecodeError {
        fault,
        at: cursor.at,
        field: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::datum::Datum;
    use crate::wire::output::{
        AggregateKey, AggregateValue, Count, Dimension, Figures, Published, Ratio, WrittenBy,
    };

    fn key() -> AggregateKey {
        AggregateKey {
            aggregate: "pressure".into(),
            level: "icb".into(),
            code: "QVV".into(),
            window_start: "2022-02-01T09:00:00Z".into(),
            window_end: "2022-02-01T10:00:00Z".into(),
            dimensions: vec![Dimension {
                name: "status".into(),
                value: "Attended".into(),
            }],
        }
    }

    fn value(written_by: Option<WrittenBy>) -> AggregateValue {
        AggregateValue {
            figures: Figures {
                counts: vec![Count {
                    measure: "bookings".into(),
                    value: -7,
                }],
                ratios: vec![Ratio {
                    measure: "wait_90th".into(),
                    value: 9.5,
                }],
            },
            published: Published {
                as_of: 1_646_300_000_000,
                revision: 12,
                finality: Finality::Restated,
                closed_by: ClosedBy::Idle,
                written_by,
            },
        }
    }

    #[test]
    fn a_row_reads_as_its_shapes_do() {
        let bytes = key().to_bytes();
        let read = Key::from_bytes(&bytes).unwrap();
        let expected = Key {
            aggregate: "pressure",
            level: "icb",
            code: "QVV",
            window_start: "2022-02-01T09:00:00Z",
            window_end: "2022-02-01T10:00:00Z",
            dimensions: vec![("status", "Attended")],
        };
        assert_eq!(read, expected);
        let by = WrittenBy {
            task: "rollup-0".into(),
            sequence: 9,
        };
        for written_by in [None, Some(by)] {
            let bytes = value(written_by).to_bytes();
            let expected = Value {
                counts: vec![("bookings", -7)],
                ratios: vec![("wait_90th", 9.5)],
                as_of: 1_646_300_000_000,
                revision: 12,
                finality: Finality::Restated,
                closed_by: ClosedBy::Idle,
            };
            assert_eq!(Value::from_bytes(&bytes).unwrap(), expected);
        }
    }

    proptest! {
        /// Whatever the bytes, the borrowed and the owned readers agree on whether they are a row.
        #[test]
        fn both_readers_refuse_the_same(cut in 0..200_usize, at in 0..200_usize, byte in any::<u8>()) {
            let by = WrittenBy { task: "0".into(), sequence: 1 };
            let (mut key, mut value) = (key().to_bytes(), value(Some(by)).to_bytes());
            for bytes in [&mut key, &mut value] {
                let end = bytes.len();
                bytes[at % end] = byte;
                bytes.truncate(end.saturating_sub(cut % 4));
            }
            let fault = |error: DecodeError| error.fault;
            prop_assert_eq!(
                Key::from_bytes(&key).map(|_| ()).map_err(fault),
                AggregateKey::from_bytes(&key).map(|_| ()).map_err(fault)
            );
            prop_assert_eq!(
                Value::from_bytes(&value).map(|_| ()).map_err(fault),
                AggregateValue::from_bytes(&value).map(|_| ()).map_err(fault)
            );
        }
    }
}
