//! Owned shapes with one encoding each: the same value, the same bytes.

use super::avro::{Cursor, DecodeError, Fault, encode};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// A part of a shape: what its schema's type is written as.
pub trait Avro: Sized {
    /// Appends the value's one encoding.
    fn write(&self, into: &mut Vec<u8>);

    /// Reads a value.
    ///
    /// # Errors
    /// When no such value stands at the cursor.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault>;
}

/// Why a datum of some writer is no value of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DatumError {
    /// The bytes are no datum of our schema.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The datum cannot be read with the writer's schema, or not be resolved to ours.
    #[error("{0}")]
    Resolve(String),
}

/// A shape that stands alone, with a schema of its own.
pub trait Datum: Avro {
    /// Text of the schema, as it is registered and as files carry it.
    const SCHEMA: &'static str;

    /// The schema, parsed once.
    fn schema() -> &'static Schema;

    /// The value's one encoding.
    #[must_use]
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Decodes a datum of our own schema.
    ///
    /// # Errors
    /// When the bytes are no such datum, or more than it.
    fn from_bytes(datum: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = datum;
        let value = Self::from_front(&mut rest)?;
        if rest.is_empty() {
            return Ok(value);
        }
        let at = datum.len() - rest.len();
        Err(DecodeError {
            fault: Fault::TrailingBytes,
            at,
            field: None,
        })
    }

    /// Decodes a datum of our own schema at the front of a slice, and moves the slice past it.
    ///
    /// # Errors
    /// When no such datum stands there.
    fn from_front(front: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(front);
        let read = Self::read(&mut cursor);
        let value = read.map_err(|fault| DecodeError {
            fault,
            at: cursor.at,
            field: None,
        })?;
        *front = &front[cursor.at..];
        Ok(value)
    }

    /// Decodes a datum of any writer's schema, resolved by field name whatever the record is called.
    ///
    /// # Errors
    /// When the bytes are no datum of the writer's schema, more than it, or cannot become a value of ours.
    fn decode(writer: &Schema, datum: &[u8]) -> Result<Self, DatumError> {
        let mut rest = datum;
        let value = Resolver::new(writer)?.front(&mut rest)?;
        if rest.is_empty() {
            return Ok(value);
        }
        let at = datum.len() - rest.len();
        Err(DecodeError {
            fault: Fault::TrailingBytes,
            at,
            field: None,
        }
        .into())
    }
}

/// Whether a writer's datums are datums of our own schema. It takes long beside decoding one.
#[must_use]
pub fn is_ours<T: Datum>(writer: &Schema) -> bool {
    // Not the canonical forms: they leave out what a number means.
    serde_json::to_value(writer).ok() == serde_json::to_value(T::schema()).ok()
}

/// Reads datums of one writer's schema as values of ours.
pub struct Resolver<'s, T> {
    /// None where the writer's schema is ours.
    other: Option<GenericDatumReader<'s>>,
    value: std::marker::PhantomData<T>,
}

impl<'s, T: Datum> Resolver<'s, T> {
    /// Prepares to read a writer's datums.
    ///
    /// # Errors
    /// When the writer's schema contradicts itself.
    pub fn new(writer: &'s Schema) -> Result<Self, DatumError> {
        let other = if is_ours::<T>(writer) {
            None
        } else {
            let reader = GenericDatumReader::builder(writer)
                .reader_schema(T::schema())
                .build();
            Some(reader.map_err(|error| DatumError::Resolve(error.to_string()))?)
        };
        Ok(Self {
            other,
            value: std::marker::PhantomData,
        })
    }

    /// Decodes the datum at the front of a slice, and moves the slice past it.
    ///
    /// # Errors
    /// When no such datum stands there, or it cannot become a value of ours.
    pub fn front(&self, front: &mut &[u8]) -> Result<T, DatumError> {
        let Some(reader) = &self.other else {
            return Ok(T::from_front(front)?);
        };
        let resolve = |error: apache_avro::Error| DatumError::Resolve(error.to_string());
        let value = reader.read_value(front).map_err(resolve)?;
        let writer = GenericDatumWriter::builder(T::schema())
            .build()
            .map_err(resolve)?;
        let ours = writer.write_value_to_vec(value).map_err(resolve)?;
        Ok(T::from_bytes(&ours)?)
    }
}

/// Bytes, shown as hexadecimal digits.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A type that is written by one function of [`encode`] and read by one of the cursor.
macro_rules! primitive {
    ($type:ty, $write:path, $read:ident) => {
        impl Avro for $type {
            #[inline]
            fn write(&self, into: &mut Vec<u8>) {
                $write(*self, into);
            }

            #[inline]
            fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
                cursor.$read()
            }
        }
    };
}

primitive!(i32, encode::int, int);
primitive!(i64, encode::long, long);
primitive!(bool, encode::boolean, boolean);

impl Avro for f64 {
    fn write(&self, into: &mut Vec<u8>) {
        encode::double(*self, into);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(cursor.take(8)?);
        Ok(Self::from_le_bytes(bytes))
    }
}

impl Avro for String {
    fn write(&self, into: &mut Vec<u8>) {
        encode::text(self, into);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        cursor.text().map(str::to_owned)
    }
}

impl Avro for Bytes {
    fn write(&self, into: &mut Vec<u8>) {
        encode::bytes(&self.0, into);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        cursor.lengthed().map(|bytes| Self(bytes.to_vec()))
    }
}

impl<T: Avro> Avro for Option<T> {
    fn write(&self, into: &mut Vec<u8>) {
        encode::optional(self.as_ref(), into, T::write);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        match cursor.index(2, Fault::BadUnionBranch)? {
            0 => Ok(None),
            _ => T::read(cursor).map(Some),
        }
    }
}

impl<T: Avro> Avro for Vec<T> {
    fn write(&self, into: &mut Vec<u8>) {
        encode::array(self, into, T::write);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        array(cursor, T::read)
    }
}

/// Reads the blocks of an array.
pub(super) fn array<'a, T>(
    cursor: &mut Cursor<'a>,
    item: impl Fn(&mut Cursor<'a>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    // Grows with what is read, not with what is promised, but for a few; every item of ours takes at least a byte.
    const FEW: u64 = 64;
    let mut items = Vec::new();
    loop {
        let count = cursor.long()?;
        if count == 0 {
            return Ok(items);
        }
        items.reserve_exact(count.unsigned_abs().min(FEW) as usize);
        if count < 0 {
            // The block's size in bytes, for readers that skip.
            cursor.long()?;
        }
        for _ in 0..count.unsigned_abs() {
            items.push(item(cursor)?);
        }
    }
}

/// A struct and its [`Avro`], from one list of fields in the schema's order; with a file's name, its [`Datum`] too.
macro_rules! shape {
    (
        $(#[$attribute:meta])*
        pub struct $shape:ident $(of $file:literal)? {
            $($(#[$about:meta])* $name:ident: $type:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $shape {
            $($(#[$about])* pub $name: $type,)*
        }

        impl $crate::wire::datum::Avro for $shape {
            fn write(&self, into: &mut Vec<u8>) {
                $($crate::wire::datum::Avro::write(&self.$name, into);)*
            }

            fn read(
                cursor: &mut $crate::wire::avro::Cursor<'_>,
            ) -> Result<Self, $crate::wire::avro::Fault> {
                Ok(Self { $($name: $crate::wire::datum::Avro::read(cursor)?,)* })
            }
        }

        $(
            impl $crate::wire::datum::Datum for $shape {
                const SCHEMA: &'static str =
                    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/", $file, ".avsc"));

                fn schema() -> &'static apache_avro::Schema {
                    static SCHEMA: std::sync::LazyLock<apache_avro::Schema> = std::sync::LazyLock::new(|| {
                        apache_avro::Schema::parse_str(<$shape as $crate::wire::datum::Datum>::SCHEMA)
                            .expect("the schema is part of the program, and a test parses it")
                    });
                    &SCHEMA
                }
            }
        )?
    };
}

/// An enum and its [`Avro`], from one list of symbols in the schema's order.
macro_rules! symbols {
    (
        $(#[$attribute:meta])*
        pub enum $symbols:ident {
            $($(#[$about:meta])* $variant:ident = $symbol:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
        pub enum $symbols {
            $($(#[$about])* #[serde(rename = $symbol)] $variant,)*
        }

        impl $symbols {
            /// Every symbol, in the schema's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The symbol's text in the schema.
            #[must_use]
            pub const fn symbol(self) -> &'static str {
                match self {
                    $(Self::$variant => $symbol,)*
                }
            }
        }

        impl $crate::wire::datum::Avro for $symbols {
            fn write(&self, into: &mut Vec<u8>) {
                $crate::wire::avro::encode::int(*self as i32, into);
            }

            fn read(
                cursor: &mut $crate::wire::avro::Cursor<'_>,
            ) -> Result<Self, $crate::wire::avro::Fault> {
                let index = cursor.index(Self::ALL.len(), $crate::wire::avro::Fault::BadEnumIndex)?;
                Ok(Self::ALL[index])
            }
        }
    };
}

pub(in crate::wire) use {shape, symbols};

#[cfg(test)]
mod tests {
    use super::Avro;
    use crate::wire::avro::{Cursor, Fault};

    #[test]
    fn arrays_come_in_blocks_with_and_without_their_size() {
        let read = |bytes: &[u8]| Vec::<i32>::read(&mut Cursor::new(bytes));
        // One block of two; then a block of one whose negative count brings its size of one byte.
        assert_eq!(read(&[4, 2, 4, 1, 2, 6, 0]), Ok(vec![1, 2, 3]));
        assert_eq!(read(&[4, 2]), Err(Fault::Truncated));
    }
}
