//! Rebuilding: names for content that nothing names any more, where `names/` is lost and packs and files are left.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use strongroom_storage::{Digest, ErrorKind, Location, Result, StoreMode};

use crate::batch::Progress;
use crate::chunk::Chunk;
use crate::entry::{Attributes, Object};
use crate::names::LogName;
use crate::object::ObjectRef;
use crate::record::Kind;
use crate::run::{Cursor, Merge};
use crate::store::{ContentStorage, Inner};
use crate::verify::{ContentHealth, Problem, VerifyOptions, VerifyReport};

/// The namespace in which content without a name gets one.
const LOST_AND_FOUND: &str = "lost+found";

/// What to rebuild.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RebuildOptions {
    /// Only find out what would be named; nothing is written.
    pub dry_run: bool,
    /// Called after each pack and file with how many there were and how many bytes were read.
    pub progress: Option<Progress>,
}

impl RebuildOptions {
    /// The same, only finding out or not.
    #[must_use]
    pub fn with_dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

impl fmt::Debug for RebuildOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RebuildOptions").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

/// What a rebuild did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildReport {
    /// The names that content was given, or would be: `lost+found/<digest>`, in order.
    pub named: Vec<Location>,
    /// What is lost or damaged of packs and files.
    pub problems: Vec<Problem>,
}

impl ContentStorage {
    /// Names all content that no version on record names: `lost+found/` and its digest. That are objects in chunks, whole files, and
    /// chunks that belong to no object. It is one commit; what was named before, it leaves as it is.
    ///
    /// It is for a store of which only packs and files are left; [`create`](Self::create) makes one of these again, with whatever
    /// configuration it is given. Names, attributes and objects of up to 256 bytes were in `names/` only. Of a store that has its
    /// names, it names what a collector would delete. All content is read; what is damaged gets no name.
    ///
    /// # Errors
    /// Those of the backend. Damage is in the report, and is no error.
    pub async fn rebuild(&self, options: RebuildOptions) -> Result<RebuildReport> {
        let store = &self.inner;
        let mut checked = VerifyReport::default();
        let mut verify = VerifyOptions::default().with_data(true);
        verify.progress.clone_from(&options.progress);
        let health = ContentHealth::of(store, &verify, &mut checked).await?;
        let named = store.named_digests().await?;
        let mut batch = self.batch().with_operation("rebuild").with_message("rebuild: content without a name");
        let mut report = RebuildReport { problems: checked.problems, ..RebuildReport::default() };
        for digest in store.objects_in_packs_and_files(&health).await?.difference(&named) {
            let Some(content) = store.content_of(digest).await? else { continue };
            let location = Location::parse(&format!("{LOST_AND_FOUND}/{digest}"))?;
            let object = Object { content, attributes: Attributes::default() };
            batch.link(
                location.clone(),
                ObjectRef::unnamed(store.clone(), location.clone(), object),
                StoreMode::Overwrite,
            );
            report.named.push(location);
        }
        if !options.dry_run {
            batch.commit().await?;
        }
        Ok(report)
    }
}

impl Inner {
    /// The digests of what all versions on record name, as far as they can be read.
    async fn named_digests(&self) -> Result<BTreeSet<Digest>> {
        let (mut damage, mut named) = (Vec::new(), BTreeSet::new());
        for (namespace, _) in self.namespaces_despite("", &mut damage).await? {
            let log = LogName::Namespace(namespace);
            for version in self.names.versions(&log).await? {
                match self.digests_of_version(&log, version, &mut named).await {
                    // What a run says that can't be read is named by nothing.
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => {}
                    read => read?,
                }
            }
        }
        Ok(named)
    }

    async fn digests_of_version(&self, log: &LogName, version: u64, named: &mut BTreeSet<Digest>) -> Result<()> {
        let Some(run) = self.names.run(log, version).await? else { return Ok(()) };
        let mut entries = Merge::new(vec![Cursor::seek(run, "").await?]);
        while let Some(entry) = entries.next().await? {
            named.extend(entry.object.map(|object| object.content.digest));
        }
        Ok(())
    }

    /// The digests of all objects that are sound: with a list whose chunks are, as a file, or as a chunk that is in no list.
    async fn objects_in_packs_and_files(&self, health: &ContentHealth) -> Result<BTreeSet<Digest>> {
        let (mut chunks, mut lists) = (HashSet::new(), HashSet::new());
        for (_, kind, digest) in health.sound_items() {
            match kind {
                Kind::Chunk => drop(chunks.insert(*digest)),
                Kind::ChunkList => drop(lists.insert(*digest)),
                Kind::CellList => {}
            }
        }
        let mut parts: HashSet<Digest> = HashSet::new();
        let mut objects: BTreeSet<Digest> = health.sound_files().map(|(digest, _)| *digest).collect();
        for object in lists {
            for found in self.catalog.find(Kind::ChunkList, &object).await? {
                let Ok(list) = self.read_list_at::<Chunk>(&object, &found.place, found.size).await else { continue };
                parts.extend(list.iter().map(|chunk| chunk.digest));
                if list.iter().all(|chunk| chunks.contains(&chunk.digest)) {
                    objects.insert(object);
                }
            }
        }
        objects.extend(chunks.into_iter().filter(|chunk| !parts.contains(chunk)));
        Ok(objects)
    }
}
