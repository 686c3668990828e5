//! Identities of slots, appointments and consultations, as fingerprints.
//!
//! An identity is never trimmed (feeds.md, rule 4). 128 bits: among 10⁹ identities the chance that
//! any two share one is below 10⁻²⁰.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::topic::Supplier;

/// An identity as its supplier writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NativeId<'a> {
    Number(i64),
    /// UTF-8 compares by code point.
    Text(&'a str),
}

/// Which id space of a supplier; the same id in another is another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum IdSpace {
    Appointment = 0,
    /// TPP's home visits.
    Visit = 1,
    Consultation = 2,
}

/// The fingerprint of (supplier, practice, id space, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub u128);

impl Identity {
    /// `practice` is a well-formed ODS code of six characters; longer ids than 240 bytes allocate.
    #[must_use]
    pub fn new(supplier: Supplier, space: IdSpace, practice: &str, id: NativeId<'_>) -> Self {
        if let (NativeId::Number(number), Ok(practice)) =
            (id, <[u8; 6]>::try_from(practice.as_bytes()))
        {
            // As below, of a length that is known: most identities are numbers.
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&[supplier as u8, space as u8]);
            bytes[2..8].copy_from_slice(&practice);
            bytes[8..].copy_from_slice(&number.to_le_bytes());
            return Self(xxh3_128(&bytes));
        }
        let mut short = [0_u8; 256];
        short[0] = supplier as u8;
        short[1] = space as u8;
        let mut length = 2;
        let mut push = |bytes: &[u8]| {
            let end = length + bytes.len();
            short.get_mut(length..end).map(|room| {
                room.copy_from_slice(bytes);
                length = end;
            })
        };
        let number;
        let bytes = match id {
            NativeId::Number(value) => {
                number = value.to_le_bytes();
                &number[..]
            }
            NativeId::Text(text) => text.as_bytes(),
        };
        let fits = push(practice.as_bytes())
            .and_then(|()| push(bytes))
            .is_some();
        if fits {
            return Self(xxh3_128(&short[..length]));
        }
        let mut long = vec![supplier as u8, space as u8];
        long.extend_from_slice(practice.as_bytes());
        long.extend_from_slice(bytes);
        Self(xxh3_128(&long))
    }
}

/// The fingerprint of an EMIS booking within its slot; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BookingId(pub u64);

impl BookingId {
    #[must_use]
    pub fn new(booking_guid: &str) -> Self {
        Self(xxh3_64(booking_guid.as_bytes()).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_in_another_space_practice_or_supplier_is_another_record() {
        let base = Identity::new(
            Supplier::Tpp,
            IdSpace::Appointment,
            "A81001",
            NativeId::Number(7),
        );
        let others = [
            Identity::new(Supplier::Tpp, IdSpace::Visit, "A81001", NativeId::Number(7)),
            Identity::new(
                Supplier::Tpp,
                IdSpace::Appointment,
                "A81002",
                NativeId::Number(7),
            ),
            Identity::new(
                Supplier::Microtest,
                IdSpace::Appointment,
                "A81001",
                NativeId::Number(7),
            ),
            Identity::new(
                Supplier::Tpp,
                IdSpace::Appointment,
                "A81001",
                NativeId::Number(8),
            ),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    /// States that were written hold them.
    #[test]
    fn an_identity_is_the_hash_of_its_parts_one_behind_the_other() {
        let of = |practice: &str, id: NativeId<'_>, bytes: &[u8]| {
            let parts = [
                &[Supplier::Tpp as u8, IdSpace::Consultation as u8],
                practice.as_bytes(),
                bytes,
            ];
            let identity = Identity::new(Supplier::Tpp, IdSpace::Consultation, practice, id);
            assert_eq!(identity.0, xxh3_128(&parts.concat()), "{practice}");
        };
        for number in [0, 7, -1, i64::MAX] {
            of("A81001", NativeId::Number(number), &number.to_le_bytes());
            of("A8100", NativeId::Number(number), &number.to_le_bytes());
        }
        let long = "x".repeat(300);
        for id in ["", "a-guid", &long] {
            of("A81001", NativeId::Text(id), id.as_bytes());
        }
    }

    #[test]
    fn long_identities_are_told_apart() {
        let (a, b) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        let of = |id: &str| {
            Identity::new(
                Supplier::Emis,
                IdSpace::Appointment,
                "A81001",
                NativeId::Text(id),
            )
        };
        assert_ne!(of(&a), of(&b));
        assert_ne!(of(&a[..240]), of(&a[..239]));
    }
}
