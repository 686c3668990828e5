//! How far each supplier has come in event time, and up to when windows are closed.
//
//   event time     newest(TPP)        newest(EMIS)           now
//   ──────────────────┼───────────────────┼───────────────────┼──►
//   both are heard    ├ watermark: the least of those that hold back
//   TPP is silent                         ├ watermark: TPP no longer holds back, and rows say so
//   all are silent                                     ├ watermark: now − idle
//        closed to = watermark − allowed lateness; never back

use crate::domain::time::Timestamp;
use crate::domain::topic::Supplier;

use super::state::block::Fields;

/// Milliseconds: whole steps of how far windows are closed are told to the second stage, and end every rolling window.
pub const STEP: i64 = 5 * 60_000;

/// When windows close. The default: of a whole input, by what it holds, without lateness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closing {
    /// Milliseconds after a window's end during which its figures are provisional.
    pub lateness: i64,
    /// Milliseconds of silence after which a supplier no longer holds the others back. `None`: the input is whole and
    /// nobody is waited for (`replay`).
    pub idle: Option<i64>,
    /// Milliseconds by which a time of extraction may be ahead of "now" before it is counted.
    pub ahead: i64,
}

/// Up to when windows are closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// By what came: every supplier ever heard of has come so far.
    pub by_events: Option<Timestamp>,
    /// With silent suppliers left out; never before `by_events`.
    pub to: Option<Timestamp>,
}

impl Closed {
    /// Whether a window that ends then is closed, and if so, whether only because somebody is silent.
    #[must_use]
    pub fn of(self, end: Timestamp) -> Option<bool> {
        if self.by_events.is_some_and(|to| end <= to) {
            Some(false)
        } else {
            self.to.filter(|to| end <= *to).map(|_| true)
        }
    }

    /// What both have closed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            by_events: self.by_events.min(other.by_events),
            to: self.to.min(other.to),
        }
    }

    /// Moves on to another, never back.
    pub fn advance(&mut self, other: Self) {
        self.by_events = self.by_events.max(other.by_events);
        self.to = self.to.max(other.to).max(self.by_events);
    }

    /// To whole steps of some milliseconds.
    #[must_use]
    pub fn floor(self, step: i64) -> Self {
        let floor = |at: Timestamp| Timestamp(at.0.div_euclid(step).saturating_mul(step));
        Self {
            by_events: self.by_events.map(floor),
            to: self.to.map(floor),
        }
    }

    pub(super) fn write(self, into: &mut Vec<u8>) {
        for at in [self.by_events, self.to] {
            into.extend_from_slice(&at.map_or(i64::MIN, |at| at.0).to_le_bytes());
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut at = || {
            let at = fields.i64()?;
            Some((at > i64::MIN).then_some(Timestamp(at)))
        };
        Some(Self {
            by_events: at()?,
            to: at()?,
        })
    }
}

const SUPPLIERS: usize = Supplier::ALL.len();

/// What a task has heard of each supplier.
#[derive(Debug, Clone, Default)]
pub struct Watermarks {
    closing: Closing,
    /// The greatest time of extraction admitted, none of them after "now". Only moves forward.
    newest: [Option<Timestamp>; SUPPLIERS],
    /// When an admitted version, or news of unread records, came last; by the clock that tells "now".
    heard: [Option<Timestamp>; SUPPLIERS],
    /// Whether one came since the time was last told.
    is_fresh: [bool; SUPPLIERS],
    /// Versions extracted after the "now" that was last told.
    early: Vec<(Supplier, Timestamp)>,
    /// How many were further ahead than is allowed, since this was last asked.
    ahead: [u64; SUPPLIERS],
    now: Option<Timestamp>,
    closed: Closed,
}

impl Watermarks {
    #[must_use]
    pub fn new(closing: Closing) -> Self {
        Self {
            closing,
            ..Self::default()
        }
    }

    /// What time it is, before the first version.
    pub(super) fn start(&mut self, now: Timestamp) {
        self.now = self.now.max(Some(now));
    }

    /// An admitted version.
    pub(super) fn see(&mut self, supplier: Supplier, version: Timestamp) {
        self.is_fresh[supplier as usize] = true;
        if self.now.is_some_and(|now| version > now) {
            self.early.push((supplier, version));
        } else {
            let newest = &mut self.newest[supplier as usize];
            *newest = (*newest).max(Some(version));
        }
    }

    /// Records of a supplier wait to be read: it is not silent.
    pub fn has_unread(&mut self, supplier: Supplier) {
        self.is_fresh[supplier as usize] = true;
    }

    /// Moves on to "now": a clock that is ahead of it moves nothing beyond it.
    pub(super) fn tell(&mut self, now: Timestamp) {
        if now == Timestamp(i64::MIN) {
            // No time was told yet.
            return;
        }
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        for (supplier, version) in self.early.drain(..) {
            let newest = &mut self.newest[supplier as usize];
            *newest = (*newest).max(Some(version.min(now)));
            if version.0 > now.0.saturating_add(self.closing.ahead) {
                self.ahead[supplier as usize] += 1;
            }
        }
        for (heard, is_fresh) in self.heard.iter_mut().zip(&mut self.is_fresh) {
            // Who was never heard of is waited for from the start on.
            if std::mem::take(is_fresh) || heard.is_none() {
                *heard = Some(now);
            }
        }
        if let Some(watermark) = self.watermark(now) {
            let less = |at: Timestamp| Timestamp(at.0.saturating_sub(self.closing.lateness));
            let by_events = self.newest.iter().flatten().min().copied();
            self.closed.advance(Closed {
                by_events: by_events.map(|at| less(at.min(watermark))),
                to: Some(less(watermark)),
            });
        }
    }

    /// Up to where nothing more is expected, but for lateness; `None`: somebody is waited for who was never heard of.
    fn watermark(&self, now: Timestamp) -> Option<Timestamp> {
        let Some(idle) = self.closing.idle else {
            let newest = self.newest.iter().flatten().min().copied();
            return newest.map(|newest| newest.min(now));
        };
        let mut least = None;
        for supplier in Supplier::ALL {
            if self.is_silent(supplier, now, idle) {
                continue;
            }
            let newest = self.of(supplier)?;
            least = Some(least.map_or(newest, |least: Timestamp| least.min(newest)));
        }
        Some(least.unwrap_or(Timestamp(now.0.saturating_sub(idle))))
    }

    fn is_silent(&self, supplier: Supplier, now: Timestamp, idle: i64) -> bool {
        self.heard[supplier as usize].is_some_and(|heard| now.0.saturating_sub(heard.0) >= idle)
    }

    /// Whether a supplier holds nobody back because nothing of it comes.
    #[must_use]
    pub fn is_idle(&self, supplier: Supplier) -> bool {
        (self.now.zip(self.closing.idle))
            .is_some_and(|(now, idle)| self.is_silent(supplier, now, idle))
    }

    /// `None`: nothing of the supplier was admitted yet.
    #[must_use]
    pub const fn of(&self, supplier: Supplier) -> Option<Timestamp> {
        self.newest[supplier as usize]
    }

    /// Up to when windows are closed.
    #[must_use]
    pub const fn closed(&self) -> Closed {
        self.closed
    }

    /// The greatest of all; the least time there is before the first record.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        let newest = self.newest.iter().flatten().max().copied();
        newest.unwrap_or(Timestamp(0))
    }

    /// Versions further ahead of "now" than is allowed, by supplier, since this was last asked.
    pub(super) fn take_ahead(&mut self) -> [u64; SUPPLIERS] {
        std::mem::take(&mut self.ahead)
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        for newest in self.newest {
            let newest = newest.map_or(i64::MIN, |newest| newest.0);
            into.extend_from_slice(&newest.to_le_bytes());
        }
        self.closed.write(into);
    }

    /// How far they had come; who is silent is found out anew.
    pub(super) fn read(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        for newest in &mut self.newest {
            let at = fields.i64()?;
            *newest = (at > i64::MIN).then_some(Timestamp(at));
        }
        // Before there was idleness nothing more was written.
        self.closed = Closed::read(fields).unwrap_or_default();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * MINUTE)
    }

    fn watermarks() -> Watermarks {
        Watermarks::new(Closing {
            lateness: 10 * MINUTE,
            idle: Some(5 * MINUTE),
            ahead: MINUTE,
        })
    }

    /// Everyone is heard at a minute of "now", with versions of the same minute.
    fn hear_all(marks: &mut Watermarks, minute: i64) {
        for supplier in Supplier::ALL {
            marks.see(supplier, at(minute));
        }
        marks.tell(at(minute));
    }

    fn closed(by_events: i64, to: i64) -> Closed {
        Closed {
            by_events: Some(at(by_events)),
            to: Some(at(to)),
        }
    }

    #[test]
    fn the_one_furthest_behind_holds_back_until_it_is_silent() {
        let mut marks = watermarks();
        marks.tell(at(1_000));
        hear_all(&mut marks, 1_000);
        assert_eq!(marks.closed(), closed(990, 990));
        for minute in 1_001..1_005 {
            marks.see(Supplier::Tpp, at(minute));
            marks.tell(at(minute));
        }
        assert_eq!(marks.closed(), closed(990, 990), "the others hold back");
        marks.see(Supplier::Tpp, at(1_005));
        marks.tell(at(1_005));
        assert!(marks.is_idle(Supplier::Emis) && !marks.is_idle(Supplier::Tpp));
        assert_eq!(marks.closed(), closed(990, 995), "and then no longer");
        let ends = [990, 991, 995, 996].map(|end| marks.closed().of(at(end)));
        assert_eq!(ends, [Some(false), Some(true), Some(true), None]);
        // Back with what was late: nothing goes back, and it holds back again.
        marks.see(Supplier::Emis, at(1_001));
        marks.see(Supplier::Tpp, at(1_006));
        marks.tell(at(1_006));
        assert!(!marks.is_idle(Supplier::Emis));
        assert_eq!(marks.closed(), closed(990, 995));
    }

    #[test]
    fn windows_close_though_all_are_silent() {
        let mut marks = watermarks();
        marks.tell(at(1_000));
        assert_eq!(marks.closed(), Closed::default(), "everyone is waited for");
        marks.tell(at(1_004));
        assert_eq!(marks.closed(), Closed::default());
        marks.tell(at(1_005));
        assert_eq!(marks.closed().to, Some(at(990)));
        marks.tell(at(1_105));
        let silent = marks.closed();
        assert_eq!((silent.by_events, silent.to), (None, Some(at(1_090))));
    }

    #[test]
    fn who_has_unread_records_is_not_silent() {
        let mut marks = watermarks();
        marks.tell(at(1_000));
        hear_all(&mut marks, 1_000);
        for minute in 1_001..1_020 {
            for supplier in [Supplier::Tpp, Supplier::Inps, Supplier::Microtest] {
                marks.see(supplier, at(minute));
            }
            marks.has_unread(Supplier::Emis);
            marks.tell(at(minute));
        }
        assert_eq!(marks.closed(), closed(990, 990));
    }

    #[test]
    fn a_clock_that_is_ahead_moves_nothing_beyond_now_and_is_counted() {
        let mut marks = watermarks();
        hear_all(&mut marks, 1_000);
        marks.see(Supplier::Emis, at(900_000));
        marks.see(Supplier::Emis, at(1_001));
        marks.tell(at(1_000));
        assert_eq!(marks.of(Supplier::Emis), Some(at(1_000)));
        assert_eq!(marks.as_of(), at(1_000));
        assert_eq!(
            marks.take_ahead()[Supplier::Emis as usize],
            1,
            "a minute is allowed"
        );
        assert_eq!(marks.closed(), closed(990, 990));
        hear_all(&mut marks, 1_001);
        assert_eq!(
            marks.of(Supplier::Emis),
            Some(at(1_001)),
            "it goes on as if it had not been"
        );
    }

    #[test]
    fn a_whole_input_is_closed_by_what_it_holds() {
        let mut marks = Watermarks::new(Closing {
            idle: None,
            ..watermarks().closing
        });
        marks.see(Supplier::Tpp, at(1_000));
        marks.see(Supplier::Emis, at(1_100));
        marks.tell(at(1_050));
        assert_eq!(marks.closed(), closed(990, 990));
        assert!(!marks.is_idle(Supplier::Inps));
    }

    #[test]
    fn what_was_closed_is_read_back() {
        let mut marks = watermarks();
        marks.tell(at(1_000));
        hear_all(&mut marks, 1_000);
        marks.tell(at(1_010));
        let mut bytes = Vec::new();
        marks.write(&mut bytes);
        let mut again = watermarks();
        assert_eq!(again.read(&mut Fields(&bytes)), Some(()));
        assert_eq!(again.closed(), marks.closed());
        assert_eq!(again.of(Supplier::Tpp), Some(at(1_000)));
        // As it was written before.
        let mut before = watermarks();
        assert_eq!(
            before.read(&mut Fields(&bytes[..bytes.len() - 16])),
            Some(())
        );
        assert_eq!(before.closed(), Closed::default());
    }
}
