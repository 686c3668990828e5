//! Stateless steps of one record's way, in the order they are taken.

pub mod categorise;
pub mod gate;
pub mod letter;
pub mod normalise;
pub mod refer;
pub mod screen;
pub mod validate;
pub mod wrapper;
