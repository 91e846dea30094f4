//! The packs that stand in no index file yet, and one table over all that is in them: a few bytes a record.

use std::collections::HashMap;

use hashbrown::HashTable;
use strongroom_storage::Digest;

use super::{Found, locate};
use crate::index::Table;
use crate::nonce::Nonce;
use crate::record::DigestPrefix;

/// Packs by their own indexes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    tables: Vec<Table>,
    positions: HashMap<Nonce, usize>,
    /// Which row of which table, by the beginning of its digest, which is as good as any hash.
    rows: HashTable<(u32, u32)>,
}

fn hash(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |beginning| u64::from_le_bytes(*beginning))
}

fn digest_of(tables: &[Table], (table, row): (u32, u32)) -> &[u8] {
    tables[table as usize].records.digest_bytes(row as usize)
}

impl Recent {
    /// Adds the index of a pack, unless it is known.
    pub(super) fn insert(&mut self, table: Table) {
        let (Ok(position), Ok(rows)) = (u32::try_from(self.tables.len()), u32::try_from(table.records.len())) else {
            return;
        };
        if self.positions.contains_key(&table.pack) {
            return;
        }
        self.positions.insert(table.pack, self.tables.len());
        self.tables.push(table);
        let Self { tables, rows: all, .. } = self;
        let rehash = |row: &(u32, u32)| hash(digest_of(tables, *row));
        all.reserve(rows as usize, rehash);
        for row in 0..rows {
            all.insert_unique(hash(digest_of(tables, (position, row))), (position, row), rehash);
        }
    }

    /// Keeps only the packs for which `keep` holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&Nonce) -> bool) {
        if self.positions.keys().all(&keep) {
            return;
        }
        let old = std::mem::take(self);
        old.tables.into_iter().filter(|table| keep(&table.pack)).for_each(|table| self.insert(table));
    }

    pub(super) fn contains(&self, pack: &Nonce) -> bool {
        self.positions.contains_key(pack)
    }

    /// How many packs there are.
    pub(super) fn len(&self) -> usize {
        self.tables.len()
    }

    /// How many records they have.
    pub(super) fn records(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Everything with exactly this digest.
    pub(super) fn find(&self, digest: &Digest) -> impl Iterator<Item = Found> {
        let rows = self.rows.iter_hash(hash(digest.as_bytes()));
        rows.filter(|row| digest_of(&self.tables, **row) == digest.as_bytes())
            .filter_map(|(table, row)| self.found(&self.tables[*table as usize], *row as usize))
    }

    /// Everything whose digest begins so.
    pub(super) fn search<'a>(&'a self, prefix: &'a DigestPrefix) -> impl Iterator<Item = Found> + 'a {
        self.tables
            .iter()
            .flat_map(move |table| table.records.with_prefix(prefix).map(move |record| locate(table.pack, &record)))
    }

    fn found(&self, table: &Table, row: usize) -> Option<Found> {
        Some(locate(table.pack, &table.records.get(row)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Method;
    use crate::record::{Kind, Record, Records};

    fn table(pack: u8, numbers: std::ops::Range<u32>) -> Table {
        let nonce = Nonce::from_bytes([pack; 16]);
        let record = |n: u32| {
            let digest = Digest::of(&n.to_le_bytes());
            Record { digest, offset: 8, stored: 4, size: 4, pack: 0, kind: Kind::Chunk, method: Method::Plain }
        };
        let mut records: Vec<Record> = numbers.map(record).collect();
        records.sort_by_key(|record| record.digest);
        Table { pack: nonce, records: Records::of(&records) }
    }

    fn packs_with(recent: &Recent, n: u32) -> Vec<Nonce> {
        let mut packs: Vec<Nonce> = recent.find(&Digest::of(&n.to_le_bytes())).map(|found| found.place.pack).collect();
        packs.sort();
        packs
    }

    #[test]
    fn what_is_in_packs_is_found_in_each_of_them_until_they_go() {
        let mut recent = Recent::default();
        for (pack, numbers) in [(1, 0..1000), (2, 500..1500), (3, 1400..1500)] {
            let table = table(pack, numbers);
            recent.insert(table.clone());
            recent.insert(table);
        }
        let nonce = |n| Nonce::from_bytes([n; 16]);
        assert_eq!((recent.len(), recent.records()), (3, 2100));
        assert_eq!(packs_with(&recent, 10), [nonce(1)]);
        assert_eq!(packs_with(&recent, 700), [nonce(1), nonce(2)]);
        assert_eq!(packs_with(&recent, 1450), [nonce(2), nonce(3)]);
        assert_eq!(packs_with(&recent, 2000), []);
        let beginning = &Digest::of(&700u32.to_le_bytes()).to_string()[..12];
        assert_eq!(recent.search(&DigestPrefix::parse(beginning).expect("hex")).count(), 2);
        recent.retain(|pack| *pack != nonce(2));
        assert_eq!((recent.len(), recent.contains(&nonce(2))), (2, false));
        assert_eq!(packs_with(&recent, 700), [nonce(1)]);
        assert_eq!(packs_with(&recent, 1450), [nonce(3)]);
    }
}
