//! Entries as a run has them: encoded, in order of their names, each decoded when it is asked for.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::keys::Keys;
use crate::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::entry::Entry;

/// Where in the bytes an entry begins, its name ends, and it ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    name_end: u32,
    end: u32,
}

/// Entries in order of their names.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Bytes,
    spans: Vec<Span>,
    keys: Keys,
}

impl Entries {
    /// Those of a block: in order, and of versions that the run holds.
    pub(super) fn decode(bytes: Bytes, held: &RangeInclusive<u64>) -> Decoded<Self> {
        /// About what an entry has, in bytes.
        const USUAL_BYTES: usize = 100;
        let mut spans = Vec::with_capacity(bytes.len() / USUAL_BYTES + 1);
        let mut input = Decoder::new(&bytes);
        let position = |input: &Decoder<'_>| {
            u32::try_from(bytes.len() - input.len()).map_err(|_| Malformed("a block in it is too large"))
        };
        let mut before = None;
        while !input.is_empty() {
            let start = position(&input)?;
            let name = input.short_text()?;
            if before.is_some_and(|before| before >= name) {
                return Err(Malformed("its entries are not in order"));
            }
            before = Some(name);
            let name_end = position(&input)?;
            if !held.contains(&input.u64()?) {
                return Err(Malformed("an entry in it is of a version that it does not hold"));
            }
            Entry::skip_rest(&mut input)?;
            spans.push(Span { start, name_end, end: position(&input)? });
        }
        let keys = Keys::of(spans.iter().map(|span| name(&bytes, *span)));
        Ok(Self { bytes, spans, keys })
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// How many of them are of removed names.
    pub(crate) fn removed(&self) -> usize {
        (0..self.len()).filter_map(|at| self.get(at)).filter(|entry| !entry.is_object()).count()
    }

    /// Their names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| name(&self.bytes, *span))
    }

    /// The entry at this position.
    pub(super) fn get(&self, at: usize) -> Option<EntryRef<'_>> {
        let span = *self.spans.get(at)?;
        let bytes = &self.bytes[span.start as usize..span.end as usize];
        Some(EntryRef { bytes, name_end: (span.name_end - span.start) as usize })
    }

    /// The entry of this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<EntryRef<'_>> {
        self.get(self.count_before(name)).filter(|entry| entry.name() == name)
    }

    /// How many have names less than this one.
    pub(super) fn count_before(&self, name: &[u8]) -> usize {
        self.keys.count_before(name, false, |at| self::name(&self.bytes, self.spans[at]))
    }

    /// The same in memory of their own, so that what they were read with can go.
    pub(super) fn detached(self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self }
    }

    /// The memory that they take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.spans.len() * (size_of::<Span>() + Keys::BYTES)
    }
}

fn name(bytes: &[u8], span: Span) -> &[u8] {
    &bytes[span.start as usize + 2..span.name_end as usize]
}

/// An entry among [`Entries`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRef<'a> {
    bytes: &'a [u8],
    name_end: usize,
}

impl<'a> EntryRef<'a> {
    /// Its name, which is UTF-8.
    pub(crate) fn name(self) -> &'a [u8] {
        &self.bytes[2..self.name_end]
    }

    /// The version that set or removed it.
    pub(crate) fn version(self) -> u64 {
        self.bytes[self.name_end..].first_chunk().map_or(0, |version| u64::from_le_bytes(*version))
    }

    /// Whether there is an object under the name; else it was removed.
    pub(crate) fn is_object(self) -> bool {
        self.bytes.get(self.name_end + 16).is_some_and(|kind| *kind != 0)
    }

    /// All of it, as it stands there.
    pub(super) fn encoded(self) -> &'a [u8] {
        self.bytes
    }

    /// All of it.
    ///
    /// # Errors
    /// If it is not what an entry can be.
    pub(crate) fn decode(self) -> Decoded<Entry> {
        Entry::decode(&mut Decoder::new(self.bytes))
    }
}

/// The entries of a commit, in any order until it is complete.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    full: Vec<Vec<u8>>,
    open: Encoder,
    /// In which of the buffers, and where there.
    spans: Vec<(u32, Span)>,
}

/// A buffer of drafts with so many bytes is full; the positions in it have 32 bits. Tests have several.
const BUFFER_BYTES: usize = if cfg!(test) { 4 << 10 } else { 1 << 30 };

impl Drafts {
    /// Adds the entry of a name that has none yet.
    pub(crate) fn push(&mut self, entry: &Entry) {
        if self.open.len() >= BUFFER_BYTES {
            self.full.push(std::mem::take(&mut self.open).finish());
        }
        let position =
            |out: &Encoder| u32::try_from(out.len()).expect("a buffer is closed long before, and an entry has a bound");
        let start = position(&self.open);
        let name_end = start + 2 + u32::try_from(entry.name.len()).expect("a name has a bound");
        entry.encode(&mut self.open);
        let buffer = u32::try_from(self.full.len()).expect("as many buffers do not fit memory");
        self.spans.push((buffer, Span { start, name_end, end: position(&self.open) }));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Leaves out all but the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.spans.truncate(count);
    }

    /// All, in order within each buffer.
    pub(crate) fn finish(self) -> Vec<Entries> {
        let mut buffers: Vec<Entries> = self
            .full
            .into_iter()
            .chain([self.open.finish()])
            .map(|bytes| Entries { bytes: bytes.into(), ..Entries::default() })
            .collect();
        for (buffer, span) in self.spans {
            buffers[buffer as usize].spans.push(span);
        }
        for Entries { bytes, spans, .. } in &mut buffers {
            spans.sort_unstable_by(|a, b| name(bytes, *a).cmp(name(bytes, *b)));
        }
        buffers
    }
}
