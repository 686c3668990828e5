//! Digests of records in no particular order: a sum of hashes that can be added to and taken from.

use sha2::{Digest, Sha256};

/// SHA-256 of one member.
pub type Hash = [u8; 32];

/// The sum modulo 2^256 of its members' hashes. Whatever the order they come in, the sum is the same; a member
/// that is there twice counts twice, which an exclusive or would not tell from not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum([u64; 4]);

impl Sum {
    pub fn add(&mut self, member: &Hash) {
        let mut carry = false;
        for (limb, more) in self.0.iter_mut().zip(limbs(member)) {
            let (sum, over) = limb.overflowing_add(more);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || again);
        }
    }

    pub fn take(&mut self, member: &Hash) {
        let mut borrow = false;
        for (limb, less) in self.0.iter_mut().zip(limbs(member)) {
            let (rest, under) = limb.overflowing_sub(less);
            let (rest, again) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, under || again);
        }
    }

    /// 32 bytes, little-endian.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    /// `None` unless there are 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(limbs(&bytes)))
    }
}

fn limbs(bytes: &Hash) -> [u64; 4] {
    std::array::from_fn(|at| {
        let limb: [u8; 8] = std::array::from_fn(|byte| bytes[at * 8 + byte]);
        u64::from_le_bytes(limb)
    })
}

/// The hash of a record as it lies in its topic, frames and all.
//
//   length of the key, 8 bytes little-endian | key | 0, or 1 and the value
#[must_use]
pub fn record(key: &[u8], value: Option<&[u8]>) -> Hash {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update([u8::from(value.is_some())]);
    hash.update(value.unwrap_or_default());
    hash.finalize().into()
}

/// The hash of a row that stands: of its key and its figures, without how and when it was published.
#[must_use]
pub fn row(key: &[u8], figures: &[u8]) -> Hash {
    record(key, Some(figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_depend_on_the_order_and_taking_undoes_adding() {
        let members: Vec<Hash> = (0..200_u8).map(|at| record(&[at], Some(b"v"))).collect();
        let sum_of = |members: &mut dyn Iterator<Item = &Hash>| {
            let mut sum = Sum::default();
            for member in members {
                sum.add(member);
            }
            sum
        };
        let mut sum = sum_of(&mut members.iter());
        assert_eq!(sum, sum_of(&mut members.iter().rev()));
        assert_eq!(Sum::from_bytes(&sum.to_bytes()), Some(sum));
        for member in &members[50..] {
            sum.take(member);
        }
        assert_eq!(sum, sum_of(&mut members[..50].iter()));
    }

    #[test]
    fn carries_run_through_all_limbs() {
        let mut one: Hash = [0; 32];
        one[0] = 1;
        let mut sum = Sum::default();
        sum.take(&one);
        assert_eq!(sum.to_bytes(), [0xff; 32]);
        sum.add(&one);
        assert_eq!(sum, Sum::default());
    }

    #[test]
    fn a_member_that_is_there_twice_counts_twice() {
        let member = record(b"k", None);
        let mut sum = Sum::default();
        sum.add(&member);
        let once = sum;
        sum.add(&member);
        assert!(sum != once && sum != Sum::default());
    }

    #[test]
    fn key_and_value_cannot_be_shifted_into_each_other() {
        let hashes = [
            record(b"ab", Some(b"c")),
            record(b"a", Some(b"bc")),
            record(b"abc", Some(b"")),
            record(b"abc", None),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash));
        }
    }
}
