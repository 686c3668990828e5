//! The client of the schema registry, on a real Apicurio Registry.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail as its body does, and wait by the clock"
)]

mod support;

use gpad_live::adapters::registry::{Compatibility, Registry};
use gpad_live::adapters::schemas::{BUNDLED, NoSchema, Schemas, bundled};
use gpad_live::config;

const OLD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;
const WITH_DEFAULT: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","string"],"default":null}]}"#;
const WITHOUT_DEFAULT: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"c","type":"string"}]}"#;

#[test]
fn a_real_registry_takes_our_schemas_and_gives_them_back_by_id() {
    let apicurio = support::Registry::start();
    let settings = config::Registry {
        url: Some(apicurio.url.clone()),
        ..config::Settings::default().registry
    };
    let registry = Registry::new(&settings).unwrap();

    assert_eq!(registry.schema(4_000_000).unwrap(), None);
    for bundled in BUNDLED {
        let subject = format!("{}-value", bundled.name);
        assert_eq!(
            registry.compatibility(&subject, bundled.text).unwrap(),
            Compatibility::New
        );
        let id = registry.register(&subject, bundled.text).unwrap();
        assert_eq!(
            registry.register(&subject, bundled.text).unwrap(),
            id,
            "registering twice changes nothing"
        );
        assert_eq!(
            registry.compatibility(&subject, bundled.text).unwrap(),
            Compatibility::Same
        );
    }

    let schemas = Schemas::new(Some(registry.clone()));
    let id = schemas
        .id("tpp.appointments-value", "tpp.appointments")
        .unwrap();
    let expected =
        apache_avro::Schema::parse_str(bundled("tpp.appointments").unwrap().text).unwrap();
    assert_eq!(*schemas.schema(id).unwrap(), expected);
    assert!(matches!(schemas.schema(4_000_000), Err(NoSchema::Unknown)));

    registry.register("s-value", OLD).unwrap();
    registry.set_compatibility("s-value", "BACKWARD").unwrap();
    assert_eq!(
        registry.compatibility("s-value", WITH_DEFAULT).unwrap(),
        Compatibility::Compatible
    );
    let incompatible = registry.compatibility("s-value", WITHOUT_DEFAULT).unwrap();
    assert!(
        matches!(incompatible, Compatibility::Incompatible(_)),
        "{incompatible:?}"
    );
    let refused = registry
        .register("s-value", WITHOUT_DEFAULT)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("registering s-value: answers 409"),
        "{refused}"
    );

    // Known ids outlive the registry; unknown ones wait for it instead of being refused.
    drop(apicurio);
    assert!(schemas.schema(id).is_ok());
    assert!(matches!(
        schemas.schema(id + 1_000),
        Err(NoSchema::Registry(_))
    ));

    let wrong_path = support::wrong_registry();
    let settings = config::Registry {
        url: Some(wrong_path.url.clone()),
        ..settings
    };
    let error = Registry::new(&settings)
        .unwrap()
        .schema(1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("asking for schema 1: answers 404"),
        "a wrong URL is no unknown id: {error}"
    );
}
