//! What is derived from figures when they are read: pure functions of counts and calendars.
//!
//! Nothing here is kept or published on a topic; `docs/figures.md` gives analysts every definition with its source.

pub mod dispersion;
pub mod funnel;
pub mod published;
pub mod score;
pub mod seasons;
pub mod variation;
