//! The name printed beside a code (feeds.md, rule 9).

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::domain::place::Code;
use crate::domain::reference::Reference;
use crate::domain::time::{Day, Timestamp};

/// Names by code: of the newest row that carries code and name; of equals the smallest text.
#[derive(Debug, Default)]
pub struct PrintedNames {
    practices: HashMap<String, String>,
    pcns: HashMap<String, String>,
    sub_icbs: HashMap<String, String>,
    icbs: HashMap<String, String>,
    regions: HashMap<String, String>,
}

/// How new a row is, and the smaller text first.
type Rank<'a> = (Day, Timestamp, Reverse<&'a str>);

#[derive(Default)]
struct Newest<'a>(HashMap<&'a str, Rank<'a>>);

impl<'a> Newest<'a> {
    fn see(&mut self, code: &'a Code, name: Option<&'a str>, from: Day, recorded_at: Timestamp) {
        let (Some(code), Some(name)) = (code.as_deref(), name) else {
            return;
        };
        let rank = (from, recorded_at, Reverse(name));
        let newest = self.0.entry(code).or_insert(rank);
        *newest = (*newest).max(rank);
    }

    fn into_names(self) -> HashMap<String, String> {
        self.0
            .into_iter()
            .map(|(code, (_, _, Reverse(name)))| (code.to_owned(), name.to_owned()))
            .collect()
    }
}

impl PrintedNames {
    /// From every row that stands, whatever its date and agreement.
    #[must_use]
    pub fn of(reference: &Reference) -> Self {
        let mut newest: [Newest<'_>; 5] = Default::default();
        for (_, row) in reference.rows() {
            let place = reference.place(row.place);
            let names = &row.names;
            let carried = [
                (&place.practice, &names.practice),
                (&place.pcn, &names.pcn),
                (&place.sub_icb, &names.sub_icb),
                // Printed by ONS code.
                (&place.icb_ons, &names.icb),
                (&place.region_ons, &names.region),
            ];
            for (newest, (code, name)) in newest.iter_mut().zip(carried) {
                newest.see(code, name.as_deref(), row.effective_from, row.recorded_at);
            }
        }
        let [practices, pcns, sub_icbs, icbs, regions] = newest.map(Newest::into_names);
        Self {
            practices,
            pcns,
            sub_icbs,
            icbs,
            regions,
        }
    }

    #[must_use]
    pub fn practice(&self, code: &str) -> &str {
        named(&self.practices, code)
    }

    #[must_use]
    pub fn pcn(&self, code: &str) -> &str {
        named(&self.pcns, code)
    }

    #[must_use]
    pub fn sub_icb(&self, code: &str) -> &str {
        named(&self.sub_icbs, code)
    }

    /// By ONS code.
    #[must_use]
    pub fn icb(&self, ons_code: &str) -> &str {
        named(&self.icbs, ons_code)
    }

    /// By ONS code.
    #[must_use]
    pub fn region(&self, ons_code: &str) -> &str {
        named(&self.regions, ons_code)
    }
}

fn named<'a>(names: &'a HashMap<String, String>, code: &str) -> &'a str {
    names.get(code).map_or("", String::as_str)
}
