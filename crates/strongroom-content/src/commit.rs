//! Commits beside collectors: published, then looked whether the session stood until then, and if not, made again.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_storage::{Error, ErrorKind, Result};

use crate::mutation::{self, Mutation};
use crate::names::{Action, Arriving, Change, CommitInfo, Expected, LogName, Published, Request};
use crate::nonce::Nonce;
use crate::session::{Membership, Session};
use crate::store::Inner;
use crate::writer::ContentWriter;

/// What a commit needs besides its own run: it was made sure of within one session, and is again in each that follows.
#[derive(Clone)]
pub(crate) struct Reliance {
    session: Arc<Session>,
    /// Content that may not be durable yet.
    arriving: Option<Arriving>,
    /// A version that is to be kept.
    kept: Option<(LogName, u64)>,
}

impl Reliance {
    /// On the content of what is put.
    pub(crate) fn on_content(session: &Arc<Session>) -> Self {
        Self { session: session.clone(), arriving: None, kept: None }
    }

    /// And on content that is on its way: nothing is published before it is durable.
    pub(crate) fn with_arriving(self, arriving: Arriving) -> Self {
        Self { arriving: Some(arriving), ..self }
    }

    /// Whether there is anything that a collector could take away.
    fn is_on_anything(&self, changes: &[Change]) -> bool {
        self.kept.is_some() || changes.iter().any(|change| matches!(change.action, Action::Put(_)))
    }

    /// On all of a version.
    pub(crate) fn on_version(session: &Arc<Session>, log: LogName, version: u64) -> Self {
        Self { session: session.clone(), arriving: None, kept: Some((log, version)) }
    }
}

/// The versions that a commit has published, and what their runs have as the commit.
type Own = BTreeMap<u64, Nonce>;

impl Inner {
    /// Publishes `changes`, and makes sure that the session of `membership` stood until then.
    ///
    /// A session that a collector ended meanwhile is followed by another, in which everything relied on is checked and the
    /// commit is made again. Where that fails, nobody knows whether what it published is of any use, and the error says so.
    pub(crate) async fn commit<'a>(
        self: &'a Arc<Self>,
        membership: &mut Membership<'a>,
        mut reliance: Reliance,
        log: &LogName,
        changes: Vec<Change>,
        info: &CommitInfo,
    ) -> Result<Published> {
        let mut own = Own::new();
        let mut changes = Arc::new(changes);
        loop {
            let session = membership.session().clone();
            if !Arc::ptr_eq(&session, &reliance.session) {
                self.leave_late_versions(log, info, &session, &mut own).await.map_err(Error::with_outcome_unknown)?;
                match self.rely_anew(&session, Arc::<Vec<Change>>::make_mut(&mut changes), &reliance).await {
                    Ok(()) => reliance.session = session.clone(),
                    Err(error) if own.is_empty() => return Err(error),
                    Err(error) => return Err(dangling(log, info, error)),
                }
            }
            if mutation::is(Mutation::CheckBeforePublishing) && !session.stands().await? {
                *membership = self.sessions.join_after(&session).await?;
                continue;
            }
            let arriving = &reliance.arriving;
            let request =
                |changes| Request { changes, info: info.clone(), since: session.epoch, arriving: arriving.clone() };
            let published = if own.is_empty() {
                self.queue.publish(log, request(changes.clone())).await?
            } else {
                let again = request(Arc::new(again(&changes, &own)));
                self.queue.publish(log, again).await.map_err(Error::with_outcome_unknown)?
            };
            own.extend(published.made.then_some((published.version, published.commit)));
            // Made again, it may come to nothing: what a later commit has replaced is left alone.
            let acknowledged = match own.last_key_value() {
                Some((version, commit)) => Published { version: *version, made: true, commit: *commit },
                // All of it stands there already. That says nothing of its content: who put it there may have stalled, and a collector
                // not have seen it.
                None => published,
            };
            let is_bound = reliance.is_on_anything(&changes) && !mutation::is(Mutation::NothingUnchecked);
            if own.is_empty() && !is_bound {
                return Ok(acknowledged);
            }
            if mutation::is(Mutation::CheckBeforePublishing) {
                return Ok(acknowledged);
            }
            if mutation::is(Mutation::GroupOnOneSession)
                && let Some(newest) = self.sessions.newest().await
                && newest.stands().await?
            {
                return Ok(acknowledged);
            }
            let unsure = |error: Error| if own.is_empty() { error } else { error.with_outcome_unknown() };
            if session.stands().await.map_err(unsure)? {
                return Ok(acknowledged);
            }
            *membership = self.sessions.join_after(&session).await.map_err(unsure)?;
        }
    }

    /// Takes out of `own` what is no part of the history: published when the session was over, after that version had been collected.
    ///
    /// # Errors
    /// `Unavailable` if that can't be known any more.
    async fn leave_late_versions(
        &self,
        log: &LogName,
        info: &CommitInfo,
        session: &Session,
        own: &mut Own,
    ) -> Result<()> {
        if mutation::is(Mutation::LateVersionCounted) {
            return Ok(());
        }
        for (version, commit) in own.clone() {
            match self.names.is_part(log, version, &commit, session.epoch).await? {
                Some(true) => {}
                Some(false) => {
                    own.remove(&version);
                }
                None => {
                    let detail = format!(
                        "the writer stalled for so long that nobody can tell any more whether version {version} is its own; look what is \
                         there, and store it again if that is not what you stored"
                    );
                    return Err(Error::new(ErrorKind::Unavailable, info.operation, log, detail));
                }
            }
        }
        Ok(())
    }

    /// Makes sure in a new session of what was relied on in an earlier one.
    async fn rely_anew(
        self: &Arc<Self>,
        session: &Arc<Session>,
        changes: &mut [Change],
        reliance: &Reliance,
    ) -> Result<()> {
        if let Some((log, version)) = &reliance.kept {
            self.secure_version(session, log, *version).await?;
        }
        self.secure_puts(session, changes).await
    }

    /// Makes sure in a session of the content of all that `changes` put.
    pub(crate) async fn secure_puts(self: &Arc<Self>, session: &Arc<Session>, changes: &mut [Change]) -> Result<()> {
        let mut writer = ContentWriter::new(self.clone(), session.clone());
        let secured = async {
            for change in changes {
                if let Action::Put(object) = &mut change.action {
                    object.content = writer.secure(&object.content).await?;
                }
            }
            writer.finish().await
        };
        self.packer.driving(Box::pin(secured)).await
    }
}

/// What is said of a commit that stands and can't be made sure of any more.
///
/// It is not taken back: somebody else may have stored the same under the same name since, and been told that it stands there already.
fn dangling(log: &LogName, info: &CommitInfo, cause: Error) -> Error {
    let (lost, remedy) = match (matches!(cause.kind(), ErrorKind::Corrupt | ErrorKind::Missing), log) {
        (false, _) => ("could not be made sure of", "do it again"),
        (true, LogName::Namespace(_)) => (
            "is not there any more",
            "store it again, or `strongroom repair --drop-lost` gives the names back what they had before",
        ),
        (true, LogName::Tags) => ("is not there any more", "delete the tag, which stands for nothing"),
    };
    let detail = format!(
        "the writer stalled for longer than the store's lease; the commit may stand, and what it relied on {lost}; {remedy}"
    );
    Error::new(ErrorKind::Unavailable, info.operation, log, detail).with_source(cause).with_outcome_unknown()
}

/// What a commit does when it is made again: what it put and nobody replaced or removed since, it puts again.
fn again(changes: &[Change], own: &Own) -> Vec<Change> {
    let puts = changes.iter().filter(|change| matches!(change.action, Action::Put(_)));
    puts.map(|change| Change { expected: put_by(own), ..change.clone() }).collect()
}

fn put_by(own: &Own) -> Expected {
    Expected::PutByOrPass(Arc::new(own.keys().copied().collect()))
}
