//! Commits beside collectors: published, then looked whether the session stood until then, and if not, made again or taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_storage::{Error, ErrorKind, Result};

use crate::mutation::{self, Mutation};
use crate::names::{Action, Arriving, Change, CommitInfo, Expected, LogName, Published, Request};
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

impl Inner {
    /// Publishes `changes`, and makes sure that the session of `membership` stood until then.
    ///
    /// A session that a collector ended meanwhile is followed by another, in which everything relied on is checked and the
    /// commit is made again. Where that fails, the commit is taken back.
    pub(crate) async fn commit<'a>(
        self: &'a Arc<Self>,
        membership: &mut Membership<'a>,
        mut reliance: Reliance,
        log: &LogName,
        changes: Vec<Change>,
        info: &CommitInfo,
    ) -> Result<Published> {
        let mut own = BTreeSet::new();
        let mut changes = Arc::new(changes);
        loop {
            let session = membership.session().clone();
            if !Arc::ptr_eq(&session, &reliance.session) {
                match self.rely_anew(&session, Arc::<Vec<Change>>::make_mut(&mut changes), &reliance).await {
                    Ok(()) => reliance.session = session.clone(),
                    Err(error) if own.is_empty() => return Err(error),
                    Err(error) => return Err(self.take_back(membership, log, &changes, info, &own, error).await),
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
            own.extend(published.made.then_some(published.version));
            // Made again, it may come to nothing: what a later commit has replaced is left alone.
            let acknowledged = match own.last() {
                Some(version) => Published { version: *version, made: true },
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
    async fn secure_puts(self: &Arc<Self>, session: &Arc<Session>, changes: &mut [Change]) -> Result<()> {
        let mut writer = ContentWriter::new(self.clone(), session.clone());
        for change in changes {
            if let Action::Put(object) = &mut change.action {
                object.content = writer.secure(&object.content).await?;
            }
        }
        writer.finish().await
    }

    /// Gives each name what it had before the versions `own` of a commit that can't rely on its content any more. Returns the
    /// error that tells the caller so.
    async fn take_back(
        self: &Arc<Self>,
        membership: &Membership<'_>,
        log: &LogName,
        changes: &[Change],
        info: &CommitInfo,
        own: &BTreeSet<u64>,
        cause: Error,
    ) -> Error {
        let is_tag = log == &LogName::Tags;
        let put_back = self.put_back(membership, log, changes, info, own).await;
        if is_tag && put_back.is_ok() {
            return cause;
        }
        let lost = match cause.kind() {
            ErrorKind::Corrupt | ErrorKind::Missing => "is not there any more",
            _ => "could not be made sure of",
        };
        let stalled = format!("the writer stalled for longer than the store's lease, and what it relied on {lost}");
        let failed = |detail| Error::new(ErrorKind::Unavailable, info.operation, log, detail).with_source(cause);
        match put_back {
            Ok(()) => failed(format!("{stalled}; store it again")),
            Err(_) => failed(format!(
                "{stalled}, and the commit could not be taken back; run `strongroom verify`, then store it again"
            ))
            .with_outcome_unknown(),
        }
    }

    async fn put_back(
        self: &Arc<Self>,
        membership: &Membership<'_>,
        log: &LogName,
        changes: &[Change],
        info: &CommitInfo,
        own: &BTreeSet<u64>,
    ) -> Result<()> {
        let earlier = own.first().map_or(0, |version| version - 1);
        let gone = || Error::missing(info.operation, format!("version {earlier} of {log}"));
        let state = self.names.at(log, earlier).await?.ok_or_else(gone)?;
        let mut back = Vec::with_capacity(changes.len());
        for change in changes {
            let before = state.get(&change.name).await?.and_then(|entry| entry.object);
            let (expected, action) = match (&change.action, before) {
                (Action::Put(_), None) => (put_by(own), Action::Remove),
                (Action::Remove, None) => continue,
                (Action::Put(_), Some(object)) => (put_by(own), Action::Put(object)),
                (Action::Remove, Some(object)) => (Expected::AbsentOrPass, Action::Put(object)),
            };
            back.push(Change { name: change.name.clone(), action, expected });
        }
        self.secure_puts(membership.session(), &mut back).await?;
        let since = membership.session().epoch;
        let request = Request { changes: Arc::new(back), info: info.clone(), since, arriving: None };
        self.queue.publish(log, request).await.map(drop)
    }
}

/// What a commit does when it is made again: what it put and nobody replaced or removed since, it puts again.
fn again(changes: &[Change], own: &BTreeSet<u64>) -> Vec<Change> {
    let puts = changes.iter().filter(|change| matches!(change.action, Action::Put(_)));
    puts.map(|change| Change { expected: put_by(own), ..change.clone() }).collect()
}

fn put_by(versions: &BTreeSet<u64>) -> Expected {
    Expected::PutByOrPass(Arc::new(versions.clone()))
}
