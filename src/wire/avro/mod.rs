//! Avro binary without intermediate values.

pub mod encode;

/// One decoded field of a supplier record, text borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// The null of an optional field.
    Null,
    /// A boolean.
    Bool(bool),
    /// An int, whatever its logical type.
    Int(i32),
    /// A long, whatever its logical type.
    Long(i64),
    /// A string.
    Text(&'a str),
    /// Index of a symbol in the reader's enum.
    Symbol(u8),
}
