//! Waiting for the writers that may not have read a list.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_storage::{ByteRange, Location, Result};

use super::{CollectReport, CollectStep, Collection};
use crate::mutation::{self, Mutation};
use crate::nonce::Nonce;
use crate::paths;

/// How long it is waited between two looks, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was last heard of a session, and since when nothing else was, by the collector's own clock.
struct Heard {
    beat: Option<Bytes>,
    since: Duration,
}

impl Collection<'_> {
    /// Waits until every session is over that stands now. Those that give no sign of life for the lease are ended; offline, all are.
    pub(super) async fn wait(&self, report: &mut CollectReport) -> Result<()> {
        let (host, lease) = (&self.store.host, self.store.descriptor.lease());
        let mut older = self.standing_sessions().await?;
        let mut heard: HashMap<Nonce, Heard> = HashMap::new();
        while !older.is_empty() {
            self.options.tell(CollectStep::Waiting { sessions: older.len() as u64 });
            for session in &older {
                let beat = self.beat(session).await?;
                let now = host.monotonic();
                let known = heard.entry(*session).or_insert_with(|| Heard { beat: beat.clone(), since: now });
                if known.beat != beat {
                    *known = Heard { beat, since: now };
                }
                if self.options.offline || now.saturating_sub(known.since) > lease {
                    let ended = paths::session(session, paths::ENDED)?;
                    if mutation::is(Mutation::EndsByDeleting) {
                        self.store.backend.delete_all(&[paths::session(session, paths::MARKER)?]).await?;
                        continue;
                    }
                    self.store.backend.store_bytes(&ended, "ended by a collector\n".into()).await?;
                    report.sessions_ended += 1;
                }
            }
            let standing = self.standing_sessions().await?;
            older.retain(|session| standing.contains(session));
            if !older.is_empty() {
                host.sleep(LOOK_EVERY.min(lease / 8)).await;
            }
        }
        Ok(())
    }

    /// The sessions whose marker is there and that nobody has ended.
    async fn standing_sessions(&self) -> Result<BTreeSet<Nonce>> {
        let marks: Vec<Location> = self.store.backend.iter_contents(paths::SESSIONS).try_collect().await?;
        let of = |suffix: &str| -> BTreeSet<Nonce> {
            marks.iter().filter_map(|mark| mark.file_name().strip_suffix(suffix)?.parse().ok()).collect()
        };
        let ended = of(paths::ENDED);
        Ok(of(paths::MARKER).into_iter().filter(|session| !ended.contains(session)).collect())
    }

    async fn beat(&self, session: &Nonce) -> Result<Option<Bytes>> {
        match self.store.backend.load_bytes(&paths::session(session, paths::BEAT)?, ByteRange::All).await {
            Ok(beat) => Ok(Some(beat)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
