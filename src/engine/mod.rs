//! The state machine of a task, told the time, and of the second stage that adds tasks up.

mod ahead;
pub mod changes;
mod declared;
pub mod fact;
pub mod fold;
mod horizon;
pub mod keep;
pub mod ledger;
pub mod packed_table;
pub mod places;
pub mod plan;
mod published;
mod queue;
mod read;
mod reconcile;
pub mod rolling;
pub mod rollup;
pub mod rows;
pub mod state;
mod story;
pub mod table;
pub mod task;
mod told;
mod upcoming;
mod waits;
pub mod watermark;
