//! The schemas: that each says what it means, that the wire types are what they say, and that none breaks its readers.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its body does")]

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::RecordSchema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use gpad_live::domain::topic::{ReferenceTopic, SupplierTopic};
use gpad_live::wire::avro::{Decoder, Field};
use gpad_live::wire::datum::{Bytes, Datum};
use gpad_live::wire::output::{
    AggregateKey, AggregateRow, AggregateValue, CanonicalAppointment, Closed, ClosedBy, Count,
    DeadLetter, DeltaChange, DeltaPlace, DeltaWindow, Deltas, Dimension, DispositionCount, Figures,
    Finality, Manifest, Positions, Published, Ratio, Readmission, ReferencePosition, Standing,
    Written, WrittenBy,
};
use gpad_live::wire::reference::{
    Participation, ParticipationState, Practice, ReferenceRecord, SlotTypeMapping,
};
use gpad_live::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Names without `.avsc` and texts of the schemas of a folder.
fn schemas(name: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "avsc")
        })
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

fn record_of(text: &str) -> RecordSchema {
    match Schema::parse_str(text) {
        Ok(Schema::Record(record)) => record,
        other => panic!("no record: {other:?}"),
    }
}

/// Every place in a schema that lacks a `doc`: records, enums and fields need one.
fn undocumented(schema: &Json, place: &str, missing: &mut Vec<String>) {
    match schema {
        Json::Array(all) => all
            .iter()
            .for_each(|each| undocumented(each, place, missing)),
        Json::Object(object) => {
            let needs = object.contains_key("name");
            let place = object
                .get("name")
                .map_or(place.to_owned(), |name| format!("{place}/{name}"));
            if needs
                && object
                    .get("doc")
                    .and_then(Json::as_str)
                    .is_none_or(|doc| doc.trim().is_empty())
            {
                missing.push(place.clone());
            }
            for inner in ["type", "items", "values", "fields"] {
                if let Some(inner) = object.get(inner) {
                    undocumented(inner, &place, missing);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn every_schema_says_what_each_field_means() {
    for (name, text) in [schemas("schemas/in"), schemas("schemas/out")].concat() {
        let mut missing = Vec::new();
        undocumented(&serde_json::from_str(&text).unwrap(), &name, &mut missing);
        assert_eq!(missing, Vec::<String>::new());
        record_of(&text);
    }
}

#[test]
fn microtest_says_that_it_is_made_up() {
    for topic in ["microtest.appointments", "microtest.consultations"] {
        let text = fs::read_to_string(folder("schemas/in").join(format!("{topic}.avsc"))).unwrap();
        let record = record_of(&text);
        assert!(record.doc.unwrap().contains("Made up here"));
        // The wrapper's four fields are everyone's.
        assert!(
            record.fields[4..].iter().all(|field| field
                .doc
                .as_ref()
                .unwrap()
                .contains("Made up here"))
        );
    }
}

#[test]
fn every_topic_has_its_schema_under_its_agreed_name() {
    let mut expected = BTreeSet::new();
    for topic in SupplierTopic::ALL {
        let (supplier, module) = topic.name().split_once('.').unwrap();
        let record = if module == "appointments" {
            "Appointment"
        } else {
            "Consultation"
        };
        expected.insert((
            topic.name().to_owned(),
            format!("uk.nhs.gpad.{supplier}.{record}"),
        ));
    }
    for topic in ReferenceTopic::ALL {
        let record = match topic {
            ReferenceTopic::Participation => "Participation",
            ReferenceTopic::Practices => "Practice",
            ReferenceTopic::SlotTypeMappings => "SlotTypeMapping",
        };
        expected.insert((
            topic.name().to_owned(),
            format!("uk.nhs.gpad.reference.{record}"),
        ));
    }
    let found: BTreeSet<(String, String)> = schemas("schemas/in")
        .into_iter()
        .map(|(topic, text)| (topic, record_of(&text).name.fullname(None)))
        .collect();
    assert_eq!(found, expected);
    let enums = [
        (
            "tpp.appointments",
            "record_type",
            "uk.nhs.gpad.tpp.RecordType",
        ),
        (
            "cqrs.participation",
            "state",
            "uk.nhs.gpad.reference.ParticipationState",
        ),
    ];
    for (topic, field, name) in enums {
        let text = fs::read_to_string(folder("schemas/in").join(format!("{topic}.avsc"))).unwrap();
        let record = record_of(&text);
        let Schema::Enum(symbols) = &record.fields[record.lookup[field]].schema else {
            panic!("an enum")
        };
        assert_eq!(symbols.name.fullname(record.name.namespace()), name);
    }
}

#[test]
fn only_optional_fields_have_a_default_and_it_is_null() {
    for (topic, text) in schemas("schemas/in") {
        for field in record_of(&text).fields {
            let nullable = matches!(&field.schema, Schema::Union(union) if union.is_nullable());
            let expected = nullable.then_some(Json::Null);
            assert_eq!(field.default, expected, "{topic} {}", field.name);
        }
    }
}

/// What a new schema of ours does to records that were written with an older one; none when it reads them all.
fn incompatibility<R: SupplierRecord<'static>>(older: &Schema) -> Option<String> {
    match Decoder::compile(older, R::schema()) {
        Err(error) => Some(error.to_string()),
        Ok(decoder) => decoder
            .unnamed_fields()
            .first()
            .map(|field| format!("drops `{field}`")),
    }
}

fn supplier_incompatibility(topic: SupplierTopic, older: &Schema) -> Option<String> {
    match topic {
        SupplierTopic::EmisAppointments => incompatibility::<emis::Appointment>(older),
        SupplierTopic::EmisConsultations => incompatibility::<emis::Consultation>(older),
        SupplierTopic::TppAppointments => incompatibility::<tpp::Appointment>(older),
        SupplierTopic::TppConsultations => incompatibility::<tpp::Consultation>(older),
        SupplierTopic::InpsAppointments => incompatibility::<inps::Appointment>(older),
        SupplierTopic::InpsConsultations => incompatibility::<inps::Consultation>(older),
        SupplierTopic::MicrotestAppointments => incompatibility::<microtest::Appointment>(older),
        SupplierTopic::MicrotestConsultations => incompatibility::<microtest::Consultation>(older),
    }
}

/// What a reference schema does to an older one, by name, type and default of every field.
fn reference_incompatibility(newer: &RecordSchema, older: &RecordSchema) -> Option<String> {
    let kind = |schema: &Schema| serde_json::to_string(schema).unwrap();
    for field in &older.fields {
        let same = newer.fields.iter().find(|candidate| {
            candidate.name == field.name || candidate.aliases.contains(&field.name)
        });
        let Some(same) = same else {
            return Some(format!("drops `{}`", field.name));
        };
        let widened = matches!((&field.schema, &same.schema), (older, Schema::Union(union))
            if union.is_nullable() && union.variants().iter().any(|branch| kind(branch) == kind(older)));
        if kind(&field.schema) != kind(&same.schema) && !widened {
            return Some(format!("changes `{}`", field.name));
        }
    }
    let added = newer.fields.iter().find(|field| {
        field.default.is_none()
            && !older.fields.iter().any(|candidate| {
                candidate.name == field.name || field.aliases.contains(&candidate.name)
            })
    });
    added.map(|field| format!("requires `{}`", field.name))
}

#[test]
fn the_schemas_read_what_every_earlier_version_wrote() {
    for baseline in ["schemas/in", "tests/schemas/v1"] {
        let versions = schemas(baseline);
        assert_eq!(versions.len(), 11);
        for (name, text) in versions {
            let found = if let Some(topic) = SupplierTopic::from_name(&name) {
                supplier_incompatibility(topic, &Schema::parse_str(&text).unwrap())
            } else {
                let newer =
                    fs::read_to_string(folder("schemas/in").join(format!("{name}.avsc"))).unwrap();
                reference_incompatibility(&record_of(&newer), &record_of(&text))
            };
            assert_eq!(found, None, "{baseline}/{name}");
        }
    }
}

#[test]
fn an_incompatible_edit_is_seen() {
    let schema = Schema::parse_str(
        &fs::read_to_string(folder("tests/schemas/v1/inps.consultations.avsc")).unwrap(),
    )
    .unwrap();
    let edited = |from: &str, to: &str| {
        let text = serde_json::to_string(&schema).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        Schema::parse_str(&text.replace(from, to)).unwrap()
    };
    let found =
        |older: &Schema| supplier_incompatibility(SupplierTopic::InpsConsultations, older).unwrap();
    assert_eq!(
        found(&edited("\"location\"", "\"place\"")),
        "field `location`: the writer does not have it, and it has no default"
    );
    assert_eq!(found(&edited("\"links\"", "\"chains\"")), "drops `chains`");
    assert!(
        found(&edited("timestamp-millis", "timestamp-micros")).starts_with("field `extracted_at`")
    );
    let mapping = record_of(SlotTypeMapping::SCHEMA);
    let older = |from: &str, to: &str| record_of(&SlotTypeMapping::SCHEMA.replace(from, to));
    assert_eq!(reference_incompatibility(&mapping, &mapping), None);
    assert_eq!(
        reference_incompatibility(&mapping, &older("\"slot_type\"", "\"kind\"")),
        Some("drops `kind`".to_owned())
    );
    assert_eq!(
        reference_incompatibility(&mapping, &older("timestamp-millis", "timestamp-micros")),
        Some("changes `recorded_at`".to_owned())
    );
    let without = record_of(&edited_away(SlotTypeMapping::SCHEMA, "service_setting"));
    assert_eq!(
        reference_incompatibility(&mapping, &without),
        Some("requires `service_setting`".to_owned())
    );
}

/// A schema's text without one field.
fn edited_away(text: &str, field: &str) -> String {
    let mut schema: Json = serde_json::from_str(text).unwrap();
    schema["fields"]
        .as_array_mut()
        .unwrap()
        .retain(|candidate| candidate["name"] != field);
    schema.to_string()
}

/// A field that owns its text.
#[derive(Debug, Clone)]
enum Owned {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Text(String),
    Symbol(u8),
}

impl Owned {
    fn lent(&self) -> Field<'_> {
        match self {
            Self::Null => Field::Null,
            Self::Bool(value) => Field::Bool(*value),
            Self::Int(value) => Field::Int(*value),
            Self::Long(value) => Field::Long(*value),
            Self::Text(value) => Field::Text(value),
            Self::Symbol(value) => Field::Symbol(*value),
        }
    }
}

/// Values of a field's schema.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a schema has some thirty types, our records have a few"
)]
fn values(schema: &Schema) -> BoxedStrategy<Owned> {
    match schema {
        Schema::Boolean => any::<bool>().prop_map(Owned::Bool).boxed(),
        Schema::Int | Schema::Date | Schema::TimeMillis => {
            any::<i32>().prop_map(Owned::Int).boxed()
        }
        Schema::Long | Schema::TimestampMillis | Schema::LocalTimestampMillis => {
            any::<i64>().prop_map(Owned::Long).boxed()
        }
        Schema::String => any::<String>().prop_map(Owned::Text).boxed(),
        Schema::Enum(symbols) => (0..u8::try_from(symbols.symbols.len()).unwrap())
            .prop_map(Owned::Symbol)
            .boxed(),
        Schema::Union(union) => {
            prop_oneof![Just(Owned::Null), values(&union.variants()[1])].boxed()
        }
        other => panic!("no record has {other:?}"),
    }
}

fn fields_of(schema: &Schema) -> impl Strategy<Value = Vec<Owned>> + use<> {
    let Schema::Record(record) = schema else {
        panic!("a record")
    };
    record
        .fields
        .iter()
        .map(|field| values(&field.schema))
        .collect::<Vec<_>>()
}

/// What apache-avro makes of bytes, and the bytes that it makes of that again.
fn through_apache_avro(schema: &Schema, bytes: &[u8]) -> (Value, Vec<u8>) {
    let mut rest = bytes;
    let value = GenericDatumReader::builder(schema)
        .build()
        .unwrap()
        .read_value(&mut rest)
        .unwrap();
    assert!(rest.is_empty());
    let again = GenericDatumWriter::builder(schema)
        .build()
        .unwrap()
        .write_value_to_vec(value.clone())
        .unwrap();
    (value, again)
}

/// A record of these fields, encoded, decoded, and held against apache-avro.
fn check_record<'a, R: SupplierRecord<'a> + PartialEq + std::fmt::Debug>(
    lent: &[Field<'a>],
    bytes: &'a mut Vec<u8>,
) {
    let record = R::from_fields(lent);
    let mut seen = Vec::new();
    record.visit(&mut |_, field| seen.push(field));
    assert_eq!(seen, lent);
    record.encode(bytes);
    let bytes: &'a [u8] = bytes;
    assert_eq!(through_apache_avro(R::schema(), bytes).1, bytes);
    let decoder = Decoder::compile(R::schema(), R::schema()).unwrap();
    let mut back = R::default();
    decoder.decode(bytes, &mut back, &mut Vec::new()).unwrap();
    assert_eq!(back, record);
}

macro_rules! supplier_round_trips {
    ($($name:ident: $module:ident::$record:ident,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                /// decode(encode(x)) = x, and apache-avro agrees: catches fields swapped or of another type than the schema's.
                #[test]
                fn $name(fields in fields_of(<$module::$record<'static> as SupplierRecord<'static>>::schema())) {
                    let lent: Vec<Field<'_>> = fields.iter().map(Owned::lent).collect();
                    check_record::<$module::$record<'_>>(&lent, &mut Vec::new());
                }
            )*
        }
    };
}

supplier_round_trips! {
    emis_appointments_round_trip: emis::Appointment,
    emis_consultations_round_trip: emis::Consultation,
    tpp_appointments_round_trip: tpp::Appointment,
    tpp_consultations_round_trip: tpp::Consultation,
    inps_appointments_round_trip: inps::Appointment,
    inps_consultations_round_trip: inps::Consultation,
    microtest_appointments_round_trip: microtest::Appointment,
    microtest_consultations_round_trip: microtest::Consultation,
}

/// Holds the schema's names of fields, nested ones too, against the struct's.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value has some thirty types, ours have a few"
)]
fn same_names(theirs: &Value, ours: &Json) {
    match theirs {
        Value::Record(fields) => {
            let names: BTreeSet<&String> = fields.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ours.as_object().unwrap().keys().collect());
            for (name, value) in fields {
                same_names(value, &ours[name]);
            }
        }
        Value::Array(items) => {
            for (item, ours) in items.iter().zip(ours.as_array().unwrap()) {
                same_names(item, ours);
            }
        }
        Value::Enum(_, symbol) => assert_eq!(ours, symbol.as_str()),
        _ => {}
    }
}

fn check_datum<T: Datum + PartialEq + std::fmt::Debug + serde::Serialize>(value: &T) {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    let (theirs, again) = through_apache_avro(T::schema(), &bytes);
    assert_eq!(again, bytes);
    same_names(&theirs, &serde_json::to_value(value).unwrap());
    // The same datum of a writer with another name goes through apache-avro's resolution.
    let mut renamed: Json = serde_json::from_str(T::SCHEMA).unwrap();
    renamed["name"] = Json::from("Renamed");
    let writer = Schema::parse_str(&renamed.to_string()).unwrap();
    assert_eq!(T::decode(&writer, &bytes).as_ref(), Ok(value));
}

fn dimensions() -> impl Strategy<Value = Vec<Dimension>> {
    vec(
        ("[a-z]{1,5}", any::<String>()).prop_map(|(name, value)| Dimension { name, value }),
        0..4,
    )
}

prop_compose! {
    fn keys()(texts: [String; 5], dimensions in dimensions()) -> AggregateKey {
        let [aggregate, level, code, window_start, window_end] = texts;
        AggregateKey { aggregate, level, code, window_start, window_end, dimensions }
    }
}

prop_compose! {
    fn aggregate_values()(
        counts in vec((any::<String>(), any::<i64>()).prop_map(|(measure, value)| Count { measure, value }), 0..4),
        ratios in vec((any::<String>(), -1e9..1e9).prop_map(|(measure, value)| Ratio { measure, value }), 0..4),
        as_of: i64,
        revision: i32,
        finality in proptest::sample::select(Finality::ALL),
        closed_by in proptest::sample::select(ClosedBy::ALL),
        written_by in written_by(),
    ) -> AggregateValue {
        AggregateValue { figures: Figures { counts, ratios }, published: Published { as_of, revision, finality, closed_by, written_by } }
    }
}

fn written_by() -> impl Strategy<Value = Option<WrittenBy>> {
    of((any::<String>(), any::<i64>()).prop_map(|(task, sequence)| WrittenBy { task, sequence }))
}

fn dispositions() -> impl Strategy<Value = Vec<DispositionCount>> {
    let count = (any::<String>(), any::<String>(), of(".*"), any::<i64>());
    vec(
        count.prop_map(|(topic, disposition, reason, count)| DispositionCount {
            topic,
            disposition,
            reason,
            count,
        }),
        0..3,
    )
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches fields that stand elsewhere, or are of another type, than the schema says.
    #[test]
    fn aggregates_round_trip(key in keys(), value in aggregate_values()) {
        check_datum(&key);
        check_datum(&value);
        check_datum(&AggregateRow { key, value });
    }

    /// Catches the same of dead letters.
    #[test]
    fn dead_letters_round_trip(
        texts: [String; 2], partition: i32, offset: i64, optional in [of(".*"), of(".*"), of(".*"), of(".*")],
        key in of(bytes()), payload in of(bytes()), extracted_at: Option<i64>, written_by in written_by(),
    ) {
        let [topic, reason] = texts;
        let [field, practice_ods_code, detail, content] = optional;
        check_datum(&DeadLetter {
            topic, partition, offset, reason, field, practice_ods_code, detail, key, payload, content, extracted_at, written_by,
        });
    }

    /// Catches the same of manifests.
    #[test]
    fn manifests_round_trip(
        task: String, numbers: [i64; 4], previous_hash in bytes(), snapshot in bytes(),
        positions in vec((any::<String>(), any::<i32>(), any::<[i64; 3]>()), 0..3),
        dispositions in dispositions(), readmitted in dispositions(),
        rows in vec((any::<String>(), any::<i64>(), bytes(), of((any::<i64>(), bytes()))), 0..3),
    ) {
        let [epoch, sequence, pending, as_of] = numbers;
        let manifest = Manifest {
            task, epoch, sequence, previous_hash, hash: Bytes::default(), pending, as_of, snapshot,
            positions: positions.into_iter()
                .map(|(topic, partition, [from, to, records])| Positions { topic, partition, from, to, records }).collect(),
            dispositions, readmitted,
            rows: rows.into_iter().map(|(output, count, digest, standing)| {
                let standing = standing.map(|(rows, digest)| Standing { rows, digest });
                Written { output, count, digest, standing }
            }).collect(),
        };
        check_datum(&manifest.sealed());
    }

    /// Catches the same of deltas.
    #[test]
    fn deltas_round_trip(
        aggregate: String, dimensions in vec(any::<String>(), 0..3),
        places in vec((any::<String>(), vec(any::<String>(), 0..5)), 0..3),
        windows in vec(any::<(String, String)>(), 0..3), values in vec(vec(any::<String>(), 0..3), 0..3),
        changes in vec((any::<[i32; 3]>(), vec(any::<i64>(), 0..5)), 0..5),
        as_of: i64, written_by in written_by(), closed: Option<(i32, Option<i64>, Option<i64>)>,
    ) {
        let closed = closed.map(|(task, by_events, to)| Closed { task, by_events, to });
        check_datum(&Deltas {
            aggregate, dimensions, values, as_of, written_by, closed,
            places: places.into_iter().map(|(level, codes)| DeltaPlace { level, codes }).collect(),
            windows: windows.into_iter().map(|(start, end)| DeltaWindow { start, end }).collect(),
            changes: changes.into_iter().map(|([place, window, values], measures)| {
                DeltaChange { place, window, values, measures }
            }).collect(),
        });
    }

    /// Catches the same of requests.
    #[test]
    fn readmissions_round_trip(
        practice_ods_code: String, requested_at: i64,
        reference in vec((any::<String>(), any::<i32>(), any::<i64>()), 0..3),
    ) {
        let reference = reference.into_iter()
            .map(|(topic, partition, next)| ReferencePosition { topic, partition, next }).collect();
        check_datum(&Readmission { practice_ods_code, requested_at, reference });
    }

    /// Catches the same of canonical appointments.
    #[test]
    fn canonical_appointments_round_trip(
        texts: [String; 11], fingerprint in bytes(), longs: [i64; 2], ints: [i32; 2],
        published_status in of(".*"), actual_duration_minutes: Option<i32>,
    ) {
        let [
            supplier, practice_ods_code, status, hcp_type, sds_role_group, mode, waiting_band,
            national_category, context_type, service_setting, _,
        ] = texts;
        check_datum(&CanonicalAppointment {
            supplier, practice_ods_code, fingerprint, version: longs[0], appointment_date: ints[0], start: longs[1],
            planned_minutes: ints[1], status, published_status, hcp_type, sds_role_group, mode, waiting_band,
            national_category, context_type, service_setting, actual_duration_minutes,
        });
    }

    /// Catches the same of reference records, and keys that do not begin with the practice.
    #[test]
    fn reference_records_round_trip(
        texts: [String; 5], optional in vec(of(".*"), 11), suppliers in vec(any::<String>(), 0..3), ints: [Option<i32>; 4],
        effective_from: i32, recorded_at: i64, state in proptest::sample::select(ParticipationState::ALL),
    ) {
        let [first, second, third, fourth, fifth] = texts;
        let practice_ods_code = "A81001".to_owned();
        let participation = Participation {
            practice_ods_code: practice_ods_code.clone(), service_id: first.clone(), state, effective_from,
            effective_to: ints[0], recorded_at,
        };
        let mut optional = optional.into_iter();
        let mut next = || optional.next().flatten();
        let practice = Practice {
            practice_ods_code: practice_ods_code.clone(), name: second.clone(), suppliers,
            pcn_code: next(), pcn_name: next(), sub_icb_code: next(), sub_icb_ons_code: next(), sub_icb_name: next(),
            icb_code: next(), icb_ons_code: next(), icb_name: next(), region_code: next(), region_ons_code: next(),
            region_name: next(), registered_patients: ints[1], open_date: ints[2], close_date: ints[3],
            effective_from, recorded_at,
        };
        let mapping = SlotTypeMapping {
            practice_ods_code, slot_type: first, national_slot_category: third, context_type: fourth,
            service_setting: fifth, effective_from, effective_to: ints[0], recorded_at,
        };
        check_datum(&participation);
        check_datum(&practice);
        check_datum(&mapping);
        for key in [participation.key(), practice.key(), mapping.key()] {
            assert!(key.starts_with("A81001|"));
        }
    }
}
