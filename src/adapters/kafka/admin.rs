//! Making topics, and looking at those that are there.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::log::{LogError, Remedy};
use super::context::Plain;
use super::{KafkaLog, client};

const PATIENCE: Duration = Duration::from_secs(30);

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: i32,
    pub settings: Vec<(&'static str, String)>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    pub name: String,
    pub partitions: i32,
    /// Those asked for, where the broker has them.
    pub settings: Vec<(String, String)>,
}

impl KafkaLog {
    /// Makes those topics that are missing; says of each whether it was made.
    ///
    /// # Errors
    /// When the broker refuses one, with its name and the broker's reason.
    pub fn create_topics(
        &self,
        topics: &[NewTopic],
        replication: i32,
    ) -> Result<Vec<bool>, LogError> {
        let (runtime, admin) = self.admin()?;
        let wanted: Vec<rdkafka::admin::NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(replication);
                let new = rdkafka::admin::NewTopic::new(&topic.name, topic.partitions, replication);
                topic
                    .settings
                    .iter()
                    .fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = runtime
            .block_on(admin.create_topics(&wanted, &options))
            .map_err(|error| LogError::new(Remedy::Retry, "creating topics", error))?;
        made.into_iter()
            .map(|outcome| match outcome {
                Ok(_) => Ok(true),
                Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => Ok(false),
                Err((name, code)) => Err(LogError::new(
                    Remedy::Stop,
                    format!("creating topic {name}"),
                    code.to_string(),
                )),
            })
            .collect()
    }

    /// How the named topics are, without those that are missing.
    ///
    /// # Errors
    /// When the broker does not answer in time.
    pub fn describe_topics(
        &self,
        names: &[String],
        settings: &[&str],
    ) -> Result<Vec<TopicState>, LogError> {
        let failed = |error| LogError::new(Remedy::Retry, "looking at topics", error);
        let metadata = self
            .committed
            .fetch_metadata(None, PATIENCE)
            .map_err(failed)?;
        let present: Vec<(&String, i32)> = names
            .iter()
            .filter_map(|name| {
                let topic = metadata
                    .topics()
                    .iter()
                    .find(|topic| topic.name() == name)?;
                Some((
                    name,
                    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
                ))
            })
            .collect();
        let (runtime, admin) = self.admin()?;
        if present.is_empty() {
            // Asked about nothing, a broker answers that the request makes no sense.
            return Ok(Vec::new());
        }
        let asked: Vec<ResourceSpecifier<'_>> = present
            .iter()
            .map(|(name, _)| ResourceSpecifier::Topic(name))
            .collect();
        let described = runtime
            .block_on(admin.describe_configs(asked.iter(), &AdminOptions::new()))
            .map_err(failed)?;
        let mut states = Vec::with_capacity(present.len());
        for ((name, partitions), outcome) in present.into_iter().zip(described) {
            let resource = outcome.map_err(|code| {
                LogError::new(
                    Remedy::Retry,
                    format!("looking at topic {name}"),
                    code.to_string(),
                )
            })?;
            let settings = settings
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), resource.get(key)?.value.clone()?)))
                .collect();
            states.push(TopicState {
                name: name.clone(),
                partitions,
                settings,
            });
        }
        Ok(states)
    }

    pub(super) fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), LogError> {
        let doing = || format!("deleting {topic}/{partition} before {offset}");
        let failed = |error: KafkaError| LogError::new(Remedy::Retry, doing(), error);
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(failed)?;
        let (runtime, admin) = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = runtime
            .block_on(admin.delete_records(&offsets, &options))
            .map_err(failed)?;
        deleted
            .elements()
            .iter()
            .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
            .map_err(failed)
    }

    fn admin(&self) -> Result<(tokio::runtime::Runtime, AdminClient<Plain>), LogError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| LogError::new(Remedy::Stop, "starting an admin client", error))?;
        let admin = client(&self.settings, &[])
            .create_with_context(Plain::default())
            .map_err(|error| LogError::new(Remedy::Stop, "starting an admin client", error))?;
        Ok((runtime, admin))
    }
}
