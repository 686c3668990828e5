//! How many appointments of a cell fall to a feed: exact shares without a table of all of them.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::domain::topic::Supplier;
use crate::domain::vocabulary::Mode;

use super::cells::{Cell, Kind};
use super::places::Feed;

/// The shares of one place's feeds.
//
//   weights   |---a---|--b--|-------c-------|        W
//   cell n    · . . . | . . | . . . . . . . |        n points at even distances, shifted by an offset below one distance
//   share     points within the feed's stretch: floor((n·end + offset) / W) − floor((n·start + offset) / W)
#[derive(Debug, Clone)]
pub struct Quotas {
    /// By feed: the position of its stretch.
    positions: Vec<usize>,
    /// Ends of the stretches for a cell of known mode, then of unknown mode; by position.
    ends: [Vec<u128>; 2],
    /// The largest cell of known and of unknown mode, whose first point lies on the first stretch.
    largest: [Option<Cell>; 2],
    seed: u64,
}

impl Quotas {
    /// Shares of `feeds` in the cells of their place.
    #[must_use]
    pub fn new(feeds: &[Feed], cells: &[Cell], seed: u64) -> Self {
        let mut order: Vec<usize> = (0..feeds.len()).collect();
        // INPS, then Microtest, then the two large ones: the first points of the largest cells surely reach the small.
        let rank = |supplier| match supplier {
            Supplier::Inps => 0,
            Supplier::Microtest => 1,
            Supplier::Emis | Supplier::Tpp => 2,
        };
        order.sort_by_key(|index| (rank(feeds[*index].supplier), *index));
        let mut positions = vec![0; feeds.len()];
        for (position, index) in order.iter().enumerate() {
            positions[*index] = position;
        }
        let is_inps = |index: &usize| feeds[*index].supplier == Supplier::Inps;
        let weight = |index: &usize| u128::from(feeds[*index].weight);
        let all: u128 = order.iter().map(weight).sum();
        let inps: u128 = order
            .iter()
            .filter(|index| is_inps(index))
            .map(weight)
            .sum();
        let others = all - inps;
        let count = |unknown_only: bool| -> u128 {
            cells
                .iter()
                .filter(|cell| !unknown_only || cell.kind.mode == Mode::Unknown)
                .map(|cell| u128::from(cell.count))
                .sum()
        };
        // INPS takes its fair share of the place out of the cells of unknown mode, up to six tenths of them (of all,
        // if there is nobody else).
        let (total, unknown) = (count(false), count(true));
        let fair = total * inps;
        let cap = unknown * all * 6 / 10;
        let taken = if others == 0 {
            unknown * all
        } else {
            fair.min(cap)
        };
        let left = unknown * all - taken;
        let known_weight = |index: &usize| if is_inps(index) { 0 } else { weight(index) };
        let unknown_weight = |index: &usize| {
            if is_inps(index) {
                taken * weight(index) / inps * others.max(1)
            } else {
                left * weight(index)
            }
        };
        let ends = |weight: &dyn Fn(&usize) -> u128| -> Vec<u128> {
            let mut sum = 0;
            order
                .iter()
                .map(|index| {
                    sum += weight(index);
                    sum
                })
                .collect()
        };
        // Cells of up to 2³² times weights of up to 2⁹⁵ stay below 2¹²⁷; the weights of unknown mode are the product
        // of three numbers below 2³⁰ or so, brought down to 2⁶⁰ here.
        let unknown_ends: Vec<u128> = {
            let ends = ends(&unknown_weight);
            let shift = ends
                .last()
                .map_or(0, |end| 128 - end.leading_zeros())
                .saturating_sub(60);
            ends.into_iter().map(|end| end >> shift).collect()
        };
        let largest = |unknown: bool| {
            cells
                .iter()
                .filter(|cell| (cell.kind.mode == Mode::Unknown) == unknown)
                .max_by_key(|cell| (cell.count, std::cmp::Reverse(cell.kind)))
                .copied()
        };
        Self {
            ends: [ends(&known_weight), unknown_ends],
            largest: [largest(false), largest(true)],
            positions,
            seed,
        }
    }

    /// How many appointments of `cell` the feed has; over all feeds of the place they add up to the cell.
    #[must_use]
    pub fn share(&self, cell: &Cell, feed: usize) -> u64 {
        let which = usize::from(cell.kind.mode == Mode::Unknown);
        let ends = &self.ends[which];
        let position = self.positions[feed];
        let all = ends.last().copied().unwrap_or(0);
        if all == 0 {
            return 0;
        }
        let offset = if self.largest[which] == Some(*cell) {
            all - 1
        } else {
            let Kind {
                status,
                hcp,
                mode,
                wait,
            } = cell.kind;
            let name = [status as u8, hcp as u8, mode as u8, wait as u8];
            u128::from(xxh3_64_with_seed(&name, self.seed)) % all
        };
        let up_to = |end: u128| (u128::from(cell.count) * end + offset) / all;
        let start = position.checked_sub(1).map_or(0, |before| ends[before]);
        // A share is at most the cell's count.
        (up_to(ends[position]) - up_to(start)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::{HcpType, PublishedStatus, WaitingBand};
    use crate::simulate::chance::Chance;

    fn cells(chance: &mut Chance) -> Vec<Cell> {
        let mut cells = Vec::new();
        for mode in Mode::ALL.iter().copied() {
            for wait in WaitingBand::ALL.iter().copied() {
                let most = 1 << chance.between(1, 20);
                cells.push(Cell {
                    place: 0,
                    kind: Kind {
                        status: PublishedStatus::Attended,
                        hcp: HcpType::Gp,
                        mode,
                        wait,
                    },
                    count: u64::from(1 + chance.below(most)),
                });
            }
        }
        cells
    }

    #[test]
    fn shares_add_up_to_their_cell_and_inps_has_only_what_has_no_mode() {
        let mut chance = Chance::of(9, "quotas");
        for round in 0..200 {
            let suppliers = [
                Supplier::Emis,
                Supplier::Tpp,
                Supplier::Inps,
                Supplier::Microtest,
                Supplier::Emis,
            ];
            let feeds: Vec<Feed> = suppliers
                .into_iter()
                .enumerate()
                .map(|(practice, supplier)| Feed {
                    practice,
                    supplier,
                    weight: u64::from(1 + chance.below(500_000)),
                })
                .collect();
            let cells = cells(&mut chance);
            let quotas = Quotas::new(&feeds, &cells, round);
            let mut by_feed = vec![0; feeds.len()];
            for cell in &cells {
                let shares: Vec<u64> = (0..feeds.len())
                    .map(|feed| quotas.share(cell, feed))
                    .collect();
                assert_eq!(
                    shares.iter().sum::<u64>(),
                    cell.count,
                    "{cell:?} {shares:?}"
                );
                if cell.kind.mode != Mode::Unknown {
                    assert_eq!(shares[2], 0, "{cell:?}");
                }
                for (sum, share) in by_feed.iter_mut().zip(shares) {
                    *sum += share;
                }
            }
            assert!(by_feed[2] >= 1 && by_feed[3] >= 1, "{by_feed:?}");
        }
    }

    #[test]
    fn shares_follow_the_list_sizes() {
        let feed = |practice, supplier, weight| Feed {
            practice,
            supplier,
            weight,
        };
        let feeds = [
            feed(0, Supplier::Emis, 60_000),
            feed(1, Supplier::Tpp, 30_000),
            feed(2, Supplier::Inps, 10_000),
        ];
        let cell = |mode, count| Cell {
            place: 0,
            kind: Kind {
                status: PublishedStatus::Attended,
                hcp: HcpType::Gp,
                mode,
                wait: WaitingBand::SameDay,
            },
            count,
        };
        let cells = [cell(Mode::FaceToFace, 9_000), cell(Mode::Unknown, 3_000)];
        let quotas = Quotas::new(&feeds, &cells, 1);
        let shares = |cell: &Cell| [0, 1, 2].map(|feed| quotas.share(cell, feed));
        let near = |found: [u64; 3], expected: [u64; 3]| {
            let apart = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
            assert!(apart <= Some(1), "{found:?}, not {expected:?}");
        };
        near(shares(&cells[0]), [6_000, 3_000, 0]);
        // A tenth of all 12,000 would be 1,200, which six tenths of 3,000 allow.
        near(shares(&cells[1]), [1_200, 600, 1_200]);
    }
}
