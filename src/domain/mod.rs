//! Nouns and rules of the field: no serialisation, no I/O, no clock.

pub mod topic;
