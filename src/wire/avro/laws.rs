//! Laws of the decoder, with apache-avro as the oracle.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a schema and a value have some thirty types, and these tests use a few of them"
)]

mod cases;

use super::{DecodeError, Decoder, Fault, Field, ResolutionError, ResolutionFault};
use crate::wire::supplier::{SupplierRecord, WRAPPER_FIELDS, emis, inps, microtest, tpp};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{NamesRef, ResolvedSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use xxhash_rust::xxh3::xxh3_64;

/// A record and what is told of it.
#[derive(Debug, PartialEq)]
struct Found<R> {
    record: R,
    content: u64,
}

fn decode<'a, R: SupplierRecord<'a>>(
    decoder: &Decoder,
    datum: &'a [u8],
    scratch: &mut Vec<u8>,
) -> Result<Found<R>, DecodeError> {
    let mut record = R::default();
    let content = decoder.decode(datum, &mut record, scratch)?.content;
    Ok(Found { record, content })
}

/// Runs a check with each of the eight record types.
macro_rules! each_record {
    ($check:ident($($argument:expr),*)) => {
        $check::<emis::Appointment>($($argument),*);
        $check::<emis::Consultation>($($argument),*);
        $check::<tpp::Appointment>($($argument),*);
        $check::<tpp::Consultation>($($argument),*);
        $check::<inps::Appointment>($($argument),*);
        $check::<inps::Consultation>($($argument),*);
        $check::<microtest::Appointment>($($argument),*);
        $check::<microtest::Consultation>($($argument),*);
    };
}

fn parse(schema: &Json) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap()
}

/// A reader's schema as JSON, to be evolved.
fn json_of(schema: &Schema) -> Json {
    serde_json::to_value(schema).unwrap()
}

/// A random value of a schema; nesting ends at depth 0.
fn arbitrary(schema: &Schema, names: &NamesRef<'_>, rng: &mut ChaCha8Rng, depth: u32) -> Value {
    let text = |rng: &mut ChaCha8Rng| -> String {
        let letters = ['a', 'Z', ' ', '0', 'é', '漢', '🩺'];
        (0..rng.random_range(0..12))
            .map(|_| letters[rng.random_range(0..letters.len())])
            .collect()
    };
    let long = |rng: &mut ChaCha8Rng| rng.random::<i64>() >> rng.random_range(0..64);
    let int = |rng: &mut ChaCha8Rng| rng.random::<i32>() >> rng.random_range(0..32);
    let items = if depth == 0 {
        0
    } else {
        rng.random_range(0..4)
    };
    let below = depth.saturating_sub(1);
    match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(rng.random()),
        Schema::Int => Value::Int(int(rng)),
        Schema::Date => Value::Date(int(rng)),
        Schema::TimeMillis => Value::TimeMillis(int(rng)),
        Schema::Long => Value::Long(long(rng)),
        Schema::TimestampMillis => Value::TimestampMillis(long(rng)),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(long(rng)),
        Schema::Float => Value::Float(rng.random()),
        Schema::Double => Value::Double(rng.random()),
        Schema::String => Value::String(text(rng)),
        // Now and then no UTF-8.
        Schema::Bytes if rng.random_ratio(1, 50) => Value::Bytes(vec![b'a', 0xff]),
        Schema::Bytes => Value::Bytes(text(rng).into_bytes()),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, vec![rng.random(); fixed.size]),
        Schema::Enum(symbols) => {
            let index = rng.random_range(0..symbols.symbols.len());
            Value::Enum(
                u32::try_from(index).unwrap(),
                symbols.symbols[index].clone(),
            )
        }
        Schema::Array(array) => Value::Array(
            (0..items)
                .map(|_| arbitrary(&array.items, names, rng, below))
                .collect(),
        ),
        Schema::Map(map) => Value::Map(
            (0..items)
                .map(|_| (text(rng), arbitrary(&map.types, names, rng, below)))
                .collect(),
        ),
        Schema::Union(union) => {
            let branches = union.variants();
            let null = branches
                .iter()
                .position(|branch| matches!(branch, Schema::Null));
            let branch = null
                .filter(|_| depth == 0)
                .unwrap_or_else(|| rng.random_range(0..branches.len()));
            let value = arbitrary(&branches[branch], names, rng, below);
            Value::Union(u32::try_from(branch).unwrap(), Box::new(value))
        }
        Schema::Record(record) => Value::Record(
            record
                .fields
                .iter()
                .map(|field| {
                    (
                        field.name.clone(),
                        arbitrary(&field.schema, names, rng, below),
                    )
                })
                .collect(),
        ),
        Schema::Ref { name } => arbitrary(names[name], names, rng, below),
        other => panic!("no values of {other:?}"),
    }
}

fn random_datum(writer: &Schema, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let resolved = ResolvedSchema::new(writer).unwrap();
    let value = arbitrary(writer, resolved.get_names(), rng, 5);
    GenericDatumWriter::builder(writer)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap()
}

/// What a resolved value of the oracle is to us.
fn seen(value: &Value) -> (String, Option<i64>) {
    match value {
        Value::Union(_, value) => seen(value),
        Value::Null => ("null".to_owned(), None),
        Value::Boolean(value) => (format!("{value}"), None),
        Value::Int(value) | Value::Date(value) | Value::TimeMillis(value) => {
            ("int".to_owned(), Some(i64::from(*value)))
        }
        Value::Long(value) | Value::TimestampMillis(value) | Value::LocalTimestampMillis(value) => {
            ("long".to_owned(), Some(*value))
        }
        Value::String(value) => (format!("text {value}"), None),
        Value::Enum(index, _) => ("symbol".to_owned(), Some(i64::from(*index))),
        other => panic!("no field holds {other:?}"),
    }
}

fn ours(field: Field<'_>) -> (String, Option<i64>) {
    match field {
        Field::Null => ("null".to_owned(), None),
        Field::Bool(value) => (format!("{value}"), None),
        Field::Int(value) => ("int".to_owned(), Some(i64::from(value))),
        Field::Long(value) => ("long".to_owned(), Some(value)),
        Field::Text(value) => (format!("text {value}"), None),
        Field::Symbol(value) => ("symbol".to_owned(), Some(i64::from(value))),
    }
}

/// XXH3 of the canonical encoding of everything after the wrapper, the slow and obvious way.
fn content_of<'a, R: SupplierRecord<'a>>(record: &R) -> u64 {
    let (mut all, mut wrapper, mut index) = (Vec::new(), Vec::new(), 0);
    record.encode(&mut all);
    record.visit(&mut |_, field| {
        // The wrapper's fourth field is the nullable one.
        if index < WRAPPER_FIELDS {
            match field {
                Field::Null => wrapper.push(0),
                Field::Text(text) => {
                    if index == 3 {
                        wrapper.push(2);
                    }
                    super::encode::text(text, &mut wrapper);
                }
                Field::Long(value) => super::encode::long(value, &mut wrapper),
                other => panic!("no wrapper holds {other:?}"),
            }
        }
        index += 1;
    });
    assert!(all.starts_with(&wrapper));
    xxh3_64(&all[wrapper.len()..])
}

/// The type of a field's JSON without its null.
fn value_type(kind: &Json) -> &Json {
    kind.as_array().map_or(kind, |union| &union[1])
}

/// Types that a writer may have and we never read, among them nested, repeated and recursive ones.
fn foreign_type(index: usize, rng: &mut ChaCha8Rng) -> Json {
    let name = format!("Foreign{index}");
    let types = [
        json!("string"),
        json!("bytes"),
        json!("double"),
        json!("float"),
        json!("null"),
        json!({"type": "array", "items": "long"}),
        json!({"type": "array", "items": "null"}),
        json!({"type": "map", "values": {"type": "array", "items": ["null", "string"]}}),
        json!({"type": "fixed", "name": name, "size": 3}),
        json!({"type": "enum", "name": name, "symbols": ["A", "B", "C"]}),
        json!(["boolean", "null", {"type": "array", "items": "int"}]),
        json!({"type": "record", "name": name, "namespace": "else.where", "fields": [
            {"name": "v", "type": "int"},
            {"name": "next", "type": ["null", name]},
            {"name": "inner", "type": {"type": "record", "name": format!("{name}Inner"), "fields": [
                {"name": "all", "type": {"type": "array", "items": name}},
            ]}},
        ]}),
    ];
    types[rng.random_range(0..types.len())].clone()
}

/// One random evolution between a writer and a reader, of the kinds that suppliers make.
struct Evolution {
    writer: Schema,
    /// The writer's schema with the reader's names: apache-avro 0.22 does not look at the reader's aliases.
    oracle: Schema,
    reader: Schema,
}

fn evolve(schema: &Schema, rng: &mut ChaCha8Rng) -> Evolution {
    let mut reader = json_of(schema);
    let mut writers = Vec::new();
    // From a record of which nothing changed to one of which half did.
    let odds = [14, 28, 100, 400][rng.random_range(0..4)];
    for field in reader["fields"].as_array_mut().unwrap() {
        let mut kind = field["type"].clone();
        let mut name = field["name"].clone();
        let nullable = kind.is_array();
        match rng.random_range(0..odds) {
            // Dropped by the writer: the reader's default, or no schema that resolves.
            0 if nullable || rng.random_ratio(1, 4) => continue,
            1 if kind == "string" => {
                field["default"] = json!("dé");
                continue;
            }
            2 if kind == "boolean" => {
                field["default"] = json!(true);
                continue;
            }
            3 => {
                field["aliases"] = json!(["never", format!("old_{}", name.as_str().unwrap())]);
                name = json!(format!("old_{}", name.as_str().unwrap()));
            }
            4 if kind == "long" => kind = json!("int"),
            4 if kind == json!(["null", "long"]) => kind = json!(["null", "int"]),
            // A plain number, where the reader says what it means.
            5 if value_type(&kind)["type"] == "long" && !nullable => kind = json!("long"),
            5 if value_type(&kind)["type"] == "int" && nullable => kind = json!(["null", "int"]),
            6 if !nullable => kind = json!(["null", kind]),
            6 => kind = json!([kind[1], "null"]),
            7 if nullable => kind = kind[1].clone(),
            7 => kind = json!([kind, "null"]),
            8 if value_type(&kind) == "string" => kind = json!(["double", "string", "null"]),
            9 if kind == "string" => kind = json!("bytes"),
            9 if nullable => kind = json!("null"),
            10 if kind["type"] == "enum" => {
                // A symbol that the reader does not know, and the others turned round.
                kind["symbols"] = json!(["VISIT", "HOLIDAY", "APPOINTMENT"]);
                if rng.random() {
                    field["type"]["default"] = json!("VISIT");
                }
            }
            _ => {}
        }
        writers.push((
            json!({"name": name, "type": kind}),
            json!({"name": field["name"], "type": kind}),
        ));
    }
    for index in 0..rng.random_range(0..3) {
        let foreign = json!({"name": format!("foreign_{index}"), "type": foreign_type(index, rng)});
        let at = rng.random_range(0..=writers.len());
        writers.insert(at, (foreign.clone(), foreign));
    }
    if rng.random_ratio(1, 4) {
        writers.shuffle(rng);
    }
    let (fields, oracle): (Vec<Json>, Vec<Json>) = writers.into_iter().unzip();
    let record = |fields| parse(&json!({"type": "record", "name": "Anything", "fields": fields}));
    Evolution {
        writer: record(fields),
        oracle: record(oracle),
        reader: parse(&reader),
    }
}

fn check_evolution<R: SupplierRecord<'static>>(rng: &mut ChaCha8Rng) {
    let Evolution {
        writer,
        oracle,
        reader,
    } = evolve(R::schema(), rng);
    // The record borrows, and the trait is of one lifetime here: a test may leak a datum.
    let datum: &'static [u8] = random_datum(&writer, rng).leak();
    let theirs = GenericDatumReader::builder(&oracle)
        .reader_schema(&reader)
        .build()
        .unwrap()
        .read_value(&mut &*datum);
    let compiled = Decoder::compile(&writer, &reader);
    let decoded: Result<Found<R>, String> = match &compiled {
        Ok(decoder) => decode(decoder, datum, &mut Vec::new()).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match (decoded, theirs) {
        (Ok(decoded), Ok(Value::Record(theirs))) => {
            let mut fields = theirs.iter();
            decoded.record.visit(&mut |name, field| {
                let (expected, value) = fields.next().unwrap();
                assert_eq!((name, ours(field)), (expected.as_str(), seen(value)));
            });
            assert_eq!(decoded.content, content_of(&decoded.record));
        }
        (Err(_), Err(_)) => {}
        (decoded, theirs) => panic!(
            "{}: {:?} but {theirs:?}\nwriter {}",
            R::TOPIC,
            decoded.map(|decoded| decoded.content),
            json_of(&writer)
        ),
    }
}

fn check_bytes<R: SupplierRecord<'static> + std::fmt::Debug>(rng: &mut ChaCha8Rng) {
    let Evolution { writer, reader, .. } = evolve(R::schema(), rng);
    let Ok(decoder) = Decoder::compile(&writer, &reader) else {
        return;
    };
    let mut scratch = Vec::new();
    let datum: &'static [u8] = random_datum(&writer, rng).leak();
    let whole = decode::<R>(&decoder, datum, &mut scratch);
    for cut in 0..datum.len() {
        let error =
            decode::<R>(&decoder, &datum[..cut], &mut scratch).expect_err("a part is no record");
        assert!(error.at <= cut);
        if whole.is_ok() {
            assert_eq!(error.fault, Fault::Truncated);
        }
    }
    for at in 0..datum.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = datum.to_vec();
            flipped[at] ^= flip;
            if let Ok(decoded) = decode::<R>(&decoder, flipped.leak(), &mut scratch) {
                assert_eq!(decoded.content, content_of(&decoded.record));
            }
        }
    }
    let noise: Vec<u8> = (0..rng.random_range(0..200))
        .map(|_| rng.random())
        .collect();
    let _ = decode::<R>(&decoder, noise.leak(), &mut scratch);
    let longer: Vec<u8> = [datum, &[0]].concat();
    if whole.is_ok() {
        let error =
            decode::<R>(&decoder, longer.leak(), &mut scratch).expect_err("a byte too many");
        assert_eq!((error.fault, error.at), (Fault::TrailingBytes, datum.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches a field in the wrong place, a wrong branch, default or promotion, and a content that depends on the writer.
    #[test]
    fn evolved_records_read_as_apache_avro_reads_them(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        each_record!(check_evolution(rng));
    }
}

proptest! {
    // Each case tries every cut and three flips of every byte.
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches panics, reads beyond the end, and records made of less than all bytes.
    #[test]
    fn no_bytes_are_too_bad_to_refuse(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        check_bytes::<emis::Consultation>(rng);
        check_bytes::<tpp::Appointment>(rng);
        check_bytes::<microtest::Consultation>(rng);
    }
}
