//! gpad-live.
#![forbid(unsafe_code)]

pub mod adapters;
pub mod config;
pub mod domain;
pub mod stages;
pub mod wire;
