//! Many objects at once: found with one look at each namespace, read in the order in which they lie.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use strongroom_storage::{ByteRange, Location, Result};

use crate::chunk::Chunk;
use crate::codec::Decoded;
use crate::content::Body;
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::read::{Wanted, neighbours};
use crate::run::EntryRef;
use crate::store::ContentStorage;

/// How many batches are read and verified at once.
const READS_AT_ONCE: usize = 4;
/// How much is fetched by one request, in bytes. Who keeps one object keeps all of it in memory.
const FETCH_BYTES: u64 = 1 << 20;
/// Groups of so many bytes together are verified together, on another thread while the next ones are read.
const VERIFIED_BYTES: u64 = 256 << 10;
/// Two objects with no more than this between them are fetched together, in bytes.
const GAP_BYTES: u64 = 16 << 10;

impl ContentStorage {
    /// The objects at `locations`, in their order; `None` where there is none. Each namespace is looked at once.
    ///
    /// # Errors
    /// Those of the backend; [`Corrupt`](strongroom_storage::ErrorKind::Corrupt) if a history is damaged.
    pub async fn find_all(&self, locations: &[Location]) -> Result<Vec<Option<ObjectRef>>> {
        let mut found: Vec<Option<ObjectRef>> = Vec::new();
        found.resize_with(locations.len(), || None);
        let mut each = |at: usize, entry: EntryRef<'_>| {
            found[at] = ObjectRef::named(self.inner.clone(), locations[at].clone(), entry.decode()?);
            Ok(())
        };
        self.look_up(locations, &mut each).await?;
        Ok(found)
    }

    /// Whether there are objects at `locations`, in their order. Each namespace is looked at once.
    ///
    /// # Errors
    /// As for [`find_all`](Self::find_all).
    pub async fn exists_all(&self, locations: &[Location]) -> Result<Vec<bool>> {
        let mut found = vec![false; locations.len()];
        let mut each = |at: usize, _: EntryRef<'_>| {
            found[at] = true;
            Ok(())
        };
        self.look_up(locations, &mut each).await?;
        Ok(found)
    }

    /// Gives `each` the entries of the objects that there are at `locations`, in any order.
    async fn look_up(
        &self,
        locations: &[Location],
        each: &mut (dyn FnMut(usize, EntryRef<'_>) -> Decoded<()> + Send),
    ) -> Result<()> {
        let mut names: Vec<&[u8]> = Vec::with_capacity(locations.len());
        let mut namespaces: HashMap<&str, Vec<usize>> = HashMap::new();
        // Where many are asked for, they are mostly of one namespace.
        let mut last: Option<(&str, Vec<usize>)> = None;
        for (at, location) in locations.iter().enumerate() {
            let (namespace, name) = Namespace::split_text(location);
            names.push(name.as_bytes());
            match &mut last {
                Some((last, positions)) if *last == namespace => positions.push(at),
                _ => {
                    let mut positions = namespaces.remove(namespace).unwrap_or_default();
                    positions.push(at);
                    let before = last.replace((namespace, positions));
                    namespaces.extend(before);
                }
            }
        }
        namespaces.extend(last);
        for (namespace, positions) in namespaces {
            let state = self.inner.names.current_in(namespace).await?;
            state.get_all(&names, positions, &mut |at, entry| entry.map_or(Ok(()), |entry| each(at, entry))).await?;
        }
        Ok(())
    }

    /// The content of `objects`, verified, each with its position among them, in an order that suits the backend: what lies
    /// together is read together.
    ///
    /// One that can't be read is an error of its own; the others come all the same. Each is held in memory as a whole.
    pub fn load_all(&self, objects: Vec<ObjectRef>) -> BoxStream<'static, (usize, Result<Bytes>)> {
        let (mut packed, mut others) = (Vec::new(), Vec::new());
        for (position, object) in objects.into_iter().enumerate() {
            match &object.object.content.body {
                Body::Packed(place) => packed.push((position, object.object.content.as_chunk(*place), object)),
                _ => others.push((position, object)),
            }
        }
        packed.sort_by_key(|(_, chunk, _)| (chunk.place.pack, chunk.place.offset));
        let whole = |chunk: &Chunk| 0..usize::try_from(chunk.size).unwrap_or(usize::MAX);
        let wanted = packed.iter().map(|(_, chunk, _)| (*chunk, whole(chunk))).collect();
        let mut packed = packed.into_iter();
        let batches: Vec<_> = batches(neighbours(wanted, GAP_BYTES, FETCH_BYTES))
            .into_iter()
            .map(|groups| (packed.by_ref().take(groups.iter().map(Vec::len).sum()).collect::<Vec<_>>(), groups))
            .collect();
        let store = self.inner.clone();
        let together = stream::iter(batches)
            .map(move |(objects, groups)| {
                let fetched = store.clone().fetch(groups);
                async move {
                    let named = objects.into_iter().zip(fetched.await).map(|((position, _, object), bytes)| {
                        (position, bytes.map_err(|error| error.in_operation("load", object.location())))
                    });
                    stream::iter(named.collect::<Vec<_>>())
                }
            })
            .buffered(READS_AT_ONCE)
            .flatten();
        let alone = stream::iter(others)
            .then(|(position, object)| async move { (position, object.load_bytes(ByteRange::All).await) });
        together.chain(alone).boxed()
    }
}

/// Groups by how they are verified together.
fn batches(groups: Vec<Vec<Wanted>>) -> Vec<Vec<Vec<Wanted>>> {
    let mut batches = Vec::new();
    let (mut batch, mut size) = (Vec::new(), 0);
    for group in groups {
        size += group.iter().map(|(chunk, _)| u64::from(chunk.size)).sum::<u64>();
        batch.push(group);
        if size >= VERIFIED_BYTES {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
    }
    batches.push(batch);
    batches
}
