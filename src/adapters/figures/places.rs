//! Names of codes, and which region an ICB lies in, as the register of practices has them.

use std::collections::BTreeMap;

use crate::domain::place::{ENGLAND, Level};
use crate::wire::reference::Practice;

/// The newest row that carries a code gives its name.
#[derive(Debug, Default)]
pub struct Places {
    named: BTreeMap<(Level, String), Named>,
}

#[derive(Debug)]
struct Named {
    /// Effective from, recorded at.
    rank: (i32, i64),
    name: String,
    region: String,
}

impl Places {
    pub(super) fn take(&mut self, row: &Practice) {
        let rank = (row.effective_from, row.recorded_at);
        // A level without its organisation code goes by its ONS code, as rows do.
        let region = row.region_code.as_ref().or(row.region_ons_code.as_ref());
        let icb = row.icb_code.as_ref().or(row.icb_ons_code.as_ref());
        let carried = [
            (
                Level::Practice,
                Some(&row.practice_ods_code),
                Some(&row.name),
            ),
            (Level::Pcn, row.pcn_code.as_ref(), row.pcn_name.as_ref()),
            (
                Level::SubIcb,
                row.sub_icb_code.as_ref(),
                row.sub_icb_name.as_ref(),
            ),
            (Level::Icb, icb, row.icb_name.as_ref()),
            (Level::Region, region, row.region_name.as_ref()),
        ];
        for (level, code, name) in carried {
            let (Some(code), Some(name)) = (code, name) else {
                continue;
            };
            let region = region.cloned().unwrap_or_default();
            let known = self.named.get(&(level, code.clone()));
            if known.is_none_or(|known| known.rank <= rank) {
                let named = Named {
                    rank,
                    name: name.clone(),
                    region,
                };
                self.named.insert((level, code.clone()), named);
            }
        }
    }

    /// Empty where the register has none.
    #[must_use]
    pub fn name(&self, level: Level, code: &str) -> &str {
        if level == Level::England || code == ENGLAND {
            return "England";
        }
        self.get(level, code).map_or("", |named| &named.name)
    }

    /// The code of the region that a place lies in; empty where the register does not say.
    #[must_use]
    pub fn region_of(&self, level: Level, code: &str) -> &str {
        self.get(level, code).map_or("", |named| &named.region)
    }

    fn get(&self, level: Level, code: &str) -> Option<&Named> {
        self.named.get(&(level, code.to_owned()))
    }
}
