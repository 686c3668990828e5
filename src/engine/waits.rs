//! Waits in days as a histogram that adds up and can be taken back, and what is read off it.
//
//   days      0 … 31 each its own | 32 … 511 four to each doubling | 512 and more
//   error     none                | at most an eighth of the value | unbounded: read as 512

/// Columns of a histogram.
pub const BUCKETS: usize = EXACT + 4 * DOUBLINGS + 1;

const EXACT: usize = 32;
const DOUBLINGS: usize = 4;

/// The column of a wait; `None` for a booking made after its appointment.
#[must_use]
pub fn bucket(days: i16) -> Option<usize> {
    let days = usize::try_from(days).ok()?;
    if days < EXACT {
        return Some(days);
    }
    let doubling = (days / EXACT).ilog2() as usize;
    let quarter = days >> (doubling + 3) & 3;
    Some((EXACT + 4 * doubling + quarter).min(BUCKETS - 1))
}

/// The middle of a column, in days.
fn middle(bucket: usize) -> f64 {
    if bucket < EXACT {
        return bucket as f64;
    }
    let (doubling, quarter) = ((bucket - EXACT) / 4, (bucket - EXACT) % 4);
    let first = (4 + quarter) << (doubling + 3);
    if bucket == BUCKETS - 1 {
        return first as f64;
    }
    let width = 8 << doubling;
    first as f64 + f64::from(width - 1) / 2.0
}

/// The least value that at least so many tenths of all do not exceed; `None` where there are none.
#[must_use]
pub fn quantile(counts: &[i64], tenths: i64) -> Option<f64> {
    let all: i64 = counts.iter().sum();
    let mut below = 0;
    let bucket = counts.iter().position(|count| {
        below += count;
        *count > 0 && below * 10 >= all * tenths
    })?;
    Some(middle(bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_each_other_and_the_error_is_as_stated() {
        let mut before = 0;
        for days in 0..=i16::MAX {
            let at = bucket(days).expect("not negative");
            assert!(at == before || at == before + 1, "{days}");
            before = at;
            let error = (middle(at) - f64::from(days)).abs();
            match days {
                0..32 => assert!(error < f64::EPSILON, "{days}"),
                32..512 => assert!(error <= f64::from(days) / 8.0, "{days}: {}", middle(at)),
                _ => assert!((middle(at) - 512.0).abs() < f64::EPSILON, "{days}"),
            }
        }
        assert_eq!(before, BUCKETS - 1);
        assert_eq!(bucket(-1), None);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_waits() {
        let waits = [0, 0, 0, 1, 1, 2, 3, 7, 14, 31];
        let mut counts = [0; BUCKETS];
        for wait in waits {
            counts[bucket(wait).expect("not negative")] += 1;
        }
        for tenths in 1..=10 {
            let expected = f64::from(waits[tenths - 1]);
            let found = quantile(&counts, tenths as i64).expect("there are some");
            assert!(
                (found - expected).abs() < f64::EPSILON,
                "{tenths} tenths: {found}"
            );
        }
        assert_eq!(quantile(&[0; BUCKETS], 5), None);
    }
}
