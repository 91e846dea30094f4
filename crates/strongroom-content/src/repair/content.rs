//! Mending content that versions on record need.

use std::collections::HashSet;

use strongroom_storage::{ErrorKind, Result};

use super::{Repair, RepairReport};
use crate::content::Content;
use crate::names::LogName;
use crate::run::{Cursor, Merge};
use crate::verify::{ContentHealth, print_of};
use crate::writer::ContentWriter;

impl Repair<'_> {
    /// Stores anew what is lost or damaged and can be read anywhere.
    pub(super) async fn mend_content(&self, health: &ContentHealth, report: &mut RepairReport) -> Result<()> {
        let broken = self.broken(health).await?;
        if broken.is_empty() {
            return Ok(());
        }
        let mut sources = vec![self.store.clone()];
        if let Some(from) = self.from {
            from.catalog.learn().await?;
            sources.push(from.clone());
        }
        // Begun now, it has read the list of what is damaged.
        let session = self.store.sessions.begin().await?;
        let mended = async {
            let mut writer = ContentWriter::new(self.store.clone(), session.clone());
            for content in &broken {
                match writer.mend(content, &sources, &mut report.bytes_read).await? {
                    true => report.mended += 1,
                    false => report.unmended += 1,
                }
            }
            writer.finish().await
        };
        let mended = self.store.packer.driving(Box::pin(mended)).await;
        // A hint that could not be written costs a later reader a little time.
        self.store.catalog.cover(&session).await.unwrap_or_default();
        // Whether it stood until now does not matter: what was stored is needed by names that stand already, and no collector
        // takes that away without a copy.
        self.store.sessions.end(&session).await;
        mended
    }

    /// The content that is lost or damaged of all versions on record, as far as they can be read. Each object once.
    async fn broken(&self, health: &ContentHealth) -> Result<Vec<Content>> {
        let mut damage = Vec::new();
        let namespaces = self.store.namespaces_despite("", &mut damage).await?;
        let (mut seen, mut broken) = (HashSet::new(), Vec::new());
        for (namespace, _) in namespaces {
            let log = LogName::Namespace(namespace);
            for version in self.store.names.versions(&log).await? {
                match self.broken_in(&log, version, health, &mut seen, &mut broken).await {
                    // Runs that can't be read are in the report.
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => {}
                    done => done?,
                }
            }
        }
        Ok(broken)
    }

    async fn broken_in(
        &self,
        log: &LogName,
        version: u64,
        health: &ContentHealth,
        seen: &mut HashSet<[u8; 16]>,
        broken: &mut Vec<Content>,
    ) -> Result<()> {
        let Some(run) = self.store.names.run(log, version).await? else { return Ok(()) };
        let mut entries = Merge::new(vec![Cursor::seek(run, "").await?]);
        while let Some(entry) = entries.next().await? {
            let Some(object) = entry.object else { continue };
            if !seen.insert(print_of(&object.content)) {
                continue;
            }
            let content = object.content;
            let is_sound = self.store.check_content(&content, health).await?.is_empty()
                && self.store.check_cells(&content, health).await?.is_none();
            if !is_sound {
                broken.push(content);
            }
        }
        Ok(())
    }
}
