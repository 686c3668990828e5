//! Whether a declared aggregate holds together.

use std::sync::Arc;

use thiserror::Error;

use crate::domain::aggregate::{Basis, Declaration, Follows, Measure, Rolling, Window};
use crate::domain::place::Level;

/// Why a declaration cannot be compiled.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("aggregate `{0}`: the name must be 1 to 64 lower-case letters, digits or `_`")]
    Name(String),
    #[error("aggregate `{0}` is declared twice")]
    Repeated(String),
    #[error("aggregate `{name}`: `{list}` must name at least one value, and none twice")]
    List { name: String, list: &'static str },
    #[error(
        "aggregate `{name}`: dimension `{dimension}` is known of published appointments only, \
         but measure `{measure}` counts other things"
    )]
    Unfit {
        name: String,
        dimension: &'static str,
        measure: &'static str,
    },
    #[error(
        "aggregate `{name}`: ratio `{share}` needs the measures `{numerator}` and `{denominator}`"
    )]
    Share {
        name: String,
        share: Arc<str>,
        numerator: &'static str,
        denominator: &'static str,
    },
    #[error("aggregate `{name}`: `{key}` {why}")]
    Key {
        name: String,
        key: &'static str,
        why: &'static str,
    },
    #[error("aggregate `{name}`: measure `{measure}` does not follow `{follows}`")]
    Follows {
        name: String,
        measure: &'static str,
        follows: &'static str,
    },
}

impl PlanError {
    /// The key of the declaration that it is about.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::Repeated(_) => "name",
            Self::List { list, .. } => list,
            Self::Share { .. } => "ratios",
            Self::Key { key, .. } => key,
            Self::Unfit { .. } | Self::Follows { .. } => "measures",
        }
    }
}

/// Whether a text can name an aggregate or a share.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Windows, and measures, must be of what is followed.
pub(super) fn check_windows(declaration: &Declaration) -> Result<(), PlanError> {
    let name = &declaration.name;
    let wrong = |key, why| {
        let name = name.clone();
        Err(PlanError::Key { name, key, why })
    };
    let follows_events = declaration.follows == Follows::EventTime;
    if follows_events && declaration.rolling.is_empty() {
        return wrong(
            "rolling",
            "must name at least one window where event time is followed",
        );
    }
    if !follows_events && !declaration.rolling.is_empty() {
        return wrong("rolling", "needs follows = \"event_time\"");
    }
    let lengths = |at: &Rolling| {
        declaration
            .rolling
            .iter()
            .filter(|it| it.minutes == at.minutes)
            .count()
    };
    if declaration
        .rolling
        .iter()
        .any(|rolling| lengths(rolling) > 1)
    {
        return wrong("rolling", "names a length twice");
    }
    if declaration.ahead_days.is_some() {
        if follows_events || declaration.window != Window::Day {
            return wrong("ahead_days", "needs days of appointment dates");
        }
        if declaration.levels.contains(&Level::Supplier) {
            return wrong("ahead_days", "is not kept by supplier: make it a dimension");
        }
        let measures = &declaration.measures;
        if measures
            .iter()
            .any(|measure| measure.basis() != Basis::Capacity)
        {
            return wrong(
                "ahead_days",
                "needs measures of slots: nothing else is there yet",
            );
        }
    }
    let strange = (declaration.measures.iter())
        .find(|measure| (measure.basis() == Basis::Events) != follows_events);
    if let Some(measure) = strange {
        return Err(PlanError::Follows {
            name: name.clone(),
            measure: measure.label(),
            follows: declaration.follows.label(),
        });
    }
    let counts_waits =
        |measure: &Measure| matches!(measure, Measure::Bookings | Measure::Appointments);
    if !declaration.quantiles.is_empty() && !declaration.measures.iter().any(counts_waits) {
        return wrong(
            "quantiles",
            "needs the measure `bookings` or `appointments`: whose waits they are",
        );
    }
    Ok(())
}

pub(super) fn check_lists(declaration: &Declaration) -> Result<(), PlanError> {
    fn distinct<T: PartialEq>(values: &[T]) -> bool {
        values
            .iter()
            .enumerate()
            .all(|(at, value)| !values[..at].contains(value))
    }
    let name = declaration.name.clone();
    if !is_name(&name) {
        return Err(PlanError::Name(name));
    }
    let lists = [
        (
            "levels",
            !declaration.levels.is_empty() && distinct(&declaration.levels),
        ),
        ("dimensions", distinct(&declaration.dimensions)),
        (
            "measures",
            !declaration.measures.is_empty() && distinct(&declaration.measures),
        ),
        ("quantiles", distinct(&declaration.quantiles)),
        ("ratios", {
            let names: Vec<_> = declaration.shares.iter().map(|share| &share.name).collect();
            distinct(&names)
        }),
    ];
    if let Some((list, _)) = lists.into_iter().find(|(_, fits)| !fits) {
        return Err(PlanError::List { name, list });
    }
    let filtered = declaration.filters.iter().map(|filter| &filter.dimension);
    let narrow = (declaration.dimensions.iter())
        .chain(filtered)
        .find(|dimension| dimension.needs_publication());
    let wide = declaration
        .measures
        .iter()
        .find(|measure| !matches!(measure.basis(), Basis::Publication | Basis::Events));
    if let (Some(dimension), Some(measure)) = (narrow, wide) {
        return Err(PlanError::Unfit {
            name,
            dimension: dimension.label(),
            measure: measure.label(),
        });
    }
    Ok(())
}
