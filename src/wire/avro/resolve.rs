//! Resolves a writer's schema against a reader's: what each field of the writer becomes.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a schema has some thirty types, and each rule here is about a few of them"
)]

use super::Field;
use super::decode::MAX_FIELDS;
use super::skip::{Skips, dereference};
use crate::wire::supplier::{Kind, Shape, WRAPPER_FIELDS};
use apache_avro::Schema;
use apache_avro::schema::{
    EnumSchema, NamesRef, RecordField, RecordSchema, ResolvedSchema, UuidSchema,
};
use std::collections::BTreeSet;
use std::sync::Mutex;
use thiserror::Error;

/// Why a writer's records can never be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{fault}", field.as_ref().map_or_else(String::new, |field| format!("field `{field}`: ")))]
pub struct ResolutionError {
    /// The reader's name of the field that cannot be resolved, if it is one field's fault.
    pub field: Option<String>,
    /// What is wrong with it.
    pub fault: ResolutionFault,
}

/// What keeps a writer's schema from being read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResolutionFault {
    /// The writer's schema is no record.
    #[error("the writer's schema is no record")]
    WriterIsNoRecord,
    /// The reader's schema is no record of at most [`MAX_FIELDS`] fields.
    #[error("the reader's schema is no record of at most {MAX_FIELDS} fields")]
    ReaderIsNoRecord,
    /// The reader's field is of a type that no record of ours has.
    #[error("a reader's field cannot be {0}")]
    ReaderType(&'static str),
    /// The reader's default is none for the field's type.
    #[error("the reader's default does not fit the field")]
    ReaderDefault,
    /// The writer does not have the field, and the reader has no default for it.
    #[error("the writer does not have it, and it has no default")]
    Missing,
    /// The writer's type cannot become the reader's.
    #[error("the writer's {writer} cannot be read as {reader}")]
    Types {
        /// The writer's type.
        writer: &'static str,
        /// The reader's type.
        reader: &'static str,
    },
    /// Both sides say what the number means, and not the same.
    #[error("the writer's {writer} means something else than the reader's {reader}")]
    LogicalTypes {
        /// The writer's logical type.
        writer: &'static str,
        /// The reader's logical type.
        reader: &'static str,
    },
    /// The writer's schema refers to a type that it does not define.
    #[error("the writer's schema does not define `{0}`")]
    UnknownName(String),
    /// The writer's schema contradicts itself.
    #[error("the writer's schema is invalid: {0}")]
    Writer(String),
}

impl ResolutionFault {
    fn of(self, field: &str) -> ResolutionError {
        ResolutionError {
            field: Some(field.to_owned()),
            fault: self,
        }
    }
}

impl From<ResolutionFault> for ResolutionError {
    fn from(fault: ResolutionFault) -> Self {
        Self { field: None, fault }
    }
}

/// How a value of the writer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Null,
    Bool,
    Int,
    Long,
    /// A writer's int that the reader holds as a long.
    IntAsLong,
    Text,
    /// A symbol, through the table at that index.
    Symbol(u16),
    /// A null where the reader needs a value.
    UnexpectedNull,
    /// A union's branch of a type that the reader cannot hold.
    Unreadable,
}

/// What is done with one field of the writer, in the writer's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Read into a slot of the reader.
    Plain {
        slot: u8,
        read: Read,
    },
    /// Read a union of null and one other type.
    Nullable {
        slot: u8,
        null: u8,
        read: Read,
    },
    /// Read a union, by the branches from `first` on.
    Union {
        slot: u8,
        first: u16,
        count: u16,
    },
    /// Step over it.
    Skip(usize),
    // What most fields are, in one step instead of two.
    Int(u8),
    Long(u8),
    Text(u8),
    NullableInt {
        slot: u8,
        null: u8,
    },
    NullableLong {
        slot: u8,
        null: u8,
    },
    NullableText {
        slot: u8,
        null: u8,
    },
}

impl Op {
    /// The same in one step, where there is one.
    const fn fused(self) -> Self {
        match self {
            Self::Plain {
                slot,
                read: Read::Int,
            } => Self::Int(slot),
            Self::Plain {
                slot,
                read: Read::Long,
            } => Self::Long(slot),
            Self::Plain {
                slot,
                read: Read::Text,
            } => Self::Text(slot),
            Self::Nullable {
                slot,
                null,
                read: Read::Int,
            } => Self::NullableInt { slot, null },
            Self::Nullable {
                slot,
                null,
                read: Read::Long,
            } => Self::NullableLong { slot, null },
            Self::Nullable {
                slot,
                null,
                read: Read::Text,
            } => Self::NullableText { slot, null },
            other => other,
        }
    }
}

/// A field of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// Everything that decoding needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) ops: Vec<Op>,
    /// The writer's name of each op's field.
    pub(super) names: Vec<String>,
    pub(super) branches: Vec<Read>,
    /// For each enum the reader's index of each of the writer's symbols.
    pub(super) symbols: Vec<Vec<Option<u8>>>,
    pub(super) skips: Skips,
    pub(super) slots: Vec<Slot>,
    pub(super) shape: Shape,
    /// The reader's defaults, where the writer has no such field.
    pub(super) blank: [Field<'static>; MAX_FIELDS],
    pub(super) unnamed: Vec<String>,
    /// True when canonical bytes of the content after the wrapper are the same in both schemas.
    pub(super) verbatim: bool,
    /// True when the writer's fields are the reader's own, in order: the record reads itself.
    pub(super) own: bool,
}

/// Resolves one schema against the other.
pub(super) fn resolve(writer: &Schema, reader: &Schema) -> Result<Plan, ResolutionError> {
    let resolved =
        ResolvedSchema::new(writer).map_err(|error| ResolutionFault::Writer(error.to_string()))?;
    let Schema::Record(writer) = writer else {
        return Err(ResolutionFault::WriterIsNoRecord.into());
    };
    let reader = match reader {
        Schema::Record(record) if record.fields.len() <= MAX_FIELDS => record,
        _ => return Err(ResolutionFault::ReaderIsNoRecord.into()),
    };
    let slots: Vec<(Slot, &Schema)> = reader
        .fields
        .iter()
        .map(|field| slot(&field.schema).map_err(|fault| fault.of(&field.name)))
        .collect::<Result<_, _>>()?;
    let kinds: Vec<(Kind, bool)> = slots
        .iter()
        .map(|(slot, _)| (slot.kind, slot.nullable))
        .collect();
    let claims = claims(writer, reader);
    let mut plan = Plan {
        ops: Vec::with_capacity(writer.fields.len()),
        names: writer
            .fields
            .iter()
            .map(|field| field.name.clone())
            .collect(),
        branches: Vec::new(),
        symbols: Vec::new(),
        skips: Skips::default(),
        slots: slots.iter().map(|&(slot, _)| slot).collect(),
        shape: Shape::of(&kinds),
        blank: [Field::Null; MAX_FIELDS],
        unnamed: Vec::new(),
        verbatim: false,
        own: false,
    };
    for (index, field) in reader.fields.iter().enumerate() {
        if !claims.contains(&Some(index)) {
            plan.blank[index] =
                default(field, slots[index]).map_err(|fault| fault.of(&field.name))?;
        }
    }
    let names = resolved.get_names();
    let space = writer.name.namespace();
    for (field, claim) in writer.fields.iter().zip(&claims) {
        let op = if let &Some(index) = claim {
            let op = plan.read_field(index, &field.schema, slots[index], names, space);
            op.map_err(|fault| fault.of(&reader.fields[index].name))?
        } else {
            plan.unnamed.push(field.name.clone());
            let skip = plan.skips.add(&field.schema, names, space);
            Op::Skip(skip.map_err(|fault| fault.of(&field.name))?)
        };
        plan.ops.push(op);
    }
    plan.verbatim = plan.is_verbatim();
    let pairs = writer.fields.iter().zip(&reader.fields);
    plan.own = plan.verbatim
        && pairs
            .into_iter()
            .all(|(writer, reader)| writer.name == reader.name && writer.schema == reader.schema);
    for op in &mut plan.ops {
        *op = op.fused();
    }
    Ok(plan)
}

/// For each field of the writer the reader's field that it feeds. A name goes before any alias.
fn claims(writer: &RecordSchema, reader: &RecordSchema) -> Vec<Option<usize>> {
    let mut claims: Vec<Option<usize>> = vec![None; writer.fields.len()];
    let position = |name: &str| writer.fields.iter().position(|field| field.name == name);
    let mut unfed = Vec::new();
    for (index, field) in reader.fields.iter().enumerate() {
        match position(&field.name) {
            Some(writers) => claims[writers] = Some(index),
            None => unfed.push(index),
        }
    }
    for index in unfed {
        let aliases = reader.fields[index].aliases.iter();
        let free = aliases
            .filter_map(|alias| position(alias))
            .find(|&writers| claims[writers].is_none());
        if let Some(writers) = free {
            claims[writers] = Some(index);
        }
    }
    claims
}

impl Plan {
    fn read_field<'s>(
        &mut self,
        index: usize,
        writer: &'s Schema,
        reader: (Slot, &Schema),
        names: &NamesRef<'s>,
        space: Option<&str>,
    ) -> Result<Op, ResolutionFault> {
        let slot = u8::try_from(index).expect("a reader has at most MAX_FIELDS fields");
        let writer = target(writer, names, space)?;
        let Schema::Union(union) = writer else {
            let read = self
                .read(writer, reader)?
                .ok_or_else(|| mismatch(writer, reader.1))?;
            return Ok(Op::Plain { slot, read });
        };
        let mut reads = Vec::with_capacity(union.variants().len());
        for branch in union.variants() {
            let branch = target(branch, names, space)?;
            reads.push(match branch {
                Schema::Null if !reader.0.nullable => Read::UnexpectedNull,
                other => self.read(other, reader)?.unwrap_or(Read::Unreadable),
            });
        }
        if !reads
            .iter()
            .any(|read| !matches!(read, Read::UnexpectedNull | Read::Unreadable))
        {
            return Err(mismatch(writer, reader.1));
        }
        Ok(match reads[..] {
            [Read::Null, read] => Op::Nullable {
                slot,
                null: 0,
                read,
            },
            [read, Read::Null] => Op::Nullable {
                slot,
                null: 1,
                read,
            },
            _ => {
                let first = table_index(self.branches.len())?;
                let count = table_index(reads.len())?;
                self.branches.append(&mut reads);
                Op::Union { slot, first, count }
            }
        })
    }

    /// How a writer's type other than a union is read, or none when the reader cannot hold it.
    fn read(
        &mut self,
        writer: &Schema,
        (slot, reader): (Slot, &Schema),
    ) -> Result<Option<Read>, ResolutionFault> {
        if let (Some(writers), Some(readers)) = (logical(writer), logical(reader))
            && writers != readers
        {
            return Err(ResolutionFault::LogicalTypes {
                writer: writers,
                reader: readers,
            });
        }
        Ok(match (writer, slot.kind) {
            (Schema::Null, _) => slot.nullable.then_some(Read::Null),
            (Schema::Boolean, Kind::Bool) => Some(Read::Bool),
            (Schema::Int | Schema::Date | Schema::TimeMillis, Kind::Int) => Some(Read::Int),
            (Schema::Int | Schema::Date | Schema::TimeMillis, Kind::Long) => Some(Read::IntAsLong),
            (
                Schema::Long
                | Schema::TimeMicros
                | Schema::TimestampMillis
                | Schema::TimestampMicros
                | Schema::TimestampNanos
                | Schema::LocalTimestampMillis
                | Schema::LocalTimestampMicros
                | Schema::LocalTimestampNanos,
                Kind::Long,
            ) => Some(Read::Long),
            (Schema::String | Schema::Bytes | Schema::Uuid(UuidSchema::String), Kind::Text) => {
                Some(Read::Text)
            }
            (Schema::Enum(writers), Kind::Symbol) => {
                let Schema::Enum(readers) = reader else {
                    return Ok(None);
                };
                let table = table_index(self.symbols.len())?;
                self.symbols.push(symbols(writers, readers));
                Some(Read::Symbol(table))
            }
            _ => None,
        })
    }

    /// Whether, before any step is fused, every field after the wrapper stands in the reader's place and in its encoding.
    fn is_verbatim(&self) -> bool {
        let count = self.slots.len();
        let fed = |op: &Op| match *op {
            Op::Plain { slot, .. } | Op::Nullable { slot, .. } | Op::Union { slot, .. } => {
                Some(usize::from(slot))
            }
            _ => None,
        };
        self.ops.len() == count
            && count >= WRAPPER_FIELDS
            && self.ops.iter().enumerate().all(|(index, op)| {
                let Some(slot) = fed(op) else { return false };
                if index < WRAPPER_FIELDS {
                    return slot < WRAPPER_FIELDS;
                }
                slot == index
                    && match *op {
                        Op::Plain { read, .. } => {
                            !self.slots[slot].nullable && self.keeps_bytes(read)
                        }
                        Op::Nullable { null, read, .. } => null == 0 && self.keeps_bytes(read),
                        _ => false,
                    }
            })
    }

    fn keeps_bytes(&self, read: Read) -> bool {
        match read {
            // An int and a long of the same value are the same bytes.
            Read::Bool | Read::Int | Read::Long | Read::IntAsLong | Read::Text => true,
            Read::Symbol(table) => {
                let mut table = self.symbols[usize::from(table)].iter().enumerate();
                table.all(|(index, &symbol)| symbol.map(usize::from) == Some(index))
            }
            Read::Null | Read::UnexpectedNull | Read::Unreadable => false,
        }
    }
}

fn table_index(length: usize) -> Result<u16, ResolutionFault> {
    u16::try_from(length).map_err(|_| ResolutionFault::Writer("too many union branches".to_owned()))
}

/// A schema that is no reference.
fn target<'s>(
    schema: &'s Schema,
    names: &NamesRef<'s>,
    space: Option<&str>,
) -> Result<&'s Schema, ResolutionFault> {
    match schema {
        Schema::Ref { name } => Ok(dereference(name, names, space)?.0),
        other => Ok(other),
    }
}

/// The slot of a reader's field, with the schema of its value.
fn slot(schema: &Schema) -> Result<(Slot, &Schema), ResolutionFault> {
    let kind = |schema: &Schema| match schema {
        Schema::Boolean => Ok(Kind::Bool),
        Schema::Int | Schema::Date | Schema::TimeMillis => Ok(Kind::Int),
        Schema::Long | Schema::TimestampMillis | Schema::LocalTimestampMillis => Ok(Kind::Long),
        Schema::String => Ok(Kind::Text),
        Schema::Enum(symbols) if u8::try_from(symbols.symbols.len()).is_ok() => Ok(Kind::Symbol),
        other => Err(ResolutionFault::ReaderType(type_name(other))),
    };
    match schema {
        Schema::Union(union) => match union.variants() {
            [Schema::Null, value] => Ok((
                Slot {
                    kind: kind(value)?,
                    nullable: true,
                },
                value,
            )),
            _ => Err(ResolutionFault::ReaderType(
                "a union other than of null and a value",
            )),
        },
        value => Ok((
            Slot {
                kind: kind(value)?,
                nullable: false,
            },
            value,
        )),
    }
}

/// The reader's index of each of the writer's symbols: the same symbol's, or the default's.
fn symbols(writer: &EnumSchema, reader: &EnumSchema) -> Vec<Option<u8>> {
    let index = |symbol: &str| {
        let index = reader.symbols.iter().position(|known| known == symbol)?;
        u8::try_from(index).ok()
    };
    let default = reader.default.as_deref().and_then(index);
    writer
        .symbols
        .iter()
        .map(|symbol| index(symbol).or(default))
        .collect()
}

/// The value of a reader's field that the writer does not have.
fn default(
    field: &RecordField,
    (slot, schema): (Slot, &Schema),
) -> Result<Field<'static>, ResolutionFault> {
    let value = field.default.as_ref().ok_or(ResolutionFault::Missing)?;
    if value.is_null() && slot.nullable {
        return Ok(Field::Null);
    }
    let fitting = match (slot.kind, schema) {
        (Kind::Bool, _) => value.as_bool().map(Field::Bool),
        (Kind::Int, _) => value
            .as_i64()
            .and_then(|int| i32::try_from(int).ok())
            .map(Field::Int),
        (Kind::Long, _) => value.as_i64().map(Field::Long),
        (Kind::Text, _) => value.as_str().map(|text| Field::Text(interned(text))),
        (Kind::Symbol, Schema::Enum(symbols)) => value.as_str().and_then(|text| {
            let index = symbols.symbols.iter().position(|symbol| symbol == text)?;
            u8::try_from(index).ok().map(Field::Symbol)
        }),
        (Kind::Symbol, _) => None,
    };
    fitting.ok_or(ResolutionFault::ReaderDefault)
}

/// A text that lives as long as the program. Defaults come from the program's own schemas, so there are few.
fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS
        .lock()
        .expect("nothing panics while it holds the lock");
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = text.to_owned().leak();
    texts.insert(kept);
    kept
}

fn mismatch(writer: &Schema, reader: &Schema) -> ResolutionFault {
    ResolutionFault::Types {
        writer: type_name(writer),
        reader: type_name(reader),
    }
}

/// What a number means, where its schema says so.
fn logical(schema: &Schema) -> Option<&'static str> {
    match schema {
        Schema::Date
        | Schema::TimeMillis
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Some(type_name(schema)),
        _ => None,
    }
}

fn type_name(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes => "bytes",
        Schema::String => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Record(_) => "record",
        Schema::Enum(_) => "enum",
        Schema::Fixed(_) => "fixed",
        Schema::Decimal(_) | Schema::BigDecimal => "decimal",
        Schema::Uuid(_) => "uuid",
        Schema::Date => "date",
        Schema::TimeMillis => "time-millis",
        Schema::TimeMicros => "time-micros",
        Schema::TimestampMillis => "timestamp-millis",
        Schema::TimestampMicros => "timestamp-micros",
        Schema::TimestampNanos => "timestamp-nanos",
        Schema::LocalTimestampMillis => "local-timestamp-millis",
        Schema::LocalTimestampMicros => "local-timestamp-micros",
        Schema::LocalTimestampNanos => "local-timestamp-nanos",
        Schema::Duration(_) => "duration",
        Schema::Ref { .. } => "a reference",
    }
}
