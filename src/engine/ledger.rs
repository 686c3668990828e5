//! Counts of dispositions: what conservation is checked on.

use crate::domain::disposition::Disposition;
use crate::domain::topic::SupplierTopic;

/// Records by topic and disposition. A change, not a state: `pending` goes down when records leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    by_topic: [[i64; Disposition::COUNT]; SupplierTopic::ALL.len()],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            by_topic: [[0; Disposition::COUNT]; SupplierTopic::ALL.len()],
        }
    }
}

impl Counts {
    pub fn count(&mut self, topic: SupplierTopic, disposition: Disposition) {
        self.add(topic, disposition, 1);
    }

    pub fn add(&mut self, topic: SupplierTopic, disposition: Disposition, records: i64) {
        self.by_topic[topic.index()][disposition.index()] += records;
    }

    /// A record that was pending has come to its end.
    pub fn leave_pending(&mut self, topic: SupplierTopic, disposition: Disposition) {
        self.add(topic, Disposition::Pending, -1);
        self.add(topic, disposition, 1);
    }

    #[must_use]
    pub fn of(&self, topic: SupplierTopic, disposition: Disposition) -> i64 {
        self.by_topic[topic.index()][disposition.index()]
    }

    /// The records read of a topic: the sum of its dispositions.
    #[must_use]
    pub fn records(&self, topic: SupplierTopic) -> i64 {
        self.by_topic[topic.index()].iter().sum()
    }

    /// The records read of all topics.
    #[must_use]
    pub fn total(&self) -> i64 {
        SupplierTopic::ALL
            .into_iter()
            .map(|topic| self.records(topic))
            .sum()
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (topic, more) in self.by_topic.iter_mut().zip(&other.by_topic) {
            for (count, more) in topic.iter_mut().zip(more) {
                *count += more;
            }
        }
    }

    /// Everything that is not zero.
    pub fn entries(&self) -> impl Iterator<Item = (SupplierTopic, Disposition, i64)> {
        SupplierTopic::ALL.into_iter().flat_map(move |topic| {
            Disposition::all()
                .map(move |disposition| (topic, disposition, self.of(topic, disposition)))
                .filter(|(_, _, records)| *records != 0)
        })
    }
}
