//! Schemas by id: from the registry, or compiled in under fixed ids where there is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apache_avro::Schema;

use super::clock::monotonic;
use super::registry::{Registry, RegistryError};
use crate::domain::topic::SupplierTopic;
use crate::wire::supplier::{SupplierRecord, emis, inps, microtest, tpp};

/// An id that the registry does not know is asked for again after this: it may have been restored by then.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// A schema of ours, as its file under `schemas/` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundled {
    /// The file's name without its ending: the topic's, or the topics' common part.
    pub name: &'static str,
    /// The id it goes by where no registry is configured. Fixed for ever: logs are read by it.
    pub id: u32,
    pub text: &'static str,
}

macro_rules! bundled {
    ($($id:literal $folder:literal $name:literal,)*) => {
        &[$(Bundled {
            name: $name,
            id: $id,
            text: include_str!(concat!("../../schemas/", $folder, "/", $name, ".avsc")),
        },)*]
    };
}

/// Ids below 10: supplier records; below 20: reference records; from 20: what goes out.
pub const BUNDLED: &[Bundled] = bundled![
    1 "in" "emis.appointments",
    2 "in" "emis.consultations",
    3 "in" "tpp.appointments",
    4 "in" "tpp.consultations",
    5 "in" "inps.appointments",
    6 "in" "inps.consultations",
    7 "in" "microtest.appointments",
    8 "in" "microtest.consultations",
    11 "in" "cqrs.participation",
    12 "in" "ods.practices",
    13 "in" "gpad.slot-type-mappings",
    20 "out" "gpad.aggregates-key",
    21 "out" "gpad.aggregates-value",
    22 "out" "gpad.dead-letters",
    23 "out" "gpad.ledger",
    24 "out" "gpad.deltas",
    25 "out" "gpad.appointments",
    26 "out" "gpad.readmissions",
    27 "out" "gpad.history",
];

/// The bundled schema of that name.
#[must_use]
pub fn bundled(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

/// The schema that a topic's records are read as.
#[must_use]
pub fn reader_schema(topic: SupplierTopic) -> &'static Schema {
    match topic {
        SupplierTopic::EmisAppointments => emis::Appointment::schema(),
        SupplierTopic::EmisConsultations => emis::Consultation::schema(),
        SupplierTopic::TppAppointments => tpp::Appointment::schema(),
        SupplierTopic::TppConsultations => tpp::Consultation::schema(),
        SupplierTopic::InpsAppointments => inps::Appointment::schema(),
        SupplierTopic::InpsConsultations => inps::Consultation::schema(),
        SupplierTopic::MicrotestAppointments => microtest::Appointment::schema(),
        SupplierTopic::MicrotestConsultations => microtest::Consultation::schema(),
    }
}

/// Why there is no schema to read with.
#[derive(Debug, thiserror::Error)]
pub enum NoSchema {
    /// Nobody has registered it: what was written with it cannot be read.
    #[error("the registry does not know the schema's id")]
    Unknown,
    /// It is there and is not Avro as we know it.
    #[error("the registry's schema cannot be parsed")]
    Unreadable,
    /// Not to be had now; waiting helps, refusing would be wrong.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

#[derive(Clone)]
enum Known {
    Schema(Arc<Schema>),
    Unreadable,
    UnknownSince(Instant),
}

/// Schemas by id, each asked for once.
pub struct Schemas {
    registry: Option<Registry>,
    known: Mutex<HashMap<u32, Known>>,
}

impl Schemas {
    #[must_use]
    pub fn new(registry: Option<Registry>) -> Self {
        let known = if registry.is_some() {
            HashMap::new()
        } else {
            compiled_in()
        };
        Self {
            registry,
            known: Mutex::new(known),
        }
    }

    /// The writer's schema of that id.
    ///
    /// # Errors
    /// When there is none, or the registry is away.
    pub fn schema(&self, id: u32) -> Result<Arc<Schema>, NoSchema> {
        match self.known().get(&id) {
            Some(Known::Schema(schema)) => return Ok(Arc::clone(schema)),
            Some(Known::Unreadable) => return Err(NoSchema::Unreadable),
            Some(Known::UnknownSince(at)) if at.elapsed() < ASK_AGAIN => {
                return Err(NoSchema::Unknown);
            }
            Some(Known::UnknownSince(_)) | None => {}
        }
        // Not under the lock: a slow registry must not hold up those who have theirs.
        let Some(registry) = &self.registry else {
            return Err(NoSchema::Unknown);
        };
        let found = match registry.schema(id)? {
            None => Known::UnknownSince(monotonic()),
            Some(text) => match Schema::parse_str(&text) {
                Ok(schema) => Known::Schema(Arc::new(schema)),
                Err(error) => {
                    tracing::error!(id, "the registry's schema cannot be parsed: {error}");
                    Known::Unreadable
                }
            },
        };
        self.known().insert(id, found.clone());
        match found {
            Known::Schema(schema) => Ok(schema),
            Known::Unreadable => Err(NoSchema::Unreadable),
            Known::UnknownSince(_) => Err(NoSchema::Unknown),
        }
    }

    /// The id under which `subject` is written with the bundled schema `name`: the registry's, which is told of
    /// the schema if it has not heard of it, or the fixed one.
    ///
    /// # Errors
    /// When the registry is away or refuses the schema.
    ///
    /// # Panics
    /// When no schema of that name is bundled.
    pub fn id(&self, subject: &str, name: &str) -> Result<u32, RegistryError> {
        let bundled =
            bundled(name).expect("names of bundled schemas are written in this crate alone");
        match &self.registry {
            Some(registry) => registry.register(subject, bundled.text),
            None => Ok(bundled.id),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u32, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compiled_in() -> HashMap<u32, Known> {
    BUNDLED
        .iter()
        .map(|bundled| {
            let schema =
                Schema::parse_str(bundled.text).expect("a test parses every bundled schema");
            (bundled.id, Known::Schema(Arc::new(schema)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_schemas_is_bundled_under_an_id_of_its_own() {
        let mut files = BTreeSet::new();
        for folder in ["in", "out"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("schemas")
                .join(folder);
            for file in std::fs::read_dir(folder).into_iter().flatten() {
                let path = file.unwrap().path();
                files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
            }
        }
        // A shape of files, never on a topic.
        files.remove("gpad.aggregates-row");
        let bundled: BTreeSet<String> = BUNDLED
            .iter()
            .map(|bundled| bundled.name.to_owned())
            .collect();
        assert_eq!(bundled, files);
        let ids: BTreeSet<u32> = BUNDLED.iter().map(|bundled| bundled.id).collect();
        assert_eq!(ids.len(), BUNDLED.len());
    }

    #[test]
    fn without_a_registry_the_fixed_ids_are_known_and_no_others() {
        let schemas = Schemas::new(None);
        for bundled in BUNDLED {
            assert_eq!(schemas.id("any", bundled.name).unwrap(), bundled.id);
            let expected = Schema::parse_str(bundled.text).unwrap();
            assert_eq!(*schemas.schema(bundled.id).unwrap(), expected);
        }
        assert!(matches!(schemas.schema(99), Err(NoSchema::Unknown)));
    }
}
