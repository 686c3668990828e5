//! Slots whose start is to come, by that start: moving on in time visits only those that it passes.
//
//   hours  from the one of "now" on, each with its minutes: slots that start with the minute, as nearly all do
//   others by their instant: between minutes, or far away

use std::collections::{BTreeMap, VecDeque};

use super::state::slots::SlotIndex;
use crate::domain::time::{MILLIS_PER_MINUTE, Timestamp};

const MINUTES: i64 = 60;
/// Hours that have a place of their own: no horizon is much longer.
const HOURS: i64 = 24 * 400;

/// Slots by the minutes of one hour.
type Hour = [Vec<SlotIndex>; MINUTES as usize];

#[derive(Debug)]
pub(super) struct Upcoming {
    /// The first hour's number, from 1970.
    first: i64,
    hours: VecDeque<Option<Box<Hour>>>,
    others: BTreeMap<Timestamp, Vec<SlotIndex>>,
}

impl Upcoming {
    /// Nothing is to come, as of then.
    pub fn new(now: Timestamp) -> Self {
        Self {
            first: open_minute(now).div_euclid(MINUTES),
            hours: VecDeque::new(),
            others: BTreeMap::new(),
        }
    }

    pub fn push(&mut self, start: Timestamp, slot: SlotIndex) {
        match self.minute_of(start) {
            Some(minute) => minute.push(slot),
            None => self.others.entry(start).or_default().push(slot),
        }
    }

    /// The slots that start with a minute.
    #[inline]
    fn minute_of(&mut self, start: Timestamp) -> Option<&mut Vec<SlotIndex>> {
        let minute = start.0.div_euclid(MILLIS_PER_MINUTE);
        let is_whole = start.0.rem_euclid(MILLIS_PER_MINUTE) == 0;
        let ahead = minute.div_euclid(MINUTES).checked_sub(self.first)?;
        if !is_whole || !(0..HOURS).contains(&ahead) {
            return None;
        }
        let at = ahead as usize;
        if self.hours.len() <= at {
            self.hours.resize_with(at + 1, || None);
        }
        let hour = self.hours[at].get_or_insert_with(|| Box::new([const { Vec::new() }; _]));
        Some(&mut hour[minute.rem_euclid(MINUTES) as usize])
    }

    /// Takes out the slots whose start is before `now`.
    pub fn take_past(&mut self, now: Timestamp) -> Vec<SlotIndex> {
        let still_to_come = self.others.split_off(&now);
        let others = std::mem::replace(&mut self.others, still_to_come);
        let mut past: Vec<_> = others.into_values().flatten().collect();
        let open = open_minute(now);
        let hour = open.div_euclid(MINUTES);
        while self.first < hour {
            let Some(minutes) = self.hours.pop_front() else {
                self.first = hour;
                break;
            };
            past.extend(minutes.into_iter().flat_map(|minutes| *minutes).flatten());
            self.first += 1;
        }
        if self.first == hour
            && let Some(Some(minutes)) = self.hours.front_mut()
        {
            for minute in &mut minutes[..open.rem_euclid(MINUTES) as usize] {
                past.append(minute);
            }
        }
        past
    }
}

/// The first minute that does not begin before an instant.
const fn open_minute(now: Timestamp) -> i64 {
    let whole = now.0.div_euclid(MILLIS_PER_MINUTE);
    if now.0.rem_euclid(MILLIS_PER_MINUTE) == 0 {
        whole
    } else {
        whole + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Starts near and far, with the minute and between.
    fn start() -> impl Strategy<Value = i64> {
        let minutes = prop_oneof![
            -10..200_i64,
            0..700_000_i64,
            Just(i64::MAX / MILLIS_PER_MINUTE),
            Just(i64::MIN / MILLIS_PER_MINUTE)
        ];
        let millis = prop_oneof![4 => Just(0), 1 => -MILLIS_PER_MINUTE..MILLIS_PER_MINUTE];
        (minutes, millis)
            .prop_map(|(minute, millis)| (minute * MILLIS_PER_MINUTE).saturating_add(millis))
    }

    proptest! {
        /// Whenever time moves on, by however much: exactly those whose start it has passed come out, once.
        #[test]
        fn what_is_past_comes_out_once(
            is_told in any::<bool>(),
            steps in vec((vec(start(), 0..20), prop_oneof![0..90_i64, 0..90_000_i64, 0..40_000_000_000_i64]), 1..12),
        ) {
            let mut now = if is_told { 0 } else { i64::MIN };
            let mut upcoming = Upcoming::new(Timestamp(now));
            let (mut waiting, mut number) = (Vec::new(), 0);
            for (starts, moves) in steps {
                for start in starts {
                    upcoming.push(Timestamp(start), SlotIndex(number));
                    waiting.push((start, number));
                    number += 1;
                }
                now = now.max(0) + moves;
                let mut past: Vec<_> = upcoming.take_past(Timestamp(now)).into_iter().map(|slot| slot.0).collect();
                past.sort_unstable();
                let expected = waiting.iter().filter(|(start, _)| *start < now).map(|(_, number)| *number);
                prop_assert_eq!(past, expected.collect::<Vec<_>>());
                waiting.retain(|(start, _)| *start >= now);
            }
        }
    }
}
