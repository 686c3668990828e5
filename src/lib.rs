//! gpad-live.
#![forbid(unsafe_code)]

pub mod adapters;
pub mod commands;
pub mod config;
pub mod domain;
pub mod engine;
pub mod pipeline;
pub mod publication;
pub mod service;
pub mod simulate;
pub mod stages;
pub mod wire;
