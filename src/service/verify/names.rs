//! Names of tasks and topics as numbers: a verification holds millions of them.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Names {
    names: Vec<String>,
    indexes: HashMap<String, u32>,
}

impl Names {
    pub fn index(&mut self, name: &str) -> u32 {
        if let Some(found) = self.indexes.get(name) {
            return *found;
        }
        let index = u32::try_from(self.names.len()).expect("fewer than 2^32 names fit in memory");
        self.names.push(name.to_owned());
        self.indexes.insert(name.to_owned(), index);
        index
    }

    #[must_use]
    pub fn of(&self, index: u32) -> &str {
        &self.names[index as usize]
    }
}
