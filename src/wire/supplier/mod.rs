//! The suppliers' records, borrowed from the bytes they came in (feeds.md; `schemas/in`).

pub mod emis;
pub mod inps;
pub mod microtest;
pub mod tpp;

use super::avro::{Field, Quick, encode};
use crate::domain::topic::SupplierTopic;

/// How many leading fields of every record are the wrapper, which its content leaves out.
pub const WRAPPER_FIELDS: usize = 4;

/// A record of one supplier topic: its fields in the order of its schema, the wrapper first.
pub trait SupplierRecord<'a>: Copy + Default {
    /// The topic that carries it.
    const TOPIC: SupplierTopic;

    /// Stands for the kinds of its fields in order, so that a decoder of another record is refused.
    const SHAPE: Shape;

    /// The reader's schema, parsed once.
    fn schema() -> &'static apache_avro::Schema;

    /// The record of fields in the reader's order, at least as many as it has and of the kinds of [`Self::SHAPE`].
    fn from_fields(fields: &[Field<'a>]) -> Self;

    /// Becomes the record of bytes that were written with the reader's own schema; answers how many are left behind the wrapper.
    /// When they are no record, `quick` has stumbled.
    //
    // In place: it is too large to be handed about.
    fn read(&mut self, quick: &mut Quick<'a>) -> usize;

    /// Appends the Avro binary of the reader's schema, without framing.
    fn encode(&self, into: &mut Vec<u8>);

    /// Shows every field in order, by the name it has in the schema.
    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'a>));
}

/// What a field of a supplier record can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A boolean.
    Bool = 1,
    /// An int.
    Int = 2,
    /// A long.
    Long = 3,
    /// A string.
    Text = 4,
    /// A symbol of an enum.
    Symbol = 5,
}

/// The number of fields of a record and a hash of their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many fields.
    pub fields: usize,
    hash: u64,
}

impl Shape {
    /// The shape of fields in order, each a kind and whether it may be null.
    #[must_use]
    pub const fn of(kinds: &[(Kind, bool)]) -> Self {
        // FNV-1a: it has to tell a dozen known shapes apart, at compile time.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut index = 0;
        while index < kinds.len() {
            let (kind, nullable) = kinds[index];
            hash = (hash ^ (kind as u64 | ((nullable as u64) << 4))).wrapping_mul(0x100_0000_01b3);
            index += 1;
        }
        Self {
            fields: kinds.len(),
            hash,
        }
    }
}

/// A type that a field of a record may have.
trait Cell<'a>: Copy {
    const KIND: Kind;
    const NULLABLE: bool = false;

    /// The value of a field of this kind; the decoder yields no other, and any other reads as the type's first value.
    fn take(field: Field<'a>) -> Self;
    fn read(quick: &mut Quick<'a>) -> Self;
    fn field(self) -> Field<'a>;
    fn write(self, into: &mut Vec<u8>);
}

macro_rules! cell {
    ($type:ty, $kind:ident, $value:ident => $first:expr, $read:ident, $write:expr) => {
        impl<'a> Cell<'a> for $type {
            const KIND: Kind = Kind::$kind;

            #[inline]
            fn take(field: Field<'a>) -> Self {
                if let Field::$kind($value) = field {
                    $value
                } else {
                    $first
                }
            }

            #[inline]
            fn read(quick: &mut Quick<'a>) -> Self {
                quick.$read()
            }

            #[inline]
            fn field(self) -> Field<'a> {
                Field::$kind(self)
            }

            #[inline]
            fn write(self, into: &mut Vec<u8>) {
                $write(self, into);
            }
        }
    };
}

cell!(bool, Bool, value => false, boolean, encode::boolean);
cell!(i32, Int, value => 0, int, encode::int);
cell!(i64, Long, value => 0, long, encode::long);
cell!(&'a str, Text, value => "", text, encode::text);

impl<'a> Cell<'a> for tpp::RecordType {
    const KIND: Kind = Kind::Symbol;

    #[inline]
    fn take(field: Field<'a>) -> Self {
        if field == Field::Symbol(Self::Visit as u8) {
            Self::Visit
        } else {
            Self::Appointment
        }
    }

    #[inline]
    fn read(quick: &mut Quick<'a>) -> Self {
        if quick.is_second() {
            Self::Visit
        } else {
            Self::Appointment
        }
    }

    #[inline]
    fn field(self) -> Field<'a> {
        Field::Symbol(self as u8)
    }

    #[inline]
    fn write(self, into: &mut Vec<u8>) {
        encode::int(i32::from(self as u8), into);
    }
}

impl<'a, T: Cell<'a>> Cell<'a> for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    #[inline]
    fn take(field: Field<'a>) -> Self {
        if field == Field::Null {
            None
        } else {
            Some(T::take(field))
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "measured: a call would take the position out of its registers"
    )]
    #[inline(always)]
    fn read(quick: &mut Quick<'a>) -> Self {
        quick.is_second().then(|| T::read(quick))
    }

    #[inline]
    fn field(self) -> Field<'a> {
        self.map_or(Field::Null, T::field)
    }

    #[inline]
    fn write(self, into: &mut Vec<u8>) {
        encode::optional(self, into, T::write);
    }
}

/// A record's struct and its [`SupplierRecord`], from one list of fields in the schema's order.
macro_rules! record {
    (
        $(#[$attribute:meta])*
        pub struct $record:ident<$life:lifetime> of $topic:expr, $file:literal {
            $($name:ident: $type:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct $record<$life> {
            $(
                #[doc = concat!("`", stringify!($name), "`, as the schema of `", $file, "` documents it.")]
                pub $name: $type,
            )*
        }

        impl<$life> $crate::wire::supplier::SupplierRecord<$life> for $record<$life> {
            const TOPIC: $crate::domain::topic::SupplierTopic = $topic;

            const SHAPE: $crate::wire::supplier::Shape = $crate::wire::supplier::Shape::of(&[$((
                <$type as $crate::wire::supplier::Cell<$life>>::KIND,
                <$type as $crate::wire::supplier::Cell<$life>>::NULLABLE,
            ),)*]);

            fn schema() -> &'static apache_avro::Schema {
                static SCHEMA: std::sync::LazyLock<apache_avro::Schema> = std::sync::LazyLock::new(|| {
                    apache_avro::Schema::parse_str(include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/schemas/in/", $file, ".avsc"
                    )))
                    .expect("the schema is part of the program, and a test parses it")
                });
                &SCHEMA
            }

            #[inline]
            fn from_fields(fields: &[$crate::wire::avro::Field<$life>]) -> Self {
                let mut fields = fields.iter().copied();
                Self {
                    $($name: $crate::wire::supplier::Cell::take(
                        fields.next().unwrap_or($crate::wire::avro::Field::Null),
                    ),)*
                }
            }

            #[inline]
            fn read(&mut self, quick: &mut $crate::wire::avro::Quick<$life>) -> usize {
                let (mut read, mut content) = (0, quick.left());
                $(
                    self.$name = <$type as $crate::wire::supplier::Cell<$life>>::read(quick);
                    read += 1;
                    if read == $crate::wire::supplier::WRAPPER_FIELDS {
                        content = quick.left();
                    }
                )*
                let _ = read;
                content
            }

            fn encode(&self, into: &mut Vec<u8>) {
                $($crate::wire::supplier::Cell::write(self.$name, into);)*
            }

            fn visit(&self, see: &mut dyn FnMut(&'static str, $crate::wire::avro::Field<$life>)) {
                $(see(stringify!($name), $crate::wire::supplier::Cell::field(self.$name));)*
            }
        }
    };
}

use record;

#[cfg(test)]
mod tests {
    use super::{Kind, Shape, SupplierRecord, emis, inps, microtest, tpp};
    use crate::wire::avro::Field;
    use apache_avro::Schema;

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a schema has some thirty types, our records have a few"
    )]
    /// The names and the shape that a schema gives a record, to hold the struct against.
    fn declared(schema: &Schema) -> (Vec<String>, Shape) {
        let Schema::Record(record) = schema else {
            panic!("a record")
        };
        let kind = |schema: &Schema| match schema {
            Schema::Boolean => Kind::Bool,
            Schema::Int | Schema::Date | Schema::TimeMillis => Kind::Int,
            Schema::Long | Schema::TimestampMillis | Schema::LocalTimestampMillis => Kind::Long,
            Schema::String => Kind::Text,
            Schema::Enum(_) => Kind::Symbol,
            other => panic!("{other:?}"),
        };
        let kinds: Vec<(Kind, bool)> = record
            .fields
            .iter()
            .map(|field| match &field.schema {
                Schema::Union(union) => (kind(&union.variants()[1]), true),
                plain => (kind(plain), false),
            })
            .collect();
        (
            record
                .fields
                .iter()
                .map(|field| field.name.clone())
                .collect(),
            Shape::of(&kinds),
        )
    }

    fn check<R: SupplierRecord<'static>>() {
        let (names, shape) = declared(R::schema());
        let mut seen = Vec::new();
        R::from_fields(&[Field::Null; 40]).visit(&mut |name, _| seen.push(name.to_owned()));
        assert_eq!(seen, names, "{}", R::TOPIC);
        assert_eq!(R::SHAPE, shape, "{}", R::TOPIC);
        assert_eq!(
            names[..super::WRAPPER_FIELDS],
            [
                "practice_ods_code",
                "extract_id",
                "extracted_at",
                "schema_note"
            ]
        );
    }

    #[test]
    fn structs_have_the_fields_of_their_schemas_in_order() {
        check::<emis::Appointment>();
        check::<emis::Consultation>();
        check::<tpp::Appointment>();
        check::<tpp::Consultation>();
        check::<inps::Appointment>();
        check::<inps::Consultation>();
        check::<microtest::Appointment>();
        check::<microtest::Consultation>();
    }

    #[test]
    fn shapes_differ_by_kind_and_by_null() {
        let text = Shape::of(&[(Kind::Text, false)]);
        assert_ne!(text, Shape::of(&[(Kind::Text, true)]));
        assert_ne!(text, Shape::of(&[(Kind::Long, false)]));
        assert_eq!(text, Shape::of(&[(Kind::Text, false)]));
    }
}
