//! What may be on a disk after a power failure.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, Node};

const PAGE: usize = 4096;

/// What became of bytes that no fsync was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// None of them is there.
    Lost,
    /// The first half is.
    Half,
    /// All but the last page.
    Pages,
    /// The file has its length, and zeros.
    Zeros,
    /// Every other page is there, the others are zeros.
    Holes,
    /// All of them.
    Kept,
}

impl Unsynced {
    const ALL: [Self; 6] = [Self::Lost, Self::Half, Self::Pages, Self::Zeros, Self::Holes, Self::Kept];

    fn of(self, durable: &[u8], data: &[u8]) -> Vec<u8> {
        let least = durable.len().min(data.len());
        let zeros = || {
            let mut content = durable[..least].to_vec();
            content.resize(data.len(), 0);
            content
        };
        match self {
            Self::Lost => durable.to_vec(),
            Self::Half => data[..least + (data.len() - least) / 2].to_vec(),
            Self::Pages => data[..least.max(data.len().saturating_sub(1) / PAGE * PAGE)].to_vec(),
            Self::Zeros => zeros(),
            Self::Holes => {
                let mut content = zeros();
                for (to, from) in content.chunks_mut(PAGE).zip(data.chunks(PAGE)).step_by(2) {
                    to.copy_from_slice(from);
                }
                content
            }
            Self::Kept => data.to_vec(),
        }
    }
}

/// A file in an image: what was written, and what of it is durable.
#[derive(Clone, Debug)]
struct Content {
    data: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
}

/// Folders and files, by their paths.
#[derive(Clone, Debug)]
pub struct Image {
    kept: BTreeSet<usize>,
    unsynced: Unsynced,
    files: BTreeMap<PathBuf, Option<Content>>,
}

impl Image {
    /// What is there if of the unsynced changes of folders those of `kept` are; and a number for it, and whether any file has
    /// unsynced bytes.
    fn of(disk: &Disk, kept: &BTreeSet<usize>) -> (Self, u64, bool) {
        let mut folders: Vec<BTreeMap<&str, usize>> = Vec::with_capacity(disk.nodes.len());
        for node in &disk.nodes {
            let mut found = BTreeMap::new();
            if let Node::Folder { durable, changes, .. } = node {
                found.extend(durable.iter().map(|(name, node)| (name.as_str(), *node)));
                for change in changes.iter().filter(|change| kept.contains(&change.number) && change.moved_to.is_none())
                {
                    match change.to {
                        Some(node) => found.insert(&change.name, node),
                        None => found.remove(&*change.name),
                    };
                }
            }
            folders.push(found);
        }
        for (number, node) in disk.nodes.iter().enumerate() {
            let Node::Folder { changes, .. } = node else { continue };
            for change in changes.iter().filter(|change| kept.contains(&change.number)) {
                let Some((folder, name)) = &change.moved_to else { continue };
                if folders[*folder].get(&**name) == folders[number].get(&*change.name) {
                    folders[number].remove(&*change.name);
                }
            }
        }
        let (mut files, mut any, mut hasher) = (BTreeMap::new(), false, DefaultHasher::new());
        let mut left = vec![(PathBuf::new(), 0)];
        while let Some((path, number)) = left.pop() {
            match &disk.nodes[number] {
                Node::Folder { .. } => {
                    left.extend(folders[number].iter().map(|(name, node)| (path.join(name), *node)));
                    path.hash(&mut hasher);
                    files.insert(path, None);
                }
                Node::File { data, durable, changed, .. } => {
                    any |= data != durable;
                    (&path, number, changed).hash(&mut hasher);
                    files.insert(path, Some(Content { data: data.clone(), durable: durable.clone() }));
                }
            }
        }
        (Self { kept: kept.clone(), unsynced: Unsynced::Kept, files }, hasher.finish(), any)
    }

    /// Writes it to an empty folder.
    pub fn write(&self, folder: &Path) {
        for (path, content) in &self.files {
            let path = folder.join(path);
            match content {
                None => std::fs::create_dir_all(path).expect("make a folder"),
                Some(Content { data, durable }) if data == durable => {
                    std::fs::write(path, &**data).expect("write a file");
                }
                Some(Content { data, durable }) => {
                    std::fs::write(path, self.unsynced.of(durable, data)).expect("write a file");
                }
            }
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsynced changes of folders: {:?} kept; unsynced bytes: {:?}", self.kept, self.unsynced)
    }
}

/// Small pseudo-random numbers that are the same each time.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// SplitMix64.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Images of which each has not been seen before.
#[derive(Default)]
pub struct Images {
    seen: HashSet<u64>,
}

/// So many unsynced changes are tried in all their combinations.
const COMBINED: usize = 4;
/// So many of the newest are tried each alone, and all without each.
const ALONE: usize = 10;
/// So many combinations of more are tried besides.
const SAMPLED: usize = 6;

impl Images {
    /// What there may be on `disk` if the power fails now, without what was there before.
    pub fn of(&mut self, disk: &Disk, dice: &mut Dice) -> Vec<Image> {
        let unsynced = disk.unsynced();
        let all: BTreeSet<usize> = unsynced.iter().copied().collect();
        let mut kept: Vec<BTreeSet<usize>> = vec![BTreeSet::new(), all.clone()];
        if unsynced.len() <= COMBINED {
            let subset =
                |bits: usize| (0..unsynced.len()).filter(|at| bits >> at & 1 == 1).map(|at| unsynced[at]).collect();
            kept.extend((1..1 << unsynced.len()).map(subset));
        } else {
            for number in unsynced.iter().rev().take(ALONE) {
                kept.push([*number].into());
                kept.push(all.iter().copied().filter(|other| other != number).collect());
            }
            for _ in 0..SAMPLED {
                kept.push(all.iter().copied().filter(|_| dice.roll(2) == 0).collect());
            }
        }
        let mut images = Vec::new();
        for kept in kept {
            let (image, number, any) = Image::of(disk, &kept);
            if self.seen.insert(number) {
                let variants: &[Unsynced] = if any { &Unsynced::ALL } else { &[Unsynced::Kept] };
                images.extend(variants.iter().map(|unsynced| Image { unsynced: *unsynced, ..image.clone() }));
            }
        }
        images
    }
}

#[test]
fn unsynced_bytes_are_lost_torn_and_zero() {
    let data: Vec<u8> = (0..10_000).map(|at| (at % 250 + 1) as u8).collect();
    let durable = &data[..100];
    let lengths = Unsynced::ALL.map(|unsynced| unsynced.of(durable, &data).len());
    assert_eq!(lengths, [100, 5050, 8192, 10_000, 10_000, 10_000]);
    let zeros = Unsynced::Zeros.of(durable, &data);
    assert!(zeros[..100] == *durable && zeros[100..].iter().all(|byte| *byte == 0));
    let holes = Unsynced::Holes.of(durable, &data);
    assert!(holes[..PAGE] == data[..PAGE] && holes[PAGE..2 * PAGE].iter().all(|byte| *byte == 0));
    assert!(holes[2 * PAGE..] == data[2 * PAGE..]);
}
