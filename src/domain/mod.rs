//! Nouns and rules of the field: no serialisation, no I/O, no clock.

pub mod roles;
pub mod time;
pub mod topic;
pub mod vocabulary;
