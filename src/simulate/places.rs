//! Which real practices stand for a place of the cells file, and which systems they report from.

use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;

use super::cells::{Cells, Shape};
use super::chance::hash;
use super::error::Error;
use super::reference::{Icb, Practice, Reference, in_region};

/// How many appointments a month a practice of England has, about; sizes the share of a place that has to borrow.
const APPOINTMENTS_PER_PRACTICE: u64 = 4_500;

/// The fewest practices that a place gets, where there are as many.
const FEWEST_PRACTICES: usize = 8;

/// Patients of a practice that the list sizes lack, for its share only.
const TYPICAL_PATIENTS: u64 = 8_000;

/// One system of one practice: what its records are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// Index into [`Reference::practices`].
    pub practice: usize,
    /// The system.
    pub supplier: Supplier,
    /// Registered patients × tenths of the practice's appointments that this system holds.
    pub weight: u64,
}

/// The feeds of every place, by its index: of a place all feeds of one practice stand together.
///
/// # Errors
/// [`Error::TooFewPractices`] when a place stays without a practice.
pub fn assign(reference: &Reference, cells: &Cells, scale: f64) -> Result<Vec<Vec<Feed>>, Error> {
    let owned = practices(reference, cells)?;
    let sums = Sums::of(cells);
    Ok(owned
        .into_iter()
        .enumerate()
        .map(|(place, practices)| {
            let used = thinned(reference, &practices, scale);
            feeds(reference, &used, sums.all[place], sums.unknown_mode[place])
        })
        .collect())
}

/// Appointments by place, and those of them of unknown mode, which alone an INPS practice can have.
struct Sums {
    all: Vec<u64>,
    unknown_mode: Vec<u64>,
}

impl Sums {
    fn of(cells: &Cells) -> Self {
        let mut sums = Self {
            all: vec![0; cells.places.len()],
            unknown_mode: vec![0; cells.places.len()],
        };
        for cell in &cells.cells {
            sums.all[cell.place] += cell.count;
            if cell.kind.mode == Mode::Unknown {
                sums.unknown_mode[cell.place] += cell.count;
            }
        }
        sums
    }
}

/// The practices of every place, each practice in at most one.
fn practices(reference: &Reference, cells: &Cells) -> Result<Vec<Vec<usize>>, Error> {
    let sums = Sums::of(cells);
    let mut holder: Vec<Option<usize>> = vec![None; reference.practices.len()];
    let mut waiting = Vec::new();
    for (place, named) in cells.places.iter().enumerate() {
        let own: Vec<usize> = (0..holder.len())
            .filter(|index| {
                let practice = &reference.practices[*index];
                let sub_icb = &reference.sub_icbs[practice.sub_icb];
                holder[*index].is_none()
                    && match cells.shape {
                        Shape::Icb => reference.icb(practice).ons_code == named.icb_ons_code,
                        Shape::Regional => {
                            sub_icb.code == named.code || sub_icb.ons_code == named.ons_code
                        }
                    }
            })
            .collect();
        if own.is_empty() {
            waiting.push(place);
        }
        for index in own {
            holder[index] = Some(place);
        }
    }
    // A place that today's mapping lacks borrows as near as it can: its ICB, its region, England; first what nobody
    // has, then from whoever has most.
    for (position, &place) in waiting.iter().enumerate() {
        let named = &cells.places[place];
        let nearness: [&dyn Fn(&Icb) -> bool; 3] = [
            &|icb| icb.ons_code == named.icb_ons_code,
            &|icb| in_region(icb, &named.region_ons_code, &named.region_name),
            &|_| true,
        ];
        let needed = usize::try_from(sums.all[place].div_ceil(APPOINTMENTS_PER_PRACTICE))
            .unwrap_or(usize::MAX)
            .max(FEWEST_PRACTICES);
        let pool = |holder: &[Option<usize>], near: &dyn Fn(&Icb) -> bool| -> Vec<usize> {
            (0..holder.len())
                .filter(|index| {
                    holder[*index].is_none() && near(reference.icb(&reference.practices[*index]))
                })
                .collect()
        };
        let rivals: u64 = waiting[position..]
            .iter()
            .filter(|other| cells.places[**other].icb_ons_code == named.icb_ons_code)
            .map(|other| sums.all[*other])
            .sum();
        let free = nearness.iter().enumerate().find_map(|(level, near)| {
            let free = pool(&holder, near);
            let fair = if level == 0 {
                (free.len() as u128 * u128::from(sums.all[place]) / u128::from(rivals.max(1)))
                    as usize
            } else {
                free.len()
            };
            let take = needed.min(fair.max(FEWEST_PRACTICES)).min(free.len());
            (take >= FEWEST_PRACTICES).then(|| free[..take].to_vec())
        });
        let taken = free.or_else(|| {
            nearness.iter().find_map(|near| {
                let mut held: Vec<Vec<usize>> = vec![Vec::new(); cells.places.len()];
                for (index, holder) in holder.iter().enumerate() {
                    if let Some(holder) = holder
                        && near(reference.icb(&reference.practices[index]))
                    {
                        held[*holder].push(index);
                    }
                }
                let most = held.into_iter().max_by_key(Vec::len)?;
                let take = needed.min(most.len() / 2);
                (take > 0).then(|| most[most.len() - take..].to_vec())
            })
        });
        for index in taken.ok_or(Error::TooFewPractices {
            places: cells.places.len(),
        })? {
            holder[index] = Some(place);
        }
    }
    let mut owned = vec![Vec::new(); cells.places.len()];
    for (index, holder) in holder.into_iter().enumerate() {
        if let Some(place) = holder {
            owned[place].push(index);
        }
    }
    Ok(owned)
}

/// Below full scale only that share of the practices reports, so that each is as busy as in life; at least one of
/// every sub-ICB and [`FEWEST_PRACTICES`] in all.
fn thinned(reference: &Reference, practices: &[usize], scale: f64) -> Vec<usize> {
    let count = practices.len();
    let keep = ((count as f64 * scale).ceil() as usize).clamp(FEWEST_PRACTICES.min(count), count);
    let mut ordered = practices.to_vec();
    ordered.sort_by_key(|index| (reference.practices[*index].sub_icb, *index));
    let mut kept = Vec::new();
    let mut last_sub_icb = None;
    for (position, index) in ordered.into_iter().enumerate() {
        let sub_icb = Some(reference.practices[index].sub_icb);
        if (position + 1) * keep / count > position * keep / count || sub_icb != last_sub_icb {
            kept.push(index);
        }
        last_sub_icb = sub_icb;
    }
    kept.sort_unstable();
    kept
}

/// The systems of a place's practices: all four occur, INPS only where a cell has no mode.
fn feeds(reference: &Reference, practices: &[usize], all: u64, unknown_mode: u64) -> Vec<Feed> {
    let patients = |index: usize| patients(&reference.practices[index]);
    let total: u64 = practices.iter().map(|index| patients(*index)).sum();
    let mut chosen: Vec<(usize, Vec<Supplier>)> = practices
        .iter()
        .map(|index| (*index, systems(&reference.practices[*index])))
        .collect();
    // INPS and Microtest left the mapping before 2025, so which practices had them is made up here, by the code alone.
    let mut ranked: Vec<usize> = (0..chosen.len())
        .filter(|position| patients(chosen[*position].0) >= 1_500)
        .collect();
    ranked.sort_by_key(|position| hash(0, reference.practices[chosen[*position].0].code));
    let mut ranked = ranked.into_iter();
    let quota = |per_mille: usize| (chosen.len() * per_mille / 1000).max(1);
    let (inps, microtest) = (quota(30), quota(25));
    if chosen.len() >= 4 {
        for position in ranked.by_ref().take(microtest) {
            chosen[position].1 = vec![Supplier::Microtest];
        }
        // Up to half of what has no mode: the rest is spread over the other practices.
        let mut room = u128::from(unknown_mode) * u128::from(total) / 2;
        for position in ranked.by_ref().take(inps) {
            let fair = u128::from(all) * u128::from(patients(chosen[position].0));
            if fair > room {
                break;
            }
            room -= fair;
            chosen[position].1 = vec![Supplier::Inps];
        }
    }
    for supplier in Supplier::ALL {
        let there = chosen
            .iter()
            .any(|(_, systems)| systems.contains(&supplier));
        if !there && (supplier != Supplier::Inps || unknown_mode > 0) {
            let host = chosen
                .iter_mut()
                .filter(|(_, systems)| *systems != [Supplier::Inps])
                .min_by_key(|(index, systems)| {
                    (systems.len(), std::cmp::Reverse(patients(*index)), *index)
                });
            if let Some((_, systems)) = host {
                systems.push(supplier);
            }
        }
    }
    chosen
        .into_iter()
        .flat_map(|(practice, systems)| {
            let count = systems.len() as u64;
            systems
                .into_iter()
                .enumerate()
                .map(move |(position, supplier)| Feed {
                    practice,
                    supplier,
                    // The first system holds what the others, two tenths each, leave.
                    weight: patients(practice)
                        * if position == 0 {
                            10 - 2 * (count - 1)
                        } else {
                            2
                        },
                })
        })
        .collect()
}

fn patients(practice: &Practice) -> u64 {
    practice
        .patients
        .and_then(|patients| u64::try_from(patients).ok())
        .map_or(TYPICAL_PATIENTS, |patients| patients.max(1))
}

/// What the mapping names, or one of the two by the code; some of those that reported from two systems still do.
fn systems(practice: &Practice) -> Vec<Supplier> {
    let drawn = hash(1, practice.code);
    let mut systems = practice.suppliers.clone();
    if systems.is_empty() {
        systems.push(if drawn.is_multiple_of(3) {
            Supplier::Tpp
        } else {
            Supplier::Emis
        });
    }
    if systems.len() == 1 && practice.two_systems && drawn.is_multiple_of(4) {
        systems.push(if systems[0] == Supplier::Emis {
            Supplier::Tpp
        } else {
            Supplier::Emis
        });
    }
    systems
}

/// The suppliers of one place's practice, as its row names them.
#[must_use]
pub fn suppliers_of(feeds: &[Feed], practice: usize) -> Vec<Supplier> {
    feeds
        .iter()
        .filter(|feed| feed.practice == practice)
        .map(|feed| feed.supplier)
        .collect()
}
