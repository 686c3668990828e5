//! gpad-live.
#![forbid(unsafe_code)]

pub mod domain;
pub mod stages;
pub mod wire;
