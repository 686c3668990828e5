//! Published cells turned into lifelike supplier records that count back to the same cells.
//!
//! ```text
//! cells file ─cells→ cells ─places→ practices and their systems ─quotas→ appointments of a cell, by system
//!     ─draw→ versions ─fit→ within service and a year ─emit→ records ─batch→ in order of arrival ─run→ sink
//! ```
//!
//! Invariants: one counted appointment for each unit of a cell; nothing else is past, booked and standing at last; the
//! same cells, options and seed give the same bytes on every machine; memory holds a few practices at a time.

mod aside;
pub mod batch;
pub mod calendar;
pub mod cells;
pub mod chance;
mod consult;
pub mod draw;
pub mod emit;
pub mod error;
pub mod faults;
pub mod life;
pub mod places;
pub mod quotas;
pub mod reference;
mod registers;
pub mod run;
pub mod sink;
pub mod texts;
pub mod timeline;
mod times;
