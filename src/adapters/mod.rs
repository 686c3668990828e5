//! The world, one outside system a file.

pub mod asking;
pub mod clock;
pub mod crash;
pub mod deltas;
pub mod effects;
pub mod embedded;
pub mod feed;
pub mod figures;
pub mod http;
pub mod kafka;
pub mod log;
pub mod metrics;
pub mod page;
pub mod partitioner;
pub mod progress;
pub mod registry;
pub mod schemas;
pub mod threads;
pub mod values;
