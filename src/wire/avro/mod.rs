//! Avro binary without intermediate values: a writer's schema is resolved against the reader's once, records are then read in place.

mod cursor;
mod decode;
pub mod encode;
#[cfg(test)]
mod laws;
mod quick;
mod resolve;
mod skip;
mod step;

pub use cursor::{Cursor, Fault};
pub use decode::{DecodeError, Decoded, Decoder, MAX_FIELDS};
pub use quick::Quick;
pub use resolve::{ResolutionError, ResolutionFault};
pub use step::Stepper;

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
