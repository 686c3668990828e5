//! The shapes on topics and in files; conversions and nothing else.

pub mod avro;
pub mod container;
pub mod datum;
pub mod framing;
pub mod multiset;
pub mod output;
pub mod records;
pub mod reference;
pub mod row;
pub mod supplier;
