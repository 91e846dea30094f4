//! Finding a name among sorted ones without going to each: what tells them apart stands together.

use std::cmp::Ordering;

/// The eight bytes of each name that follow what all have in common.
#[derive(Debug, Default)]
pub(super) struct Keys {
    common: Box<[u8]>,
    keys: Vec<u64>,
}

fn key(rest: &[u8]) -> u64 {
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

impl Keys {
    /// What they take for each name.
    pub(super) const BYTES: usize = size_of::<u64>();

    /// Of names in ascending order.
    pub(super) fn of<'a>(names: impl DoubleEndedIterator<Item = &'a [u8]> + Clone) -> Self {
        let (Some(first), Some(last)) = (names.clone().next(), names.clone().next_back()) else {
            return Self::default();
        };
        let length = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        Self { common: first[..length].into(), keys: names.map(|name| key(&name[length..])).collect() }
    }

    /// How many of the names are less than `name`, or if `or_equal` not greater; `at` gives the names by their positions.
    pub(super) fn count_before<'a>(&self, name: &[u8], or_equal: bool, at: impl Fn(usize) -> &'a [u8]) -> usize {
        let Some(rest) = name.strip_prefix(&*self.common) else {
            return if *name < *self.common { 0 } else { self.keys.len() };
        };
        let key = key(rest);
        let mut low = self.keys.partition_point(|known| *known < key);
        // Mostly no two keys are alike.
        let mut high = low;
        if self.keys.get(low) == Some(&key) {
            high += self.keys[low..].partition_point(|known| *known == key);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let before = match at(middle).cmp(name) {
                Ordering::Less => true,
                Ordering::Equal => or_equal,
                Ordering::Greater => false,
            };
            if before { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_as_a_search_through_all_names_does(
            mut names in prop::collection::vec("(unit/)?[ab\u{e4}\u{0}]{0,12}", 0..40),
            more in prop::collection::vec("(unit/)?[ab\u{e4}\u{0}]{0,12}", 1..10),
        ) {
            names.sort();
            names.dedup();
            let keys = Keys::of(names.iter().map(String::as_bytes));
            for name in names.iter().chain(&more) {
                let less = names.partition_point(|known| known < name);
                let not_greater = names.partition_point(|known| known <= name);
                prop_assert_eq!(keys.count_before(name.as_bytes(), false, |at| names[at].as_bytes()), less);
                prop_assert_eq!(keys.count_before(name.as_bytes(), true, |at| names[at].as_bytes()), not_greater);
            }
        }
    }
}
