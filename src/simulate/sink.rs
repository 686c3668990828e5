//! Where a run's records go.

use std::path::{Path, PathBuf};

use crate::domain::topic::{ReferenceTopic, SupplierTopic};
use crate::wire::container::{ContainerWriter, Packing};

use super::error::Error;

/// One of the eleven topics that the service reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Of a supplier.
    Supplier(SupplierTopic),
    /// Of reference data.
    Reference(ReferenceTopic),
}

impl Topic {
    /// All eleven: the reference topics, which are read first, then the suppliers'.
    pub const ALL: [Self; 11] = [
        Self::Reference(ReferenceTopic::Participation),
        Self::Reference(ReferenceTopic::Practices),
        Self::Reference(ReferenceTopic::SlotTypeMappings),
        Self::Supplier(SupplierTopic::EmisAppointments),
        Self::Supplier(SupplierTopic::EmisConsultations),
        Self::Supplier(SupplierTopic::TppAppointments),
        Self::Supplier(SupplierTopic::TppConsultations),
        Self::Supplier(SupplierTopic::InpsAppointments),
        Self::Supplier(SupplierTopic::InpsConsultations),
        Self::Supplier(SupplierTopic::MicrotestAppointments),
        Self::Supplier(SupplierTopic::MicrotestConsultations),
    ];

    /// The topic's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supplier(topic) => topic.name(),
            Self::Reference(topic) => topic.name(),
        }
    }

    /// The schema that its data are written with, as JSON.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Reference(ReferenceTopic::Participation) => {
                include_str!("../../schemas/in/cqrs.participation.avsc")
            }
            Self::Reference(ReferenceTopic::Practices) => {
                include_str!("../../schemas/in/ods.practices.avsc")
            }
            Self::Reference(ReferenceTopic::SlotTypeMappings) => {
                include_str!("../../schemas/in/gpad.slot-type-mappings.avsc")
            }
            Self::Supplier(SupplierTopic::EmisAppointments) => {
                include_str!("../../schemas/in/emis.appointments.avsc")
            }
            Self::Supplier(SupplierTopic::EmisConsultations) => {
                include_str!("../../schemas/in/emis.consultations.avsc")
            }
            Self::Supplier(SupplierTopic::TppAppointments) => {
                include_str!("../../schemas/in/tpp.appointments.avsc")
            }
            Self::Supplier(SupplierTopic::TppConsultations) => {
                include_str!("../../schemas/in/tpp.consultations.avsc")
            }
            Self::Supplier(SupplierTopic::InpsAppointments) => {
                include_str!("../../schemas/in/inps.appointments.avsc")
            }
            Self::Supplier(SupplierTopic::InpsConsultations) => {
                include_str!("../../schemas/in/inps.consultations.avsc")
            }
            Self::Supplier(SupplierTopic::MicrotestAppointments) => {
                include_str!("../../schemas/in/microtest.appointments.avsc")
            }
            Self::Supplier(SupplierTopic::MicrotestConsultations) => {
                include_str!("../../schemas/in/microtest.consultations.avsc")
            }
        }
    }
}

/// Takes the records of a run, one at a time.
pub trait Sink {
    /// Takes one record.
    ///
    /// `key` is the practice's code, of a reference record [`ReferenceRecord::key`](crate::wire::reference::ReferenceRecord::key), which
    /// begins with it; `datum` is Avro binary without framing, by [`Topic::schema`]; `extracted_at` is the
    /// record's version in UTC milliseconds, of a reference record the instant it was recorded.
    ///
    /// # Errors
    /// When the record cannot be handed on; the run stops.
    fn send(
        &mut self,
        topic: Topic,
        key: &[u8],
        datum: &[u8],
        extracted_at: i64,
    ) -> Result<(), Error>;
}

/// Container files `<topic>.avro` in a directory.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    writers: Vec<ContainerWriter>,
}

impl Files {
    /// Creates the directory, where there is none, and all eleven files.
    ///
    /// # Errors
    /// [`Error::World`] when one cannot be created.
    pub fn create(directory: &Path, seed: u64) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(|source| {
            Error::world(format!("cannot create {}", directory.display()), source)
        })?;
        let writers = Topic::ALL
            .iter()
            .map(|topic| {
                let path = directory.join(format!("{}.avro", topic.name()));
                ContainerWriter::create(&path, topic.schema(), Packing::Null, seed).map_err(
                    |error| {
                        Error::world(
                            format!("cannot create {}", path.display()),
                            std::io::Error::other(error),
                        )
                    },
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            directory: directory.to_owned(),
            writers,
        })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`Error::World`] when a file cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        let directory = self.directory;
        for writer in self.writers {
            writer.finish().map_err(|error| failed(&directory, error))?;
        }
        Ok(())
    }
}

fn failed(directory: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::world(
        format!("cannot write to {}", directory.display()),
        std::io::Error::other(error),
    )
}

impl Sink for Files {
    fn send(
        &mut self,
        topic: Topic,
        _key: &[u8],
        datum: &[u8],
        _extracted_at: i64,
    ) -> Result<(), Error> {
        let index = match topic {
            Topic::Reference(topic) => topic as usize,
            Topic::Supplier(topic) => ReferenceTopic::ALL.len() + topic.index(),
        };
        self.writers[index]
            .append(datum)
            .map_err(|error| failed(&self.directory, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_stand_in_the_order_of_their_writers() {
        for (index, topic) in Topic::ALL.into_iter().enumerate() {
            let position = match topic {
                Topic::Reference(topic) => topic as usize,
                Topic::Supplier(topic) => ReferenceTopic::ALL.len() + topic.index(),
            };
            assert_eq!(position, index, "{}", topic.name());
        }
    }
}
