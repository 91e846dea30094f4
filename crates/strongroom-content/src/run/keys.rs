//! Finding a name among sorted ones without going to each: what tells them apart stands together.

use std::cmp::Ordering;

/// The eight bytes of each name that follow what all have in common.
#[derive(Debug, Default)]
pub(super) struct Keys {
    common: Box<str>,
    keys: Vec<u64>,
}

fn key(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = rest.len().min(8);
    bytes[..length].copy_from_slice(&rest[..length]);
    u64::from_be_bytes(bytes)
}

impl Keys {
    /// Of names in ascending order.
    pub(super) fn of<'a>(names: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Self {
        let (Some(first), Some(last)) = (names.clone().next(), names.clone().next_back()) else {
            return Self::default();
        };
        let same = first.char_indices().zip(last.chars()).take_while(|((_, a), b)| a == b);
        let length = same.last().map_or(0, |((at, a), _)| at + a.len_utf8());
        let keys = names.map(|name| key(&name.as_bytes()[length..])).collect();
        Self { common: first[..length].into(), keys }
    }

    /// How many of the names are less than `name`, or if `or_equal` not greater; `at` gives the names by their positions.
    pub(super) fn count_before<'a>(&self, name: &str, or_equal: bool, at: impl Fn(usize) -> &'a str) -> usize {
        let Some(rest) = name.strip_prefix(&*self.common) else {
            return if *name < *self.common { 0 } else { self.keys.len() };
        };
        let key = key(rest.as_bytes());
        let from = self.keys.partition_point(|known| *known < key);
        let alike = self.keys[from..].partition_point(|known| *known == key);
        let (mut low, mut high) = (from, from + alike);
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
            let keys = Keys::of(names.iter().map(String::as_str));
            for name in names.iter().chain(&more) {
                let less = names.partition_point(|known| known < name);
                let not_greater = names.partition_point(|known| known <= name);
                prop_assert_eq!(keys.count_before(name, false, |at| &names[at]), less);
                prop_assert_eq!(keys.count_before(name, true, |at| &names[at]), not_greater);
            }
        }
    }
}
