//! The shapes on topics and in files; conversions and nothing else.

pub mod avro;
pub mod container;
pub mod framing;
pub mod supplier;
