//! Nouns and rules of the field: no serialisation, no I/O, no clock.

pub mod aggregate;
pub mod calendar;
pub mod category;
pub mod disposition;
pub mod draft;
pub mod identity;
pub mod place;
pub mod reference;
pub mod roles;
pub mod text;
pub mod time;
pub mod topic;
pub mod vocabulary;
pub mod window;
