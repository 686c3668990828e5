//! Reads records of one writer's schema in place.

use super::cursor::{Cursor, Fault};
use super::quick::Quick;
use super::resolve::{Op, Plan, Read, ResolutionError, resolve};
use super::{Field, encode};
use crate::wire::supplier::{SupplierRecord, WRAPPER_FIELDS};
use apache_avro::Schema;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// How many fields a reader's record may have: they are decoded on the stack.
pub const MAX_FIELDS: usize = 40;

/// A writer's schema, resolved against the reader's of one record.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
}

/// What is told of a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// XXH3 of the reader's canonical encoding of the fields after the wrapper: the same for every writer of the same values.
    pub content: u64,
    /// Bytes that it took.
    pub bytes: usize,
}

/// Why a datum is no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} at byte {at}{}", field.as_ref().map_or_else(String::new, |field| format!(", field `{field}`")))]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// How many bytes of the datum had been read.
    pub at: usize,
    /// The writer's name of the field that was being read, if it was one.
    pub field: Option<String>,
}

impl Decoder {
    /// Resolves a writer's schema against a reader's, once per schema id. Names of records and enums are not compared.
    ///
    /// # Errors
    /// When no datum of the writer could be read: the error names the field.
    pub fn compile(writer: &Schema, reader: &Schema) -> Result<Self, ResolutionError> {
        Ok(Self {
            plan: resolve(writer, reader)?,
        })
    }

    /// The writer's fields that the reader does not name, directly or by alias; they are skipped undecoded.
    #[must_use]
    pub fn unnamed_fields(&self) -> &[String] {
        &self.plan.unnamed
    }

    /// Decodes a datum that is one record and nothing else, into a record that means nothing if it fails. `scratch` is used where
    /// the content has to be encoded anew.
    ///
    /// # Errors
    /// When the bytes are no such record.
    #[inline]
    pub fn decode<'a, R: SupplierRecord<'a>>(
        &self,
        datum: &'a [u8],
        into: &mut R,
        scratch: &mut Vec<u8>,
    ) -> Result<Decoded, DecodeError> {
        let decoded = self.decode_prefix(datum, into, scratch)?;
        if decoded.bytes != datum.len() {
            return Err(DecodeError {
                fault: Fault::TrailingBytes,
                at: decoded.bytes,
                field: None,
            });
        }
        Ok(decoded)
    }

    /// Decodes the record at the front of a slice, and says how many bytes it took: records of a file's block have no length.
    ///
    /// # Errors
    /// When no record stands there.
    #[inline]
    pub fn decode_prefix<'a, R: SupplierRecord<'a>>(
        &self,
        front: &'a [u8],
        into: &mut R,
        scratch: &mut Vec<u8>,
    ) -> Result<Decoded, DecodeError> {
        if R::SHAPE != self.plan.shape {
            return Err(DecodeError {
                fault: Fault::OtherRecord,
                at: 0,
                field: None,
            });
        }
        if self.plan.own {
            let mut quick = Quick::new(front);
            let content = into.read(&mut quick);
            if let Some(rest) = quick.rest() {
                let bytes = front.len() - rest.len();
                let content = xxh3_64(&front[front.len() - content..bytes]);
                return Ok(Decoded { content, bytes });
            }
        }
        self.decode_resolved(front, into, scratch)
    }

    /// The reader's first field, where it is a text; the rest of the record is not looked at.
    #[must_use]
    pub fn first_text<'a>(&self, front: &'a [u8]) -> Option<&'a str> {
        let mut cursor = Cursor::new(front);
        if let [Op::Text(0), ..] = self.plan.ops[..] {
            return cursor.text().ok();
        }
        let mut fields: [Field<'a>; MAX_FIELDS] = self.plan.blank;
        for op in &self.plan.ops {
            self.read_field(*op, &mut cursor, &mut fields).ok()?;
            if let Field::Text(text) = fields[0] {
                return Some(text);
            }
        }
        None
    }

    /// Step by step, as the plan says; also what is wrong with a record, and where, that could not read itself.
    fn decode_resolved<'a, R: SupplierRecord<'a>>(
        &self,
        front: &'a [u8],
        into: &mut R,
        scratch: &mut Vec<u8>,
    ) -> Result<Decoded, DecodeError> {
        let mut fields = self.plan.blank;
        let mut cursor = Cursor::new(front);
        let content = self.read_fields(&mut cursor, &mut fields)?;
        let bytes = cursor.at;
        let content = if self.plan.verbatim && !cursor.padded {
            xxh3_64(&front[content..bytes])
        } else {
            self.encode_content(&fields, scratch);
            xxh3_64(scratch)
        };
        *into = R::from_fields(&fields[..self.plan.slots.len()]);
        Ok(Decoded { content, bytes })
    }

    /// Reads every field of the writer, and says where those after the first four begin.
    fn read_fields<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        fields: &mut [Field<'a>; MAX_FIELDS],
    ) -> Result<usize, DecodeError> {
        let (wrapper, content) = self
            .plan
            .ops
            .split_at(WRAPPER_FIELDS.min(self.plan.ops.len()));
        for (index, op) in wrapper.iter().enumerate() {
            self.read_field(*op, cursor, fields)
                .map_err(|fault| self.error(fault, cursor, index))?;
        }
        let start = cursor.at;
        for (index, op) in content.iter().enumerate() {
            self.read_field(*op, cursor, fields)
                .map_err(|fault| self.error(fault, cursor, index + wrapper.len()))?;
        }
        Ok(start)
    }

    #[cold]
    fn error(&self, fault: Fault, cursor: &Cursor<'_>, op: usize) -> DecodeError {
        DecodeError {
            fault,
            at: cursor.at,
            field: self.plan.names.get(op).cloned(),
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "measured: the loop over the fields is where a decoder lives"
    )]
    #[inline(always)]
    fn read_field<'a>(
        &self,
        op: Op,
        cursor: &mut Cursor<'a>,
        fields: &mut [Field<'a>; MAX_FIELDS],
    ) -> Result<(), Fault> {
        // A field is written in one go: handed about, it would be copied while its parts are still being stored.
        match op {
            Op::Text(slot) => fields[usize::from(slot)] = Field::Text(cursor.text()?),
            Op::NullableText { slot, null } => {
                let branch = cursor.branch()?;
                fields[usize::from(slot)] = if branch == null {
                    Field::Null
                } else {
                    Field::Text(cursor.text()?)
                };
            }
            Op::Int(slot) => fields[usize::from(slot)] = Field::Int(cursor.int()?),
            Op::NullableInt { slot, null } => {
                let branch = cursor.branch()?;
                fields[usize::from(slot)] = if branch == null {
                    Field::Null
                } else {
                    Field::Int(cursor.int()?)
                };
            }
            Op::Long(slot) => fields[usize::from(slot)] = Field::Long(cursor.long()?),
            Op::NullableLong { slot, null } => {
                let branch = cursor.branch()?;
                fields[usize::from(slot)] = if branch == null {
                    Field::Null
                } else {
                    Field::Long(cursor.long()?)
                };
            }
            Op::Plain { slot, read } => {
                return self.read_value(read, cursor, &mut fields[usize::from(slot)]);
            }
            Op::Nullable { slot, null, read } => {
                let read = if cursor.branch()? == null {
                    Read::Null
                } else {
                    read
                };
                return self.read_value(read, cursor, &mut fields[usize::from(slot)]);
            }
            Op::Union { slot, first, count } => {
                let branch = cursor.index(usize::from(count), Fault::BadUnionBranch)?;
                let read = self.plan.branches[usize::from(first) + branch];
                return self.read_value(read, cursor, &mut fields[usize::from(slot)]);
            }
            Op::Skip(index) => return self.plan.skips.skip(index, cursor),
        }
        Ok(())
    }

    /// Reads a value straight into its place.
    #[inline]
    fn read_value<'a>(
        &self,
        read: Read,
        cursor: &mut Cursor<'a>,
        into: &mut Field<'a>,
    ) -> Result<(), Fault> {
        match read {
            Read::Null => *into = Field::Null,
            Read::Bool => *into = Field::Bool(cursor.boolean()?),
            Read::Int => *into = Field::Int(cursor.int()?),
            Read::Long => *into = Field::Long(cursor.long()?),
            Read::IntAsLong => *into = Field::Long(i64::from(cursor.int()?)),
            Read::Text => *into = Field::Text(cursor.text()?),
            Read::Symbol(table) => {
                let symbols = &self.plan.symbols[usize::from(table)];
                let index = cursor.index(symbols.len(), Fault::BadEnumIndex)?;
                *into = Field::Symbol(symbols[index].ok_or(Fault::UnknownSymbol)?);
            }
            Read::UnexpectedNull => return Err(Fault::UnexpectedNull),
            Read::Unreadable => return Err(Fault::UnreadableBranch),
        }
        Ok(())
    }

    /// Encodes the fields after the wrapper as the reader's schema does.
    fn encode_content(&self, fields: &[Field<'_>; MAX_FIELDS], scratch: &mut Vec<u8>) {
        scratch.clear();
        for (field, slot) in fields.iter().zip(&self.plan.slots).skip(WRAPPER_FIELDS) {
            write_field(*field, slot.nullable, scratch);
        }
    }
}

/// Appends a field of a record of ours.
pub(super) fn write_field(field: Field<'_>, nullable: bool, into: &mut Vec<u8>) {
    if nullable {
        encode::int(i32::from(field != Field::Null), into);
    }
    match field {
        Field::Null => {}
        Field::Bool(value) => encode::boolean(value, into),
        Field::Int(value) => encode::int(value, into),
        Field::Long(value) => encode::long(value, into),
        Field::Text(value) => encode::text(value, into),
        Field::Symbol(value) => encode::int(i32::from(value), into),
    }
}
