//! Laws of the decoder, with apache-avro as the oracle.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a schema and a value have some thirty types, and these tests use a few of them"
)]

use super::{DecodeError, Decoded, Decoder, Fault, Field, ResolutionError, ResolutionFault};
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
    let decoded: Result<Decoded<R>, String> = match &compiled {
        Ok(decoder) => decoder
            .decode(datum, &mut Vec::new())
            .map_err(|error| error.to_string()),
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
    let whole: Result<Decoded<R>, DecodeError> = decoder.decode(datum, &mut scratch);
    for cut in 0..datum.len() {
        let error = decoder
            .decode::<R>(&datum[..cut], &mut scratch)
            .expect_err("a part is no record");
        assert!(error.at <= cut);
        if whole.is_ok() {
            assert_eq!(error.fault, Fault::Truncated);
        }
    }
    for at in 0..datum.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = datum.to_vec();
            flipped[at] ^= flip;
            if let Ok(decoded) = decoder.decode::<R>(flipped.leak(), &mut scratch) {
                assert_eq!(decoded.content, content_of(&decoded.record));
            }
        }
    }
    let noise: Vec<u8> = (0..rng.random_range(0..200))
        .map(|_| rng.random())
        .collect();
    let _ = decoder.decode::<R>(noise.leak(), &mut scratch);
    let longer: Vec<u8> = [datum, &[0]].concat();
    if whole.is_ok() {
        let error = decoder
            .decode::<R>(longer.leak(), &mut scratch)
            .expect_err("a byte too many");
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

const CONSULTATION: microtest::Consultation<'static> = microtest::Consultation {
    practice_ods_code: "A81001",
    extract_id: "x",
    extracted_at: 1_650_000_000_000,
    schema_note: None,
    consultation_no: 77,
    appointment_no: Some(5),
    began: "2022-04-15T09:00",
    ended: None,
    role: Some("GP Partner"),
    withdrawn: false,
};

fn decode_as<'a, R: SupplierRecord<'a>>(
    writer: &Schema,
    datum: &'a [u8],
) -> Result<Decoded<R>, DecodeError> {
    Decoder::compile(writer, R::schema())
        .unwrap()
        .decode(datum, &mut Vec::new())
}

/// The JSON of Microtest's consultation with one field's type changed.
fn with_type(field: &str, kind: &Json) -> Schema {
    let mut schema = json_of(microtest::Consultation::schema());
    let fields = schema["fields"].as_array_mut().unwrap();
    let changed = fields
        .iter_mut()
        .find(|candidate| candidate["name"] == field)
        .unwrap();
    *changed = json!({"name": field, "type": kind});
    parse(&schema)
}

fn refusal(writer: &Schema, reader: &Schema) -> String {
    Decoder::compile(writer, reader)
        .expect_err("not to be resolved")
        .to_string()
}

#[test]
fn padded_numbers_leave_the_content_as_it_is() {
    let mut datum = Vec::new();
    CONSULTATION.encode(&mut datum);
    let schema = microtest::Consultation::schema();
    let plain: Decoded<microtest::Consultation> = decode_as(schema, &datum).unwrap();
    assert_eq!(plain.content, content_of(&CONSULTATION));
    // `consultation_no` 77 stands as 9a 01 before the branch of `appointment_no`.
    let at = datum
        .windows(4)
        .position(|bytes| bytes == [0x9a, 0x01, 0x02, 0x0a])
        .unwrap();
    let mut longer = datum.clone();
    longer.splice(at + 1..at + 2, [0x81, 0x80, 0x00]);
    let padded: Decoded<microtest::Consultation> = decode_as(schema, &longer).unwrap();
    assert_eq!(padded, plain);
    assert_ne!(xxh3_64(&longer[at..]), plain.content);
}

#[test]
fn content_of_the_readers_own_encoding_is_hashed_where_it_stands() {
    let schema = microtest::Consultation::schema();
    // A wrapper in another order and a narrower number leave the content's bytes as they are.
    let mut turned = json_of(schema);
    turned["fields"].as_array_mut().unwrap().swap(0, 1);
    let narrow = with_type("consultation_no", &json!("int"));
    let reversed = with_type("ended", &json!(["string", "null"]));
    for (writer, in_place) in [
        (schema, true),
        (&parse(&turned), true),
        (&narrow, true),
        (&reversed, false),
    ] {
        let datum = random_datum(writer, &mut ChaCha8Rng::seed_from_u64(3));
        let mut scratch = Vec::new();
        let decoder = Decoder::compile(writer, schema).unwrap();
        let found = decoder
            .decode::<microtest::Consultation>(&datum, &mut scratch)
            .unwrap();
        assert_eq!(found.content, content_of(&found.record));
        assert_eq!(scratch.capacity() == 0, in_place);
    }
}

#[test]
fn the_wrapper_is_not_part_of_the_content() {
    let other = microtest::Consultation {
        extracted_at: 5,
        extract_id: "y",
        schema_note: Some("n"),
        ..CONSULTATION
    };
    let differing = microtest::Consultation {
        withdrawn: true,
        ..CONSULTATION
    };
    let content = |record: microtest::Consultation<'_>| {
        let mut datum = Vec::new();
        record.encode(&mut datum);
        decode_as::<microtest::Consultation>(microtest::Consultation::schema(), &datum)
            .unwrap()
            .content
    };
    assert_eq!(content(other), content(CONSULTATION));
    assert_ne!(content(differing), content(CONSULTATION));
}

#[test]
fn a_prefix_says_how_many_bytes_it_took() {
    let mut block = Vec::new();
    CONSULTATION.encode(&mut block);
    let first = block.len();
    microtest::Consultation {
        withdrawn: true,
        ..CONSULTATION
    }
    .encode(&mut block);
    let schema = microtest::Consultation::schema();
    let decoder = Decoder::compile(schema, schema).unwrap();
    let (one, taken) = decoder
        .decode_prefix::<microtest::Consultation>(&block, &mut Vec::new())
        .unwrap();
    assert_eq!((one.record, taken), (CONSULTATION, first));
    let (two, rest) = decoder
        .decode_prefix::<microtest::Consultation>(&block[taken..], &mut Vec::new())
        .unwrap();
    assert!(two.record.withdrawn && taken + rest == block.len());
}

#[test]
fn unnamed_fields_are_named() {
    let mut writer = json_of(microtest::Consultation::schema());
    writer["fields"]
        .as_array_mut()
        .unwrap()
        .insert(2, json!({"name": "nhs_number", "type": "string"}));
    let decoder = Decoder::compile(&parse(&writer), microtest::Consultation::schema()).unwrap();
    assert_eq!(decoder.unnamed_fields(), ["nhs_number"]);
}

#[test]
fn numbers_that_mean_something_else_are_refused() {
    let reader = microtest::Consultation::schema();
    for (logical, base) in [
        ("timestamp-micros", "long"),
        ("timestamp-nanos", "long"),
        ("local-timestamp-millis", "long"),
        ("time-micros", "long"),
        ("date", "int"),
    ] {
        let writer = with_type(
            "extracted_at",
            &json!({"type": base, "logicalType": logical}),
        );
        let expected = format!(
            "field `extracted_at`: the writer's {logical} means something else than the reader's timestamp-millis"
        );
        assert_eq!(refusal(&writer, reader), expected);
        let nullable = with_type(
            "extracted_at",
            &json!(["null", {"type": base, "logicalType": logical}]),
        );
        assert_eq!(refusal(&nullable, reader), expected);
    }
    assert!(Decoder::compile(&with_type("extracted_at", &json!("long")), reader).is_ok());
    // apache-avro refuses this one; the reader says nothing about the number, so there is nothing to contradict.
    let stamped = with_type(
        "consultation_no",
        &json!({"type": "long", "logicalType": "timestamp-millis"}),
    );
    assert!(Decoder::compile(&stamped, reader).is_ok());
}

#[test]
fn types_that_cannot_become_the_readers_are_refused() {
    let reader = microtest::Consultation::schema();
    for (field, kind, expected) in [
        (
            "consultation_no",
            json!("double"),
            "the writer's double cannot be read as long",
        ),
        (
            "consultation_no",
            json!("float"),
            "the writer's float cannot be read as long",
        ),
        (
            "consultation_no",
            json!("null"),
            "the writer's null cannot be read as long",
        ),
        (
            "began",
            json!({"type": "enum", "name": "E", "symbols": ["A"]}),
            "the writer's enum cannot be read as string",
        ),
        (
            "began",
            json!({"type": "fixed", "name": "F", "size": 4}),
            "the writer's fixed cannot be read as string",
        ),
        (
            "began",
            json!(["null", "long"]),
            "the writer's union cannot be read as string",
        ),
        (
            "role",
            json!("long"),
            "the writer's long cannot be read as string",
        ),
    ] {
        assert_eq!(
            refusal(&with_type(field, &kind), reader),
            format!("field `{field}`: {expected}")
        );
    }
    // apache-avro narrows a long that happens to fit; the specification has no such promotion.
    let long =
        parse(&json!({"type": "record", "name": "W", "fields": [{"name": "n", "type": "long"}]}));
    let int =
        parse(&json!({"type": "record", "name": "R", "fields": [{"name": "n", "type": "int"}]}));
    assert_eq!(
        refusal(&long, &int),
        "field `n`: the writer's long cannot be read as int"
    );
}

#[test]
fn a_missing_field_without_default_is_named() {
    let mut writer = json_of(microtest::Consultation::schema());
    writer["fields"]
        .as_array_mut()
        .unwrap()
        .retain(|field| field["name"] != "began");
    let error = Decoder::compile(&parse(&writer), microtest::Consultation::schema()).unwrap_err();
    assert_eq!(
        error,
        ResolutionError {
            field: Some("began".to_owned()),
            fault: ResolutionFault::Missing
        }
    );
}

#[test]
fn schemas_that_are_no_records_are_refused() {
    let reader = microtest::Consultation::schema();
    assert_eq!(
        refusal(&Schema::Long, reader),
        "the writer's schema is no record"
    );
    assert_eq!(
        refusal(reader, &Schema::Long),
        "the reader's schema is no record of at most 40 fields"
    );
    let nested = parse(
        &json!({"type": "record", "name": "R", "fields": [{"name": "began", "type": "bytes"}]}),
    );
    assert_eq!(
        refusal(reader, &nested),
        "field `began`: a reader's field cannot be bytes"
    );
}

#[test]
fn faults_name_the_field_and_the_place() {
    let check = |field: &str, kind: Json, bad: &[u8], fault: Fault| {
        let writer = with_type(field, &kind);
        let mut datum = Vec::new();
        let mut index = 0;
        let mut place = 0;
        CONSULTATION.visit(&mut |name, value| {
            if name == field {
                place = datum.len();
                datum.extend_from_slice(bad);
            } else {
                let nullable = [3, 5, 7, 8].contains(&index);
                super::decode::write_field(value, nullable, &mut datum);
            }
            index += 1;
        });
        let error = decode_as::<microtest::Consultation>(&writer, &datum).unwrap_err();
        assert_eq!((error.fault, error.field.as_deref()), (fault, Some(field)));
        assert!((place..=place + bad.len()).contains(&error.at), "{error}");
    };
    check("withdrawn", json!("boolean"), &[2], Fault::BadBool);
    check("withdrawn", json!("boolean"), &[], Fault::Truncated);
    check(
        "withdrawn",
        json!(["null", "boolean"]),
        &[0],
        Fault::UnexpectedNull,
    );
    check(
        "withdrawn",
        json!(["double", "boolean"]),
        &[0; 9],
        Fault::UnreadableBranch,
    );
    check(
        "withdrawn",
        json!(["null", "boolean"]),
        &[4],
        Fault::BadUnionBranch,
    );
    check(
        "withdrawn",
        json!(["null", "boolean"]),
        &[1],
        Fault::BadUnionBranch,
    );
    check(
        "withdrawn",
        json!(["null", "boolean", "string"]),
        &[6],
        Fault::BadUnionBranch,
    );
    check("began", json!("bytes"), &[2, 0xff], Fault::InvalidUtf8);
    check("began", json!("string"), &[1], Fault::NegativeLength);
    check(
        "consultation_no",
        json!("long"),
        &[0xff; 10],
        Fault::InvalidVarint,
    );
    check(
        "consultation_no",
        json!("int"),
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
        Fault::IntOutOfRange,
    );
}

#[test]
fn symbols_are_read_by_name() {
    let schema = |symbols: &[&str], default: Option<&str>| {
        let mut kind = json!({"type": "enum", "name": "Whatever", "symbols": symbols});
        if let Some(default) = default {
            kind["default"] = json!(default);
        }
        let mut schema = json_of(tpp::Appointment::schema());
        let fields = schema["fields"].as_array_mut().unwrap();
        fields
            .iter_mut()
            .find(|field| field["name"] == "record_type")
            .unwrap()["type"] = kind;
        parse(&schema)
    };
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    // One symbol only, so that every datum has it.
    let decode = |writer: &Schema, reader: &Schema, datum: &'static [u8]| {
        let decoder = Decoder::compile(writer, reader).unwrap();
        decoder
            .decode::<tpp::Appointment>(datum, &mut Vec::new())
            .map(|decoded| decoded.record.record_type)
    };
    let ours = tpp::Appointment::schema();
    let visits = schema(&["VISIT"], None);
    let datum = random_datum(&visits, rng).leak();
    assert_eq!(decode(&visits, ours, datum), Ok(tpp::RecordType::Visit));
    let holidays = schema(&["HOLIDAY"], None);
    let error = decode(&holidays, ours, datum).unwrap_err();
    assert_eq!(
        (error.fault, error.field.as_deref()),
        (Fault::UnknownSymbol, Some("record_type"))
    );
    let lenient = schema(&["APPOINTMENT", "VISIT"], Some("VISIT"));
    assert_eq!(
        decode(&holidays, &lenient, datum),
        Ok(tpp::RecordType::Visit)
    );
}

#[test]
fn a_decoder_of_another_record_is_refused() {
    let schema = microtest::Consultation::schema();
    let decoder = Decoder::compile(schema, schema).unwrap();
    let error = decoder
        .decode::<tpp::Appointment>(&[], &mut Vec::new())
        .unwrap_err();
    assert_eq!(error.fault, Fault::OtherRecord);
}

#[test]
fn skipped_values_end_however_they_are_nested() {
    let foreign = |kind: Json, bytes: &[u8]| {
        let mut writer = json_of(microtest::Consultation::schema());
        writer["fields"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "foreign", "type": kind}));
        let mut datum = Vec::new();
        CONSULTATION.encode(&mut datum);
        datum.extend_from_slice(bytes);
        decode_as::<microtest::Consultation>(&parse(&writer), &datum)
            .map(|_| ())
            .map_err(|error| error.fault)
    };
    let mut enormous = Vec::new();
    super::encode::long(i64::MAX, &mut enormous);
    let ended = [&enormous[..], &[0]].concat();
    // More items than anyone could step over, of no bytes each.
    assert_eq!(
        foreign(json!({"type": "array", "items": "null"}), &ended),
        Ok(())
    );
    assert_eq!(
        foreign(json!({"type": "array", "items": "int"}), &enormous),
        Err(Fault::Truncated)
    );
    // A negative count brings the block's size, by which it is skipped.
    assert_eq!(
        foreign(
            json!({"type": "array", "items": "int"}),
            &[3, 6, 0x80, 1, 2, 0]
        ),
        Ok(())
    );
    assert_eq!(
        foreign(json!({"type": "map", "values": "int"}), &[2, 2, b'k', 2, 0]),
        Ok(())
    );
    let list = json!({"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]});
    assert_eq!(foreign(list.clone(), &[2, 2, 0]), Ok(()));
    assert_eq!(foreign(list, &[2; 1000]), Err(Fault::TooDeep));
    let endless = json!({"type": "record", "name": "Endless", "fields": [{"name": "same", "type": "Endless"}]});
    assert_eq!(foreign(endless, &[]), Err(Fault::TooDeep));
}

#[test]
fn a_name_goes_before_an_alias() {
    let mut reader = json_of(microtest::Consultation::schema());
    for field in reader["fields"].as_array_mut().unwrap() {
        if field["name"] == "ended" {
            field["aliases"] = json!(["began", "finished"]);
        }
    }
    let reader = parse(&reader);
    let mut datum = Vec::new();
    CONSULTATION.encode(&mut datum);
    let decoder = Decoder::compile(microtest::Consultation::schema(), &reader).unwrap();
    assert_eq!(
        decoder
            .decode::<microtest::Consultation>(&datum, &mut Vec::new())
            .unwrap()
            .record,
        CONSULTATION
    );
    let mut writer = json_of(microtest::Consultation::schema());
    writer["fields"].as_array_mut().unwrap()[7]["name"] = json!("finished");
    let decoder = Decoder::compile(&parse(&writer), &reader).unwrap();
    assert!(decoder.unnamed_fields().is_empty());
    assert_eq!(
        decoder
            .decode::<microtest::Consultation>(&datum, &mut Vec::new())
            .unwrap()
            .record,
        CONSULTATION
    );
}
