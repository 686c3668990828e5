//! Records made to break the service: every one ends in a disposition, and the good ones go on.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use gpad_live::adapters::kafka::NewTopic;
use gpad_live::adapters::log::{Append, Log, NewRecord};
use gpad_live::adapters::registry::Registry as Client;
use gpad_live::adapters::schemas::Schemas;
use gpad_live::config;
use gpad_live::domain::topic::SupplierTopic;
use gpad_live::wire::framing::{MAX_VALUE_BYTES, frame};
use gpad_live::wire::supplier::{SupplierRecord, emis};
use support::input::Input;
use support::proof::Proof;
use support::{Kafka, Registry, open, wait_for};

const PARTITIONS: i32 = 2;
const RECORDS: usize = 1_500;
const SEED: u64 = 5;
const EMIS: &str = "emis.appointments";
/// Ten megabytes: more than any sound record by four orders.
const LARGE: usize = 10_000_000;
/// What the broker lets senders send here; its default of 1 MB would keep the large ones out.
const ALLOWED: &str = "16000000";

struct Poison {
    appender: Box<dyn Append>,
    sent: i64,
}

impl Poison {
    fn send(&mut self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.appender
            .append(&NewRecord {
                topic,
                partition: None,
                key,
                value,
            })
            .unwrap();
        self.sent += 1;
        // Large ones one by one: the client's queue holds a bounded number of bytes.
        if value.is_some_and(|value| value.len() > 1_000_000) {
            self.appender.flush().unwrap();
        }
    }
}

/// Registers a writer's schema as a supplier with odd ideas does; `None` if the registry will not have it.
fn register(registry: &str, subject: &str, schema: &serde_json::Value) -> Option<u32> {
    let body = serde_json::json!({ "schema": schema.to_string() }).to_string();
    let answer = ureq::post(format!("{registry}/subjects/{subject}/versions"))
        .header("Content-Type", "application/vnd.schemaregistry.v1+json")
        .send(body);
    let text = answer.ok()?.body_mut().read_to_string().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    u32::try_from(answer["id"].as_u64()?).ok()
}

/// The bundled schema of EMIS appointments, with one more field at the end.
fn with_field(extra: &serde_json::Value) -> serde_json::Value {
    let text = include_str!("../schemas/in/emis.appointments.avsc");
    let mut schema: serde_json::Value = serde_json::from_str(text).unwrap();
    let field = serde_json::json!({ "name": "extra", "type": extra });
    schema["fields"].as_array_mut().unwrap().push(field);
    schema
}

/// A sound appointment but for its text.
fn with_text(practice: &str, text: &str) -> Vec<u8> {
    let mut datum = Vec::new();
    let record = emis::Appointment {
        practice_ods_code: practice,
        extract_id: "x",
        extracted_at: 1_645_000_000_000,
        schema_note: None,
        slot_guid: "poisoned",
        booking_guid: Some("b"),
        session_guid: "s",
        appointment_date: 19_030,
        appointment_start_time: 36_000_000,
        planned_duration_minutes: 10,
        booked_date: Some(19_029),
        booked_time: Some(36_000_000),
        send_in_time: None,
        left_time: None,
        did_not_attend: false,
        actual_duration_minutes: None,
        slot_type_description: text,
        session_category: text,
        job_category_code: Some("R0260"),
        appointment_mode: Some("Face-to-Face"),
        national_slot_category: None,
        context_type: None,
        service_setting: None,
        blocked: false,
        deleted: false,
    };
    record.encode(&mut datum);
    datum
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn poison_is_refused_record_by_record_and_nothing_dies_of_it() {
    let _alone = support::alone();
    let (kafka, registry) = (Kafka::start(), Registry::start());
    let log = open(&kafka.brokers(), "poison");
    let large: Vec<NewTopic> = (SupplierTopic::ALL.into_iter())
        .map(|topic| NewTopic {
            name: topic.name().to_owned(),
            partitions: PARTITIONS,
            settings: vec![
                ("retention.ms", "-1".to_owned()),
                ("max.message.bytes", ALLOWED.to_owned()),
            ],
        })
        .collect();
    log.create_topics(&large, 1).unwrap();
    let input = Input::draw(RECORDS, SEED);
    let proof = Proof::prepare_with(&kafka.brokers(), input, PARTITIONS, 1, Some(&registry.url));
    let settings = config::Registry {
        url: Some(registry.url.clone()),
        ..config::Settings::default().registry
    };
    let schemas = Schemas::new(Client::new(&settings));
    let mut poison = Poison {
        appender: log.appender().unwrap(),
        sent: 0,
    };
    let mut kinds: BTreeMap<&str, i64> = BTreeMap::new();
    let mut instance = proof.start_named("only", &[]);

    let sound = Input::sound(RECORDS, SEED);
    for (topic, key, datum) in &sound {
        let id = schemas.id(&format!("{topic}-value"), topic).unwrap();
        let mut value = Vec::new();
        frame(id, datum, &mut value);
        for at in 0..value.len() {
            for mask in [0xff, 0x01, 0x80] {
                let mut flipped = value.clone();
                flipped[at] ^= mask;
                poison.send(topic, Some(key), Some(&flipped));
            }
            poison.send(topic, Some(key), Some(&value[..at]));
        }
        *kinds.entry("every byte flipped or cut").or_default() += 4 * value.len() as i64;
        for (key, value) in [
            (None, None),
            (Some(&key[..]), None),
            (None, Some(&value[..])),
            (Some(&b""[..]), Some(&b""[..])),
            (Some(&[0xff, 0xfe, 0x00][..]), Some(&value[..])),
            (
                Some(&key[..]),
                Some(&[value.as_slice(), b"more"].concat()[..]),
            ),
        ] {
            poison.send(topic, key, value);
            *kinds
                .entry("null, empty and foreign keys and values")
                .or_default() += 1;
        }
        // As large as it goes: noise, and noise behind a sound record.
        let noise: Vec<u8> = (0..LARGE)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        poison.send(topic, Some(key), Some(&noise));
        poison.send(topic, Some(key), Some(&[&value[..], &noise].concat()));
        *kinds.entry("10 MB").or_default() += 2;
    }

    let (_, key, datum) = &sound[0];
    let practice = std::str::from_utf8(key).unwrap();
    let id = schemas.id(&format!("{EMIS}-value"), EMIS).unwrap();
    // Five megabytes in each of two texts, and as much as is just let in: a letter tells its content in JSON, escaped.
    for (most, text) in [LARGE, MAX_VALUE_BYTES - 1_000]
        .into_iter()
        .flat_map(|most| ["\u{1}", "a", "\u{fffd}", "\"", "9"].map(|text| (most, text)))
    {
        let mut value = Vec::new();
        frame(
            id,
            &with_text(practice, &text.repeat(most / 2 / text.len())),
            &mut value,
        );
        poison.send(EMIS, Some(key), Some(&value));
        *kinds.entry("up to 10 MB of text").or_default() += 1;
    }

    let node = serde_json::json!({
        "type": "record", "name": "Node", "fields": [{ "name": "next", "type": ["null", "Node"] }]
    });
    let arrays = |depth: usize| {
        let inner = serde_json::json!("long");
        (0..depth).fold(
            inner,
            |items, _| serde_json::json!({ "type": "array", "items": items }),
        )
    };
    let list = register(&registry.url, "odd-list", &with_field(&node))
        .expect("a recursive type is sound Avro");
    let nested = register(&registry.url, "odd-arrays", &with_field(&arrays(40)))
        .expect("so are nested arrays");
    let too_nested = register(&registry.url, "odd-tower", &with_field(&arrays(120)));
    let links = |count: usize| [vec![2; count], vec![0]].concat();
    let mut deep = vec![
        (list, links(5)),
        (list, links(1_000_000)),
        (list, vec![2; 100_000]),
        (nested, vec![2; 40]),
    ];
    deep.extend(too_nested.map(|id| (id, vec![2; 120])));
    for (id, extra) in deep {
        let mut value = Vec::new();
        frame(id, &[&datum[..], &extra].concat(), &mut value);
        poison.send(EMIS, Some(key), Some(&value));
        *kinds.entry("deep nesting").or_default() += 1;
    }
    poison.appender.flush().unwrap();

    // All of it is read back after a death, too; then come the good ones.
    proof.wait_until_accounted(
        usize::try_from(poison.sent / 2).unwrap(),
        Duration::from_mins(2),
    );
    assert!(instance.ended().is_none(), "{}", instance.log());
    instance.kill();
    let mut instance = proof.start_named("only", &[]);
    proof.flow.release_all();
    let total = usize::try_from(poison.sent).unwrap() + proof.flow.total();
    proof.wait_until_accounted(total, Duration::from_mins(2));
    assert!(instance.ended().is_none(), "{}", instance.log());
    wait_for(
        "the auditor to have read everything",
        Duration::from_mins(1),
        || proof.auditor.look(support::audit::Books::is_settled),
    );

    proof.auditor.look(|books| {
        let of = |name: &str| -> i64 {
            let of_name = |(_, part, disposition): &(String, String, String)| {
                part == "dispositions" && disposition == name
            };
            books
                .dispositions
                .iter()
                .filter(|(key, _)| of_name(key))
                .map(|(_, count)| count)
                .sum()
        };
        assert_eq!(
            books.accounted,
            i64::try_from(total).unwrap(),
            "every record has one disposition"
        );
        let letters: usize = books.letters.values().sum();
        assert_eq!(
            i64::try_from(letters).unwrap(),
            of("rejected"),
            "every refused record is one dead letter"
        );
        assert!(of("rejected") > poison.sent / 2, "{:?}", books.dispositions);
        assert!(of("accepted") > 0);
        eprintln!("{kinds:?}: {} of {} refused", of("rejected"), poison.sent);
    });
    let (status, _, log) = instance.stop();
    assert!(status.success(), "{status}\n{log}");
}
