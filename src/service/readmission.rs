//! Requests to read practices' records again, and the reading: what `readmit` asks for, inside the task's transaction.
//
//   readmit ─► gpad.readmissions, partition of the practice ─► its task, as a ninth input
//                                                               │ reads its eight partitions again, from their
//                                                               │ beginnings to where it stands, that practice only
//                                                               ▼
//                     one transaction: rows, deltas, manifest with counts of their own, position past the request
//
// The request's position is committed with what came of it: a death in between leaves both undone, and the next owner
// begins anew. A request that is repeated reads duplicates, which change nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::adapters::clock::{monotonic, since};
use crate::adapters::crash::{self, Point};
use crate::adapters::log::{Log, LogError, Message, Position, Span};
use crate::adapters::registry::RegistryError;
use crate::adapters::threads;
use crate::domain::disposition::Disposition;
use crate::domain::topic::SupplierTopic;
use crate::engine::ledger::Counts;
use crate::wire::datum::Datum;
use crate::wire::framing::unframe;
use crate::wire::output::{Readmission, ReferencePosition};

/// How long a registry that is away is waited for before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A request, as it lies in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub practice: String,
    reference: Vec<(String, i32, i64)>,
}

impl Request {
    /// # Errors
    /// Why the record is no request.
    pub fn read(value: Option<&[u8]>) -> Result<Self, String> {
        let (_, datum) = unframe(value).map_err(|error| error.to_string())?;
        let request = Readmission::from_bytes(datum).map_err(|error| error.to_string())?;
        let position = |at: ReferencePosition| (at.topic, at.partition, at.next);
        Ok(Self {
            practice: request.practice_ods_code,
            reference: request.reference.into_iter().map(position).collect(),
        })
    }

    /// What must still be read of the reference topics before it is taken up.
    #[must_use]
    pub fn missing(&self, read: &[Position]) -> Option<String> {
        let missing = self.reference.iter().find(|(topic, partition, next)| {
            let at = (read.iter()).find(|at| at.topic == *topic && at.partition == *partition);
            at.is_none_or(|at| at.next < *next)
        });
        missing.map(|(topic, partition, next)| {
            format!(
                "{} is to be read again once {topic}/{partition} was read up to {next}",
                self.practice
            )
        })
    }
}

/// What is to be read again in the open transaction, and what came of it.
#[derive(Debug, Default)]
pub struct Again {
    pub practices: BTreeSet<String>,
    /// By disposition, of the records read again alone.
    pub counts: Counts,
}

impl Again {
    /// Reads the practices' records before `until`, by supplier topic; `false` if it was not to go on.
    ///
    /// # Errors
    /// When the log fails; a part has been taken by then.
    pub fn read(
        &mut self,
        log: &dyn Log,
        partition: i32,
        until: &[i64],
        go_on: &dyn Fn() -> bool,
        take: &mut dyn FnMut(SupplierTopic, &Message<'_>) -> Result<Disposition, RegistryError>,
    ) -> Result<bool, LogError> {
        let began = monotonic();
        for (topic, until) in SupplierTopic::ALL.into_iter().zip(until) {
            if *until == 0 {
                continue;
            }
            let first = log.ends(topic.name(), partition)?.first;
            if first > 0 {
                tracing::warn!(%topic, partition, first, "the beginning of the topic is gone: what lay there cannot be read again");
            }
            let span = Span {
                until: Some(*until),
                ..Span::whole(partition)
            };
            let (practices, counts) = (&self.practices, &mut self.counts);
            let mut is_whole = true;
            log.scan(topic.name(), &[span], &mut |message| {
                is_whole = go_on();
                if !is_whole {
                    return ControlFlow::Break(());
                }
                let message = message.filter(|message| {
                    let key = message.key.and_then(|key| std::str::from_utf8(key).ok());
                    key.is_some_and(|key| practices.contains(key))
                });
                let Some(message) = message else {
                    return ControlFlow::Continue(());
                };
                while is_whole {
                    match take(topic, &message) {
                        Ok(disposition) => {
                            counts.count(topic, disposition);
                            crash::pass(Point::Readmitting);
                            break;
                        }
                        Err(error) => {
                            tracing::warn!("reading again: {error}");
                            threads::sleep(ASK_AGAIN);
                            is_whole = go_on();
                        }
                    }
                }
                if is_whole {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            if !is_whole {
                return Ok(false);
            }
        }
        let practices: Vec<&str> = self.practices.iter().map(String::as_str).collect();
        tracing::info!(
            partition,
            practices = practices.join(" "),
            records = self.counts.total(),
            took_ms = since(began).as_millis(),
            "read again"
        );
        Ok(true)
    }

    /// The counts of a transaction without those of the records read again.
    #[must_use]
    pub fn apart_from(&self, all: &Counts) -> Counts {
        let mut rest = all.clone();
        for (topic, disposition, records) in self.counts.entries() {
            rest.add(topic, disposition, -records);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(next: i64) -> Position {
        Position {
            topic: "cqrs.participation".to_owned(),
            partition: 0,
            next,
        }
    }

    #[test]
    fn a_request_waits_for_the_reference_data_it_was_made_in_knowledge_of() {
        let request = Request {
            practice: "A81001".to_owned(),
            reference: vec![("cqrs.participation".to_owned(), 0, 7)],
        };
        for (read, expected) in [
            (vec![], true),
            (vec![position(6)], true),
            (vec![position(7)], false),
            (vec![position(9)], false),
        ] {
            assert_eq!(request.missing(&read).is_some(), expected, "{read:?}");
        }
        assert_eq!(
            request.missing(&[]).unwrap(),
            "A81001 is to be read again once cqrs.participation/0 was read up to 7"
        );
    }

    #[test]
    fn counts_of_what_is_read_again_stay_apart() {
        let topic = SupplierTopic::TppAppointments;
        let mut again = Again::default();
        again.counts.count(topic, Disposition::Duplicate);
        let mut all = again.counts.clone();
        all.count(topic, Disposition::Accepted);
        let rest = again.apart_from(&all);
        assert_eq!(rest.of(topic, Disposition::Duplicate), 0);
        assert_eq!(rest.of(topic, Disposition::Accepted), 1);
    }
}
