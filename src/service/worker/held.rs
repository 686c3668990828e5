//! A record that could not be taken in yet: it was borrowed, and is kept here meanwhile.

use crate::adapters::log::Message;

pub(super) struct Held {
    topic: usize,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl Held {
    pub(super) fn of(message: &Message<'_>) -> Self {
        Self {
            topic: message.topic,
            partition: message.partition,
            offset: message.offset,
            timestamp: message.timestamp,
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.map(<[u8]>::to_vec),
        }
    }

    pub(super) fn message(&self) -> Message<'_> {
        Message {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        }
    }
}
