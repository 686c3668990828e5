//! Deltas on their way to the second stage: many of one aggregate in a record, told by labels, since their packed form means
//! something in one plan only. Places, windows and combinations of values stand once in a record.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::adapters::effects::{span_of, texts_of};
use crate::domain::aggregate::Span;
use crate::domain::place::{Code, Place};
use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;
use crate::engine::fold::{Base, Delta};
use crate::engine::plan::{Aggregate, AggregatePlan};
use crate::engine::watermark::Closed;
use crate::wire::output::{self, DeltaChange, DeltaPlace, DeltaWindow, Deltas, WrittenBy};

const MINUTE: i64 = 60_000;
/// Deltas of a record: some tens of kilobytes where each has a histogram.
const MOST: usize = 500;

/// Deltas of one aggregate, until there are enough for a record.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Index of the aggregate; `None` while there is no delta.
    aggregate: Option<usize>,
    deltas: Deltas,
    /// Of the last delta: they come place by place.
    last: Option<(Base, Arc<Place>)>,
    windows: FxHashMap<i32, i32>,
    values: FxHashMap<u64, i32>,
}

impl Gathered {
    /// Whether the record is to be written before this delta is added.
    #[must_use]
    pub fn is_due_before(&self, delta: &Delta) -> bool {
        self.aggregate.is_some_and(|of| of != delta.aggregate) || self.deltas.changes.len() >= MOST
    }

    /// Adds a delta of the aggregate that the others are of.
    pub fn add(&mut self, delta: Delta, plan: &AggregatePlan) {
        let aggregate = &plan.aggregates[delta.aggregate];
        let deltas = &mut self.deltas;
        if self.aggregate.is_none() {
            self.aggregate = Some(delta.aggregate);
            deltas.aggregate = aggregate.name.to_string();
            deltas.dimensions = (aggregate.dimensions().map(|it| it.label().to_owned())).collect();
        }
        debug_assert_eq!(self.aggregate, Some(delta.aggregate));
        let is_last = self.last.as_ref().is_some_and(|(base, place)| {
            *base == delta.base && (*base != Base::Geography || Arc::ptr_eq(place, &delta.place))
        });
        if !is_last {
            deltas.places.push(place_of(delta.base, &delta.place));
            self.last = Some((delta.base, delta.place));
        }
        let window = *self.windows.entry(delta.window).or_insert_with(|| {
            deltas.windows.push(window_of(aggregate, delta.window));
            index(deltas.windows.len() - 1)
        });
        let values = *self.values.entry(delta.dimensions).or_insert_with(|| {
            let labels = aggregate.labels(delta.dimensions);
            let labels = labels.map(|(_, value)| value.to_owned());
            deltas.values.push(labels.collect());
            index(deltas.values.len() - 1)
        });
        deltas.as_of = deltas.as_of.max(delta.as_of.0);
        deltas.changes.push(DeltaChange {
            place: index(deltas.places.len() - 1),
            window,
            values,
            measures: delta.sums,
        });
    }

    /// The record with the index of its aggregate, if there is anything in it; what comes next starts another.
    pub fn take(&mut self, written_by: &WrittenBy) -> Option<(usize, Deltas)> {
        let aggregate = self.aggregate.take()?;
        self.last = None;
        self.windows.clear();
        self.values.clear();
        let mut deltas = std::mem::take(&mut self.deltas);
        deltas.written_by = Some(written_by.clone());
        Some((aggregate, deltas))
    }
}

fn index(at: usize) -> i32 {
    i32::try_from(at).expect("a record has few deltas")
}

fn place_of(base: Base, place: &Place) -> DeltaPlace {
    let (level, codes) = match base {
        Base::Geography => ("geography", codes_of(place)),
        Base::Supplier(supplier) => ("supplier", vec![supplier.label().to_owned()]),
    };
    DeltaPlace {
        level: level.to_owned(),
        codes,
    }
}

fn window_of(aggregate: &Aggregate, window: i32) -> DeltaWindow {
    let (start, end) = texts_of(if aggregate.follows_events() {
        let minute = |pane: i32| Timestamp(i64::from(pane) * i64::from(aggregate.pane()) * MINUTE);
        Span::Times(minute(window), minute(window + 1))
    } else {
        aggregate.span(0, window)
    });
    DeltaWindow { start, end }
}

/// A record's deltas as they were read back; `None` if the plan has no such aggregate, dimensions or measures, or an index
/// refers to nothing.
#[must_use]
pub fn deltas_from(deltas: Deltas, plan: &AggregatePlan) -> Option<Vec<Delta>> {
    let (at, aggregate) = plan.find(&deltas.aggregate)?;
    let places: Vec<(Base, Arc<Place>)> =
        (deltas.places.iter().map(place_from)).collect::<Option<_>>()?;
    let windows: Vec<i32> = (deltas.windows.iter())
        .map(|window| window_from(aggregate, window))
        .collect::<Option<_>>()?;
    let names = &deltas.dimensions;
    let values: Vec<u64> = (deltas.values.iter())
        .map(|values| {
            (values.len() == names.len()).then_some(())?;
            let labels = names.iter().map(String::as_str);
            aggregate.pack_labels(labels.zip(values.iter().map(String::as_str)))
        })
        .collect::<Option<_>>()?;
    let changes = deltas.changes.into_iter().map(|change| {
        let (base, place) = places.get(usize::try_from(change.place).ok()?)?;
        (change.measures.len() == aggregate.columns()).then_some(())?;
        Some(Delta {
            aggregate: at,
            base: *base,
            place: place.clone(),
            window: *windows.get(usize::try_from(change.window).ok()?)?,
            dimensions: *values.get(usize::try_from(change.values).ok()?)?,
            sums: change.measures,
            as_of: Timestamp(deltas.as_of),
        })
    });
    changes.collect()
}

fn place_from(place: &DeltaPlace) -> Option<(Base, Arc<Place>)> {
    Some(match (place.level.as_str(), place.codes.as_slice()) {
        ("geography", codes) => (Base::Geography, Arc::new(place_of_codes(codes)?)),
        ("supplier", [label]) => {
            let mut known = Supplier::ALL.into_iter();
            let supplier = known.find(|known| known.label() == label)?;
            (Base::Supplier(supplier), Arc::default())
        }
        _ => return None,
    })
}

fn window_from(aggregate: &Aggregate, window: &DeltaWindow) -> Option<i32> {
    match span_of(&window.start, &window.end)? {
        Span::Days(from, _) => Some(from.0),
        Span::Times(from, _) => {
            let pane = i64::from(aggregate.pane()) * MINUTE;
            i32::try_from(from.0.checked_div_euclid(pane)?).ok()
        }
    }
}

/// Up to when the windows of a task are closed, as the second stage is told of it.
#[must_use]
pub fn closed_of(
    task: i32,
    closed: Closed,
    as_of: Timestamp,
    written_by: Option<WrittenBy>,
) -> Deltas {
    Deltas {
        as_of: as_of.0,
        written_by,
        closed: Some(output::Closed {
            task,
            by_events: closed.by_events.map(|at| at.0),
            to: closed.to.map(|at| at.0),
        }),
        ..Deltas::default()
    }
}

/// The inverse of [`closed_of`].
#[must_use]
pub fn closed_from(closed: &output::Closed) -> (usize, Closed) {
    let read = Closed {
        by_events: closed.by_events.map(Timestamp),
        to: closed.to.map(Timestamp),
    };
    (usize::try_from(closed.task).unwrap_or(usize::MAX), read)
}

fn codes_of(place: &Place) -> Vec<String> {
    [
        &place.pcn,
        &place.sub_icb,
        &place.sub_icb_ons,
        &place.icb,
        &place.icb_ons,
        &place.region,
        &place.region_ons,
    ]
    .map(|code| code.as_deref().unwrap_or_default().to_owned())
    .into()
}

fn place_of_codes(codes: &[String]) -> Option<Place> {
    let code = |text: &String| -> Code { (!text.is_empty()).then(|| text.as_str().into()) };
    let [pcn, sub_icb, sub_icb_ons, icb, icb_ons, region, region_ons] = codes else {
        return None;
    };
    Some(Place {
        practice: None,
        pcn: code(pcn),
        sub_icb: code(sub_icb),
        sub_icb_ons: code(sub_icb_ons),
        icb: code(icb),
        icb_ons: code(icb_ons),
        region: code(region),
        region_ons: code(region_ons),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::aggregates;

    fn plan() -> AggregatePlan {
        aggregates::plan(None).unwrap()
    }

    fn place(sub_icb: &str) -> Arc<Place> {
        Arc::new(Place {
            sub_icb: Some(sub_icb.into()),
            icb: Some("QVV".into()),
            ..Place::default()
        })
    }

    fn by() -> WrittenBy {
        WrittenBy {
            task: "3".to_owned(),
            sequence: 7,
        }
    }

    /// Every delta through records and back.
    fn through(deltas: &[Delta], plan: &AggregatePlan) -> (Vec<usize>, Vec<Delta>) {
        let (mut gathered, mut records) = (Gathered::default(), Vec::new());
        for delta in deltas {
            if gathered.is_due_before(delta) {
                records.extend(gathered.take(&by()));
            }
            gathered.add(delta.clone(), plan);
        }
        records.extend(gathered.take(&by()));
        assert!(gathered.take(&by()).is_none());
        let sizes = records.iter().map(|(_, record)| record.changes.len());
        let sizes = sizes.collect();
        let read = records.into_iter().flat_map(|(aggregate, record)| {
            assert_eq!(*record.aggregate, *plan.aggregates[aggregate].name);
            assert_eq!(record.written_by, Some(by()));
            deltas_from(record, plan).unwrap()
        });
        (sizes, read.collect())
    }

    #[test]
    fn what_goes_into_records_comes_back_in_its_order() {
        let plan = plan();
        let mut deltas = Vec::new();
        for (at, aggregate) in plan.aggregates.iter().enumerate() {
            let packed = [0, 1].map(|dimension| dimension % aggregate.combinations());
            for (base, place) in [
                (Base::Geography, place("11J")),
                (Base::Geography, place("92G")),
                (Base::Supplier(Supplier::Tpp), Arc::default()),
                (Base::Supplier(Supplier::Emis), Arc::default()),
            ] {
                for (window, dimensions) in [
                    (19_000, packed[0]),
                    (19_000, packed[1]),
                    (19_031, packed[0]),
                ] {
                    deltas.push(Delta {
                        aggregate: at,
                        base,
                        place: place.clone(),
                        window,
                        dimensions,
                        sums: (0..aggregate.columns()).map(|sum| sum as i64 - 1).collect(),
                        as_of: Timestamp(1_646_000_000_000),
                    });
                }
            }
        }
        let (sizes, read) = through(&deltas, &plan);
        assert_eq!(read, deltas);
        assert_eq!(sizes, vec![12; plan.aggregates.len()]);
    }

    #[test]
    fn a_record_has_no_more_than_its_share() {
        let plan = plan();
        let stride = plan.aggregates[0].columns();
        let delta = |window| Delta {
            aggregate: 0,
            base: Base::Geography,
            place: place("11J"),
            window,
            dimensions: 0,
            sums: vec![1; stride],
            as_of: Timestamp(0),
        };
        let deltas: Vec<Delta> = (0..1_200).map(delta).collect();
        let (sizes, read) = through(&deltas, &plan);
        assert_eq!(sizes, [500, 500, 200]);
        assert_eq!(read.len(), 1_200);
    }

    #[test]
    fn what_this_plan_does_not_have_is_not_read() {
        let plan = plan();
        let mut gathered = Gathered::default();
        gathered.add(
            Delta {
                aggregate: 0,
                base: Base::Geography,
                place: place("11J"),
                window: 19_000,
                dimensions: 0,
                sums: vec![1; plan.aggregates[0].columns()],
                as_of: Timestamp(0),
            },
            &plan,
        );
        let (_, good) = gathered.take(&by()).unwrap();
        assert!(deltas_from(good.clone(), &plan).is_some());
        let spoils: [fn(&mut Deltas); 8] = [
            |it| it.aggregate = "another".to_owned(),
            |it| it.dimensions[0] = "another".to_owned(),
            |it| it.values[0][0] = "another".to_owned(),
            |it| it.values[0].clear(),
            |it| it.changes[0].measures.push(1),
            |it| it.changes[0].place = 1,
            |it| it.changes[0].window = -1,
            |it| it.changes[0].values = 1,
        ];
        for (at, spoil) in spoils.into_iter().enumerate() {
            let mut spoilt = good.clone();
            spoil(&mut spoilt);
            assert!(deltas_from(spoilt, &plan).is_none(), "{at}");
        }
    }
}
