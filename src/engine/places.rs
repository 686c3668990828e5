//! The places that rows and deltas are grouped by, numbered in the order they came.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::domain::place::{Code, Level, Place};
use crate::domain::reference::{PlaceIndex, Reference};

use super::state::block::{Fields, Kept, put_text};

/// The order of places in what goes out, by their number.
#[derive(Debug, Default)]
pub struct Ranks(Vec<u32>);

impl Ranks {
    /// Numbers that are their own rank.
    #[must_use]
    pub fn identity(places: usize) -> Self {
        Self((0..).take(places).collect())
    }

    #[inline]
    #[must_use]
    pub fn of(&self, place: u32) -> u32 {
        self.0[place as usize]
    }
}

/// Interned places, ranked by their order when asked.
#[derive(Debug, Default)]
pub struct Places {
    all: Vec<Arc<Place>>,
    numbers: FxHashMap<Arc<Place>, u32>,
    ranks: Ranks,
}

impl Places {
    pub fn number(&mut self, place: Place) -> u32 {
        if let Some(found) = self.numbers.get(&place) {
            return *found;
        }
        let number = u32::try_from(self.all.len()).expect("fewer than 2^32 places");
        let place = Arc::new(place);
        self.all.push(place.clone());
        self.numbers.insert(place, number);
        number
    }

    #[must_use]
    pub fn get(&self, number: u32) -> &Arc<Place> {
        &self.all[number as usize]
    }

    /// Ranks places anew, if any came since.
    pub fn rank(&mut self) {
        if self.ranks.0.len() == self.all.len() {
            return;
        }
        let mut sorted: Vec<usize> = (0..self.all.len()).collect();
        sorted.sort_unstable_by_key(|at| &self.all[*at]);
        self.ranks.0.resize(self.all.len(), 0);
        for (rank, at) in (0_u32..).zip(sorted) {
            self.ranks.0[at] = rank;
        }
    }

    /// As last ranked.
    #[must_use]
    pub const fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// Makes what is read back ready to be looked up.
    pub fn restored(&mut self) {
        let places = self.all.iter().cloned();
        self.numbers = places.zip(0..).collect();
    }
}

const fn codes(place: &Place) -> [&Code; 8] {
    [
        &place.practice,
        &place.pcn,
        &place.sub_icb,
        &place.sub_icb_ons,
        &place.icb,
        &place.icb_ons,
        &place.region,
        &place.region_ons,
    ]
}

impl Kept for Places {
    fn entries(&self) -> u32 {
        self.all.len() as u32
    }

    fn write(&self, number: u32, into: &mut Vec<u8>) {
        for code in codes(self.get(number)) {
            put_text(code.as_deref(), into);
        }
    }

    fn read(&mut self, number: u32, bytes: &[u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        let mut code = || fields.text().map(|text| text.map(Arc::from));
        let place = Place {
            practice: code()?,
            pcn: code()?,
            sub_icb: code()?,
            sub_icb_ons: code()?,
            icb: code()?,
            icb_ons: code()?,
            region: code()?,
            region_ons: code()?,
        };
        let number = number as usize;
        if self.all.len() <= number {
            self.all.resize(number + 1, Arc::default());
        }
        self.all[number] = Arc::new(place);
        fields.end()
    }
}

/// The places that rows and deltas are grouped by, interned by the index of a practice's row.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    pub places: Places,
    known: Vec<Option<Groups>>,
}

/// What one practice's row is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    pub practice: u32,
    pub with_pcn: u32,
    pub without_pcn: u32,
}

impl Grouped {
    pub fn of(&mut self, reference: &Reference, place: PlaceIndex) -> Groups {
        let at = place.0 as usize;
        if let Some(Some(known)) = self.known.get(at) {
            return *known;
        }
        let whole = reference.place(place);
        let groups = Groups {
            practice: self.places.number(whole.at(Level::Practice)),
            with_pcn: self.places.number(whole.above_practice(true)),
            without_pcn: self.places.number(whole.above_practice(false)),
        };
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        self.known[at] = Some(groups);
        groups
    }
}
