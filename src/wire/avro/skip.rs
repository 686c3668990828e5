//! Steps over values of any type that the reader does not want.

use super::cursor::{Cursor, Fault};
use super::resolve::ResolutionFault;
use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, NamesRef, UuidSchema};
use std::collections::HashMap;

/// How deep a skipped value may nest. A datum of a recursive type could otherwise exhaust the stack.
const MAX_DEPTH: u32 = 64;

/// How to step over a value; types within refer to others by their index in [`Skips`].
#[derive(Debug)]
enum Skip {
    /// A value of no bytes.
    Nothing,
    Bool,
    Int,
    Long,
    /// A number of bytes that the schema fixes.
    Fixed(usize),
    /// Bytes or text, with their length before them.
    Bytes,
    /// An enum of that many symbols.
    Enum(usize),
    Union(Vec<usize>),
    Record(Vec<usize>),
    Array(usize),
    Map(usize),
}

/// The skips of one writer's schema.
#[derive(Debug, Default)]
pub(super) struct Skips {
    nodes: Vec<Skip>,
    named: HashMap<String, usize>,
}

impl Skips {
    /// The index of the skip of a schema that stands in a namespace.
    pub(super) fn add(
        &mut self,
        schema: &Schema,
        names: &NamesRef,
        space: Option<&str>,
    ) -> Result<usize, ResolutionFault> {
        let node = match schema {
            Schema::Null => Skip::Nothing,
            Schema::Boolean => Skip::Bool,
            Schema::Int | Schema::Date | Schema::TimeMillis => Skip::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Skip::Long,
            Schema::Float => Skip::Fixed(4),
            Schema::Double => Skip::Fixed(8),
            Schema::Bytes
            | Schema::BigDecimal
            | Schema::String
            | Schema::Uuid(UuidSchema::Bytes | UuidSchema::String) => Skip::Bytes,
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => fixed_size(fixed.size),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Skip::Bytes,
                InnerDecimalSchema::Fixed(fixed) => fixed_size(fixed.size),
            },
            Schema::Enum(symbols) => Skip::Enum(symbols.symbols.len()),
            Schema::Array(array) => Skip::Array(self.add(&array.items, names, space)?),
            Schema::Map(map) => Skip::Map(self.add(&map.types, names, space)?),
            Schema::Union(union) => {
                let branches = union
                    .variants()
                    .iter()
                    .map(|branch| self.add(branch, names, space));
                Skip::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => return self.record(record, names, space),
            Schema::Ref { name } => {
                let (target, space) = dereference(name, names, space)?;
                return self.add(target, names, space.as_deref());
            }
        };
        Ok(self.push(node))
    }

    fn push(&mut self, node: Skip) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn record(
        &mut self,
        record: &apache_avro::schema::RecordSchema,
        names: &NamesRef,
        space: Option<&str>,
    ) -> Result<usize, ResolutionFault> {
        let full = record.name.fullname(space);
        if let Some(&index) = self.named.get(&full) {
            return Ok(index);
        }
        // Registered before its fields are, for they may refer to it.
        let index = self.push(Skip::Record(Vec::new()));
        let inner = record.name.namespace().or(space).map(str::to_owned);
        self.named.insert(full, index);
        let fields = record
            .fields
            .iter()
            .map(|field| self.add(&field.schema, names, inner.as_deref()));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let is_empty = fields
            .iter()
            .all(|&field| matches!(self.nodes[field], Skip::Nothing));
        self.nodes[index] = if is_empty {
            Skip::Nothing
        } else {
            Skip::Record(fields)
        };
        Ok(index)
    }

    /// Steps over one value. The work is bounded by the bytes stepped over: whatever repeats takes at least one byte each time.
    pub(super) fn skip(&self, index: usize, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.descend(index, cursor, MAX_DEPTH)
    }

    fn descend(&self, index: usize, cursor: &mut Cursor<'_>, depth: u32) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
        match &self.nodes[index] {
            Skip::Nothing => Ok(()),
            Skip::Bool => cursor.boolean().map(drop),
            Skip::Int => cursor.int().map(drop),
            Skip::Long => cursor.long().map(drop),
            Skip::Fixed(size) => cursor.take(*size).map(drop),
            // Texts too are stepped over undecoded: what they hold is nobody's business here.
            Skip::Bytes => cursor.lengthed().map(drop),
            Skip::Enum(symbols) => cursor.index(*symbols, Fault::BadEnumIndex).map(drop),
            Skip::Union(branches) => {
                let branch = cursor.index(branches.len(), Fault::BadUnionBranch)?;
                self.descend(branches[branch], cursor, depth)
            }
            Skip::Record(fields) => fields
                .iter()
                .try_for_each(|&field| self.descend(field, cursor, depth)),
            Skip::Array(items) => {
                let empty = matches!(self.nodes[*items], Skip::Nothing);
                blocks(cursor, empty, |cursor| self.descend(*items, cursor, depth))
            }
            Skip::Map(values) => blocks(cursor, false, |cursor| {
                cursor.text()?;
                self.descend(*values, cursor, depth)
            }),
        }
    }
}

/// Steps over the blocks of an array or a map, up to the empty one that ends it.
fn blocks<'a>(
    cursor: &mut Cursor<'a>,
    items_take_no_bytes: bool,
    mut item: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    loop {
        let count = cursor.long()?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            // A negative count says that the block's size in bytes follows, which is there for readers that skip.
            cursor.lengthed()?;
        } else if !items_take_no_bytes {
            for _ in 0..count {
                item(cursor)?;
            }
        }
    }
}

const fn fixed_size(size: usize) -> Skip {
    if size == 0 {
        Skip::Nothing
    } else {
        Skip::Fixed(size)
    }
}

/// What a name stands for, with the namespace that it stands in.
pub(super) fn dereference<'s>(
    name: &Name,
    names: &NamesRef<'s>,
    space: Option<&str>,
) -> Result<(&'s Schema, Option<String>), ResolutionFault> {
    let full = name.fully_qualified_name(space);
    let target = names.get(full.as_ref()).copied();
    let target = target.ok_or_else(|| ResolutionFault::UnknownName(full.fullname(None)))?;
    Ok((target, full.namespace().map(str::to_owned)))
}
