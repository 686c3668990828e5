//! Watches the inputs for transactions of other producers that are left open: readers of committed records stand
//! still before them, whatever comes behind. Who asks so often also notices that nobody answers, though no task has
//! anything to commit, and that a task has not come round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::observe::{Health, Observation, Observer};
use super::stop::Stop;
use crate::adapters::clock::monotonic;
use crate::adapters::log::{Ends, Log, LogError};
use crate::domain::topic::{ReferenceTopic, SupplierTopic};

/// A topic and one of its partitions.
type Place = (&'static str, i32);

/// Records behind a transaction that is open, of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standstill {
    /// The last stable offset: the transaction's first.
    stable: i64,
    /// When it was first seen there.
    since: Instant,
    /// Offsets from there to the high watermark.
    records: i64,
}

/// What was last seen of each partition that has an open transaction.
//
//   last stable offset        high watermark
//          |-- undecided -----------|       stands still while it is the same transaction that is open
#[derive(Debug, Default)]
struct Standstills(BTreeMap<Place, Standstill>);

impl Standstills {
    /// Takes in where a partition ends now.
    fn see(&mut self, place: Place, ends: Ends, now: Instant) {
        if ends.stable >= ends.end {
            self.0.remove(&place);
            return;
        }
        let fresh = Standstill {
            stable: ends.stable,
            since: now,
            records: 0,
        };
        let seen = self.0.entry(place).or_insert(fresh);
        if seen.stable != ends.stable {
            *seen = fresh;
        }
        seen.records = ends.end - ends.stable;
    }

    /// Those that have stood still for so long, and why that is no good.
    fn stuck(&self, patience: Duration, now: Instant) -> BTreeMap<Place, String> {
        let stuck = self.0.iter().filter_map(|((topic, partition), seen)| {
            let stood = now.duration_since(seen.since);
            (stood >= patience).then(|| {
                let why = format!(
                    "{topic}/{partition}: a transaction of another producer has been open for {} s or more, and {} offsets from {} on wait for its end",
                    patience.as_secs(),
                    seen.records,
                    seen.stable
                );
                ((*topic, *partition), why)
            })
        });
        stuck.collect()
    }
}

/// Without an answer for so long the log is away; an election of leaders is over before.
const AWAY: Duration = Duration::from_secs(10);

/// Looks again and again until the service stops.
pub struct Watch {
    pub log: Arc<dyn Log>,
    pub health: Arc<Health>,
    pub observer: Arc<dyn Observer>,
    pub stop: Stop,
    /// An open transaction is a trouble after this long.
    pub patience: Duration,
}

impl Watch {
    pub fn run(&self) {
        let interval =
            (self.patience / 4).clamp(Duration::from_millis(250), Duration::from_secs(5));
        let mut standstills = Standstills::default();
        let mut told: BTreeMap<Place, String> = BTreeMap::new();
        let mut hang: BTreeSet<String> = BTreeSet::new();
        let mut answered = monotonic();
        let mut is_away = false;
        while !self.stop.wait(interval) {
            match self.look(&mut standstills) {
                Ok(()) => {
                    answered = monotonic();
                    if std::mem::take(&mut is_away) {
                        tracing::info!("the log answers again");
                        self.health.away(None);
                    }
                }
                // What was seen stands until something else is: away, a broker has not decided anything.
                Err(error) => {
                    tracing::debug!("looking for open transactions: {error}");
                    let silent = monotonic().duration_since(answered);
                    if silent >= AWAY {
                        let seconds = silent.as_secs();
                        let why = format!(
                            "the service waits for its log, which has not answered for {seconds} s: {error}"
                        );
                        if !std::mem::replace(&mut is_away, true) {
                            tracing::warn!("{why}");
                        }
                        self.health.away(Some(why));
                    }
                }
            }
            let stuck = standstills.stuck(self.patience, monotonic());
            for (place, why) in &stuck {
                if !told.contains_key(place) {
                    tracing::warn!("{why}");
                }
            }
            for (topic, partition) in told.keys().filter(|place| !stuck.contains_key(*place)) {
                tracing::info!("{topic}/{partition}: no transaction holds its readers up any more");
            }
            self.health.undecided(stuck.values().cloned().collect());
            told = stuck;
            let hanging = self.health.hanging();
            for why in
                (hanging.iter()).filter_map(|(name, why)| (!hang.contains(name)).then_some(why))
            {
                tracing::error!("{why}");
            }
            hang = hanging.into_keys().collect();
            self.tell(&standstills);
        }
    }

    /// Asks for the ends of every partition that is read here.
    fn look(&self, standstills: &mut Standstills) -> Result<(), LogError> {
        let mut places: Vec<Place> = Vec::new();
        let references = ReferenceTopic::ALL.map(ReferenceTopic::name);
        for (topic, partitions) in references
            .into_iter()
            .zip(self.log.partitions(&references)?)
        {
            places.extend((0..partitions.unwrap_or(0)).map(|partition| (topic, partition)));
        }
        for partition in self.tasks() {
            places.extend(SupplierTopic::ALL.map(|topic| (topic.name(), partition)));
        }
        standstills.0.retain(|place, _| places.contains(place));
        for (topic, partition) in places {
            if self.stop.is_requested() {
                return Ok(());
            }
            let ends = self.log.ends(topic, partition)?;
            standstills.see((topic, partition), ends, monotonic());
        }
        Ok(())
    }

    /// Of this instance; those of the second stage have no number alone.
    fn tasks(&self) -> Vec<i32> {
        let workers = self.health.workers();
        workers
            .keys()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    fn tell(&self, standstills: &Standstills) {
        let now = monotonic();
        for topic in references_and_suppliers() {
            let of = || {
                let all = standstills.0.iter();
                all.filter(move |((of, _), _)| *of == topic)
                    .map(|(_, seen)| seen)
            };
            self.observer.observe(&Observation::Undecided {
                topic,
                records: of().map(|seen| seen.records).sum(),
                stood: of()
                    .map(|seen| now.duration_since(seen.since))
                    .max()
                    .unwrap_or_default(),
            });
        }
    }
}

fn references_and_suppliers() -> impl Iterator<Item = &'static str> {
    let suppliers = SupplierTopic::ALL.map(SupplierTopic::name);
    let references = ReferenceTopic::ALL.map(ReferenceTopic::name);
    suppliers.into_iter().chain(references)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds, stable, end → what is told of after 10 s of standing still.
    #[test]
    fn what_stands_still_long_enough_is_told_and_what_moves_is_not() {
        let began = monotonic();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut standstills = Standstills::default();
        let place = ("emis.appointments", 3);
        let mut see = |seconds, stable, end| {
            let ends = Ends {
                first: 0,
                stable,
                end,
            };
            standstills.see(place, ends, at(seconds));
            let stuck = standstills.stuck(Duration::from_secs(10), at(seconds));
            stuck.get(&place).cloned()
        };
        let cases = [
            // Everything is decided.
            (0, 5, 5, None),
            // One opens, and is decided; another opens behind it.
            (1, 5, 9, None),
            (9, 7, 12, None),
            // That one stays, while more comes in.
            (15, 7, 40, None),
            (19, 7, 41, Some("34")),
            (25, 7, 50, Some("43")),
            // It is aborted.
            (26, 50, 50, None),
            (60, 50, 51, None),
        ];
        for (seconds, stable, end, expected) in cases {
            let told = see(seconds, stable, end);
            assert_eq!(
                told.is_some(),
                expected.is_some(),
                "at {seconds} s: {told:?}"
            );
            if let (Some(told), Some(records)) = (told, expected) {
                assert_eq!(
                    told,
                    format!(
                        "emis.appointments/3: a transaction of another producer has been open for 10 s or more, and {records} offsets from 7 on wait for its end"
                    )
                );
            }
        }
    }
}
