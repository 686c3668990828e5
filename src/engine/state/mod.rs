//! What a task remembers, packed: the newest admitted version of each slot and consultation.
//!
//! Entries lie in chunks that are never moved and are named by a 32-bit number; an index of hashes leads to
//! them. Growth copies small parts only, so no record waits for the whole, and no table stands half empty.

pub mod block;
mod chunks;
pub mod consultations;
mod index;
pub mod moments;
pub mod native;
mod packed;
pub mod practices;
pub mod slot;
pub mod slot_types;
pub mod slots;
mod texts;
