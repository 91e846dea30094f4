//! Many indexes as one: the tails of packs and whole index files, merged as they are read, so that little of them is in memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use strongroom_storage::{Digest, Error, Result, unblock};

use super::index_file::{IndexFile, SPAN_BLOCKS};
use crate::index::{BLOCK_BYTES, Builder, Table};
use crate::nonce::Nonce;
use crate::record::Records;

/// How much of the new file is made at a time, in bytes.
const PIECE_BYTES: usize = SPAN_BLOCKS * BLOCK_BYTES;

/// A merge that is under way.
#[derive(Debug)]
struct Merge {
    inputs: Vec<Input>,
    /// The next record of each input that has one in memory, by its digest.
    next: BinaryHeap<Reverse<([u8; Digest::BYTES], usize)>>,
    /// Inputs of which more must be read first.
    hungry: Vec<usize>,
    builder: Builder,
}

/// One index, in order.
#[derive(Debug)]
struct Input {
    records: Records,
    row: usize,
    /// Which of the new file's packs each of its own is. None: it is gone, or another input has it.
    packs: Vec<Option<u32>>,
    /// Where the records come from, and how many blocks were read.
    file: Option<(Arc<IndexFile>, usize)>,
}

/// The index file for what is in `tables` and `files`, as far as packs are concerned that are there by `is_there`, in pieces.
/// `failed` is told which of the files could not be read.
pub(super) fn merge(
    tables: Vec<Table>,
    files: Vec<Arc<IndexFile>>,
    is_there: impl Fn(&Nonce) -> bool,
    failed: impl Fn(&Arc<IndexFile>, &Error) + Send + Sync + 'static,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let (mut packs, mut taken) = (Vec::new(), HashSet::new());
    let mut number = |pack: &Nonce| {
        let new = (is_there(pack) && taken.insert(*pack)).then(|| u32::try_from(packs.len()).ok()).flatten()?;
        packs.push(*pack);
        Some(new)
    };
    let mut most = 0;
    let mut inputs = Vec::with_capacity(tables.len() + files.len());
    for Table { pack, records } in tables {
        most += records.len();
        inputs.push(Input { records, row: 0, packs: vec![number(&pack)], file: None });
    }
    for file in files {
        most += file.directory.records();
        let packs = file.directory.packs.iter().map(&mut number).collect();
        inputs.push(Input { records: Records::of_bytes(Bytes::new()), row: 0, packs, file: Some((file, 0)) });
    }
    let (next, hungry) = (BinaryHeap::with_capacity(inputs.len()), (0..inputs.len()).collect());
    let merge = Merge { inputs, next, hungry, builder: Builder::new(packs, most) };
    stream::try_unfold((Some(merge), failed), |(merge, failed)| async move {
        let Some(mut merge) = merge else { return Ok(None) };
        if let Err((file, error)) = merge.feed().await {
            failed(&file, &error);
            return Err(error);
        }
        let (piece, merge) = unblock(move || Ok(merge.step())).await?;
        Ok(Some((piece, (merge, failed))))
    })
}

impl Merge {
    /// Reads on in the inputs that need it.
    async fn feed(&mut self) -> Result<(), (Arc<IndexFile>, Error)> {
        for index in std::mem::take(&mut self.hungry) {
            let input = &mut self.inputs[index];
            if let Some((file, read)) = &mut input.file {
                let blocks = *read..file.directory.blocks().min(*read + SPAN_BLOCKS);
                *read = blocks.end;
                (input.records, input.row) = (file.read(blocks).await.map_err(|error| (file.clone(), error))?, 0);
            }
            self.offer(index);
        }
        Ok(())
    }

    /// Puts the next record of an input in its place among those of the others.
    fn offer(&mut self, index: usize) {
        let input = &self.inputs[index];
        match input.records.row(input.row) {
            Some(row) => self.next.push(Reverse((row.digest(), index))),
            None if input.file.as_ref().is_some_and(|(file, read)| *read < file.directory.blocks()) => {
                self.hungry.push(index);
            }
            None => {}
        }
    }

    /// Makes the next piece of the file; the last one if nothing of the merge is left.
    fn step(mut self) -> (Bytes, Option<Self>) {
        while self.hungry.is_empty() && self.builder.ready() < PIECE_BYTES {
            let Some(Reverse((_, index))) = self.next.pop() else { return (self.builder.finish(), None) };
            let input = &mut self.inputs[index];
            if let Some(row) = input.records.row(input.row)
                && let Some(Some(pack)) = usize::try_from(row.pack()).ok().and_then(|pack| input.packs.get(pack))
            {
                self.builder.push(row, *pack);
            }
            input.row += 1;
            self.offer(index);
        }
        (self.builder.take(), Some(self))
    }
}
