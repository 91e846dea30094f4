//! The operations of a batch, each with its source read and hashed where it is small: the next ones while those before them
//! are placed.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use strongroom_storage::{Location, Result, Source};

use super::{Operation, PutOptions};
use crate::names::Expected;
use crate::object::ObjectRef;
use crate::store::Inner;
use crate::writer::{Prepared, SMALL_MAX_BYTES, Wanted};

/// How many operations are prepared by one thread, at most.
const GROUP_MAX: usize = 256;
/// How much content, at most, as far as is known beforehand.
const GROUP_BYTES: usize = 1 << 20;
/// What is reckoned for content whose size is not known yet, in bytes.
const PATH_BYTES: usize = 64 << 10;
const STREAM_BYTES: usize = 256 << 10;
/// How many groups are prepared at once: so many that there is work for all processors also while one waits for a pack.
const GROUPS_AT_ONCE: usize = 8;

/// An operation that is ready to be done.
pub(super) enum Step {
    Put(Result<Prepared>, PutOptions),
    Link(ObjectRef, Expected),
    Remove(Expected),
    Refused(&'static str),
}

/// The steps of `operations`, in their order, so many together as are prepared together.
pub(super) fn steps(
    store: &Arc<Inner>,
    operations: Vec<(Location, Operation)>,
) -> impl Stream<Item = Result<Vec<(Location, Step)>>> + use<> {
    let store = store.clone();
    stream::iter(groups(operations)).map(move |group| prepare(store.clone(), group)).buffered(GROUPS_AT_ONCE)
}

fn groups(operations: Vec<(Location, Operation)>) -> Vec<Vec<(Location, Operation)>> {
    let mut groups = Vec::with_capacity(operations.len() / GROUP_MAX + 1);
    let mut group = Vec::new();
    let mut bytes = 0;
    for (location, operation) in operations {
        bytes += match &operation {
            Operation::Put(source, _) => reckoned_bytes(source),
            _ => 0,
        };
        group.push((location, operation));
        if group.len() >= GROUP_MAX || bytes >= GROUP_BYTES {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
    }
    groups.push(group);
    groups
}

/// How much of this content will be in memory.
fn reckoned_bytes(source: &Source) -> usize {
    match source {
        Source::Bytes(content) => content.len(),
        Source::Path(path) => path.expected.as_ref().map_or(PATH_BYTES, |file| {
            // What is large is read when it is placed.
            usize::try_from(file.size()).ok().filter(|size| *size <= SMALL_MAX_BYTES).unwrap_or_default()
        }),
        _ => STREAM_BYTES,
    }
}

async fn prepare(store: Arc<Inner>, group: Vec<(Location, Operation)>) -> Result<Vec<(Location, Step)>> {
    let digests = store.descriptor.digests();
    let mut wanted = Vec::with_capacity(group.len());
    let mut others = Vec::with_capacity(group.len());
    for (location, operation) in group {
        others.push((
            location,
            match operation {
                Operation::Put(source, options) => {
                    let digests = digests.union(options.digests);
                    wanted.push(Wanted { source, layout: options.layout, digests });
                    Err(options)
                }
                Operation::Link(object, expected) => Ok(Step::Link(object, expected)),
                Operation::Remove(expected) => Ok(Step::Remove(expected)),
                Operation::Refused(why) => Ok(Step::Refused(why)),
            },
        ));
    }
    let mut prepared = store.prepare(wanted).await?.into_iter();
    let steps = others.into_iter().filter_map(|(location, step)| {
        let step = match step {
            Ok(step) => step,
            Err(options) => Step::Put(prepared.next()?, options),
        };
        Some((location, step))
    });
    Ok(steps.collect())
}
