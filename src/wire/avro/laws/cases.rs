//! Single cases: what is refused and how it is told, what is skipped, what the content is.

use super::*;
use crate::wire::avro::decode::write_field;
use crate::wire::avro::encode;

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
) -> Result<Found<R>, DecodeError> {
    let decoder = Decoder::compile(writer, R::schema()).unwrap();
    decode(&decoder, datum, &mut Vec::new())
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
    let plain: Found<microtest::Consultation> = decode_as(schema, &datum).unwrap();
    assert_eq!(plain.content, content_of(&CONSULTATION));
    // `consultation_no` 77 stands as 9a 01 before the branch of `appointment_no`.
    let at = datum
        .windows(4)
        .position(|bytes| bytes == [0x9a, 0x01, 0x02, 0x0a])
        .unwrap();
    let mut longer = datum.clone();
    longer.splice(at + 1..at + 2, [0x81, 0x80, 0x00]);
    let padded: Found<microtest::Consultation> = decode_as(schema, &longer).unwrap();
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
        let found: Found<microtest::Consultation> = decode(&decoder, &datum, &mut scratch).unwrap();
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
    let mut record = microtest::Consultation::default();
    let taken = decoder
        .decode_prefix(&block, &mut record, &mut Vec::new())
        .unwrap()
        .bytes;
    assert_eq!((record, taken), (CONSULTATION, first));
    let rest = decoder
        .decode_prefix(&block[taken..], &mut record, &mut Vec::new())
        .unwrap()
        .bytes;
    assert!(record.withdrawn && taken + rest == block.len());
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
                write_field(value, nullable, &mut datum);
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
    let kind_of = |writer: &Schema, reader: &Schema, datum: &'static [u8]| {
        let decoder = Decoder::compile(writer, reader).unwrap();
        decode::<tpp::Appointment>(&decoder, datum, &mut Vec::new())
            .map(|found| found.record.record_type)
    };
    let ours = tpp::Appointment::schema();
    let visits = schema(&["VISIT"], None);
    let datum = random_datum(&visits, rng).leak();
    assert_eq!(kind_of(&visits, ours, datum), Ok(tpp::RecordType::Visit));
    let holidays = schema(&["HOLIDAY"], None);
    let error = kind_of(&holidays, ours, datum).unwrap_err();
    assert_eq!(
        (error.fault, error.field.as_deref()),
        (Fault::UnknownSymbol, Some("record_type"))
    );
    let lenient = schema(&["APPOINTMENT", "VISIT"], Some("VISIT"));
    assert_eq!(
        kind_of(&holidays, &lenient, datum),
        Ok(tpp::RecordType::Visit)
    );
}

#[test]
fn a_decoder_of_another_record_is_refused() {
    let schema = microtest::Consultation::schema();
    let decoder = Decoder::compile(schema, schema).unwrap();
    let error = decode::<tpp::Appointment>(&decoder, &[], &mut Vec::new()).unwrap_err();
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
    encode::long(i64::MAX, &mut enormous);
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
        decode::<microtest::Consultation>(&decoder, &datum, &mut Vec::new())
            .unwrap()
            .record,
        CONSULTATION
    );
    let mut writer = json_of(microtest::Consultation::schema());
    writer["fields"].as_array_mut().unwrap()[7]["name"] = json!("finished");
    let decoder = Decoder::compile(&parse(&writer), &reader).unwrap();
    assert!(decoder.unnamed_fields().is_empty());
    assert_eq!(
        decode::<microtest::Consultation>(&decoder, &datum, &mut Vec::new())
            .unwrap()
            .record,
        CONSULTATION
    );
}
