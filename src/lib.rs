//! gpad-live: live statistics of appointments in general practice, exactly once.
//!
//! Four suppliers of clinical systems send versions of slots and consultations; this crate turns
//! them into categorised, reconciled aggregates and into the monthly publication, cell for cell.
//!
//! # One record's way
//!
//! ```text
//! bytes ─decode→ supplier record ─gate (extraction day)→ ─screen→ ─normalise→ draft ─validate→
//!   ─gate (appointment day)→ ─categorise→ ─reconcile→ change of state (fact that stood, fact that stands)
//!   ─fold→ signed sums by packed key ─settle→ practice rows, and deltas ─roll up→ rows of the levels above
//!   ─publish→ topics, metrics, HTTP, files
//! ```
//!
//! [`pipeline`] is that page: one stage a line. Every record ends in exactly one
//! [`domain::disposition::Disposition`]; a settlement whose dispositions do not add up to the records taken
//! stops the process before anything is committed.
//!
//! # The core is pure
//!
//! [`domain`], [`stages`], [`engine`] and [`pipeline`] do no I/O and read no clock: they are told the time.
//! So the same core runs under Kafka (`run`), under the embedded log (`demo`), under files (`replay`) and under
//! tests, and the figures are a function of the input alone: of the set of admitted versions, the
//! reference data and "now", whatever came first and wherever a transaction was cut.
//!
//! # The folders, in reading order; a name is a permission
//!
//! | folder | holds | may name |
//! |---|---|---|
//! | [`domain`] | nouns and rules of the field | nothing of ours |
//! | [`wire`] | the shapes on topics and in files | `domain` |
//! | [`stages`] | stateless verbs on one record | `domain`, `wire` |
//! | [`engine`] | state machines, told the time | `domain` |
//! | [`pipeline`] | the page | `stages`, `engine`, `domain`, and of `wire` the decoder and the records' types |
//! | [`publication`] | the month's files, from rows | `domain` |
//! | [`analysis`] | what is derived from figures when they are read | `domain` |
//! | [`simulate`] | records drawn from published cells | `domain`, `wire` |
//! | [`adapters`] | the world, one outside system a file | all of the above |
//! | [`service`] | the loop above the seam to the log | all of the above |
//! | [`commands`] | one file a subcommand | all |
//!
//! `tests/architecture.rs` holds these arrows.
#![forbid(unsafe_code)]

pub mod adapters;
pub mod analysis;
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
