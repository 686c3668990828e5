//! Writing the store: transactions of a name, or records without one.

use std::sync::Arc;

use super::super::log::{Append, Committed, LogError, NewRecord, Output, Remedy, Transaction};
use super::store::{Pass, Store};

/// Records that an appender gathers for one transaction of the file.
const GATHERED: usize = 4_096;
const GATHERED_BYTES: usize = 1 << 20;

pub struct EmbeddedOutput {
    store: Arc<Store>,
    pass: Pass,
    is_in_doubt: bool,
}

impl EmbeddedOutput {
    pub fn new(store: &Arc<Store>, name: &str) -> Self {
        Self {
            store: Arc::clone(store),
            pass: store.enter(name),
            is_in_doubt: false,
        }
    }
}

impl Output for EmbeddedOutput {
    fn committed(&mut self, partitions: &[(&str, i32)]) -> Result<Committed, LogError> {
        let (positions, note) = self.store.positions(partitions).map_err(|failure| {
            self.store
                .failed(failure, format!("asking what {} committed", self.pass.name))
        })?;
        Ok(Committed { positions, note })
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), LogError> {
        let doing = || format!("committing a transaction of {}", self.pass.name);
        if self.is_in_doubt {
            let why = "its outcome is in doubt since an error";
            return Err(LogError::new(Remedy::Renew, doing(), why));
        }
        let written = self.store.write(
            Some(&self.pass),
            transaction.records(),
            &transaction.positions,
            &transaction.note,
        );
        written.map_err(|failure| {
            self.is_in_doubt = true;
            self.store.failed(failure, doing())
        })
    }
}

/// Gathers records and writes them a few thousand at a time: each such write is all or nothing, and synced.
pub struct Appender {
    store: Arc<Store>,
    gathered: Transaction,
    bytes: usize,
}

impl Appender {
    pub fn new(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            gathered: Transaction::default(),
            bytes: 0,
        }
    }
}

impl Append for Appender {
    fn append(&mut self, record: &NewRecord<'_>) -> Result<(), LogError> {
        let (key, value) = (record.key.unwrap_or_default(), record.value);
        self.gathered
            .put(record.topic, record.partition, key, value);
        self.bytes += key.len() + value.map_or(0, <[u8]>::len);
        if self.gathered.len() >= GATHERED || self.bytes >= GATHERED_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LogError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = self.store.write(None, self.gathered.records(), &[], "");
        self.gathered.clear();
        self.bytes = 0;
        written.map_err(|failure| self.store.failed(failure, "appending records"))
    }
}
