//! Copying packs and whole files under their own names.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, Error, ErrorKind, Location, Result, Source};

use super::{Mirror, MirrorReport, note};
use crate::grid::GridHasher;
use crate::paths;
use crate::verify::sound_pack;

impl Mirror<'_> {
    /// Copies the packs and files that are not here.
    pub(super) async fn copy_content(&self, report: &mut MirrorReport) -> Result<()> {
        let mut known: HashSet<Location> = HashSet::new();
        for prefix in [paths::PACKS, paths::FILES] {
            let here: Vec<Location> = self.to.backend.iter_contents(prefix).try_collect().await?;
            known.extend(here);
        }
        // A collector may move content while it is listed: what it has moved is there by the next time.
        loop {
            let mut new = Vec::new();
            for prefix in [paths::PACKS, paths::FILES] {
                let there: Vec<Location> = self.from.backend.iter_contents(prefix).try_collect().await?;
                let is_content =
                    |file: &Location| paths::pack_of(file).is_some() || paths::whole_file_of(file).is_some();
                new.extend(there.into_iter().filter(|file| is_content(file) && !known.contains(file)));
            }
            if new.is_empty() {
                return Ok(());
            }
            for file in new {
                self.copy_file(&file, report).await?;
                known.insert(file);
                self.tell(report);
            }
        }
    }

    async fn copy_file(&self, file: &Location, report: &mut MirrorReport) -> Result<()> {
        if self.options.dry_run {
            report.content.push(file.clone());
            return Ok(());
        }
        let copied = match (paths::pack_of(file), paths::whole_file_of(file)) {
            (Some(pack), _) => match sound_pack(self.from, pack).await {
                Ok(bytes) => {
                    let size = bytes.len() as u64;
                    self.store(file, Source::Bytes(bytes)).await.map(|()| size)
                }
                Err(error) => Err(error),
            },
            (None, Some((digest, _))) => self.copy_whole_file(file, digest).await,
            (None, None) => return Ok(()),
        };
        match copied {
            Ok(bytes) => {
                report.bytes += bytes;
                report.content.push(file.clone());
                Ok(())
            }
            // A collector has taken it away.
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => note(report, file, error),
        }
    }

    /// Copies a file; its end is held back until its content is known to be what its name says.
    async fn copy_whole_file(&self, file: &Location, digest: Digest) -> Result<u64> {
        let size = self.from.backend.metadata(file).await?.size;
        let stream = self.from.backend.load_stream(file).await?;
        let subject = file.clone();
        let checked = stream::try_unfold((stream, Some(GridHasher::new())), move |(mut stream, hasher)| {
            let subject = subject.clone();
            async move {
                let Some(mut hasher) = hasher else { return Ok(None) };
                match stream.try_next().await? {
                    Some(bytes) => {
                        hasher.update(&bytes);
                        Ok(Some((bytes, (stream, Some(hasher)))))
                    }
                    None if hasher.finish().0 == digest => Ok(None),
                    None => {
                        Err(Error::new(ErrorKind::Corrupt, "read", subject, "its content is not what its name says"))
                    }
                }
            }
        });
        self.store(file, Source::stream(checked.boxed())).await.map(|()| size)
    }

    async fn store(&self, file: &Location, source: Source) -> Result<()> {
        match self.to.backend.store(file, source, &paths::once()).await {
            // Somebody else mirrors too.
            Err(error) if error.is_already_exists() => Ok(()),
            stored => stored.map(drop),
        }
    }
}
