//! Sessions: the marks of writers' work in flight, by which collectors know whom to wait for.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Either, select};
use strongroom_storage::{
    Durability, Error, ErrorKind, ExternalStorage, Host, ListOptions, Location, Result, Source, StoreOptions,
};
use tokio::sync::Notify;

use crate::group::Groups;
use crate::list;
use crate::mutation::{self, Mutation};
use crate::nonce::Nonce;
use crate::paths;

/// A busy handle changes to a new session after so long.
const SESSION_MAX: Duration = Duration::from_secs(600);
/// How often a session is begun whose marker's creation was not refused the second time, or whose answer was lost.
const PROBES: usize = 3;

/// How many sessions a handle has begun. By it what was learned within a session is told from what was known before, which no
/// clock can that stands still for a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epoch(Arc<AtomicU64>);

impl Epoch {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// One session, as its writer sees it.
#[derive(Debug)]
pub(crate) struct Session {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    id: Nonce,
    /// When it began, by the monotonic clock.
    began: Duration,
    /// What was learned in this epoch or a later one was learned when its marker stood.
    pub epoch: u64,
    lease: Duration,
    /// What collectors' lists name that stood when it began: locations of this store.
    listed: HashSet<Location>,
    /// Packs and files that were seen within this session, and whether they are what they should be.
    seen: Mutex<HashMap<Location, bool>>,
    /// Whether all whole files were listed within this session.
    knows_files: AtomicBool,
    last_beat: Mutex<Duration>,
    beats: AtomicU64,
    users: AtomicUsize,
    /// What else can go when it ends.
    idle: Mutex<Vec<Location>>,
    looks: Groups<(), Result<bool>>,
}

impl Session {
    /// Creates the marker, makes sure that creating it again is refused, and reads the collectors' lists.
    async fn begin(sessions: &Sessions) -> Result<Self> {
        let Sessions { backend, host, lease, epoch, exclusive, .. } = sessions;
        let mut unconfirmed = None;
        for _ in 0..PROBES {
            let id = Nonce::draw(&**host)?;
            let early =
                if mutation::is(Mutation::MarkerAfterLists) { Some(list::read_all(&**backend).await?) } else { None };
            let marker = paths::session(&id, paths::MARKER)?;
            let began = host.monotonic();
            let is_exclusive = exclusive.load(Ordering::Relaxed);
            let marked = mark(&**backend, &marker, is_exclusive).await?;
            let epoch = epoch.next();
            let failure = match marked {
                Marked::Exclusively => match list::read_all(&**backend).await {
                    Ok(listed) => {
                        exclusive.store(backend.capabilities().is_bucket(), Ordering::Relaxed);
                        let listed =
                            if mutation::is(Mutation::ListsUnread) { HashSet::new() } else { early.unwrap_or(listed) };
                        return Ok(Self {
                            backend: backend.clone(),
                            host: host.clone(),
                            id,
                            began,
                            epoch,
                            lease: *lease,
                            listed,
                            seen: Mutex::default(),
                            knows_files: AtomicBool::new(false),
                            last_beat: Mutex::new(began),
                            beats: AtomicU64::new(0),
                            users: AtomicUsize::new(0),
                            idle: Mutex::default(),
                            looks: Groups::default(),
                        });
                    }
                    Err(error) => Some(error),
                },
                Marked::Overwriting => {
                    unconfirmed = None;
                    None
                }
                Marked::Unconfirmed(error) => {
                    unconfirmed = Some(error);
                    None
                }
            };
            // What stands there now would make collectors wait for nobody.
            backend.delete_all(&[marker]).await.unwrap_or_default();
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Err(unconfirmed.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "begin writing to",
                backend,
                "it accepts the condition that an object be new and then replaces it all the same, so writers could overwrite \
                 each other's commits; use another service, open the store read-only, or if nobody else ever writes to it, as its single \
                 writer (`--single-writer`, or `single_writer=true`)",
            )
        }))
    }

    /// Gives a sign of life if the last one is some time ago.
    pub(crate) async fn beat(&self) -> Result<()> {
        let now = self.host.monotonic();
        {
            let mut last = self.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_sub(*last) < self.lease / 8 {
                return Ok(());
            }
            *last = now;
        }
        let beat = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        let options = StoreOptions::default().with_durability(Durability::Relaxed);
        let source = Source::bytes(format!("{beat}\n"));
        self.backend.store(&paths::session(&self.id, paths::BEAT)?, source, &options).await?;
        Ok(())
    }

    /// Does `work` to its end, and gives signs of life meanwhile when `progress` is told of some.
    pub(crate) async fn beat_during<T>(&self, work: impl Future<Output = T>, progress: &Notify) -> T {
        let mut work = pin!(work);
        loop {
            match select(&mut work, pin!(progress.notified())).await {
                Either::Left((done, _)) => return done,
                // Without it a collector may end the session, which is found out after publishing.
                Either::Right(_) => self.beat().await.unwrap_or_default(),
            }
        }
    }

    /// Whether no collector has ended it. Looked at after this was asked; several who ask at a time look once.
    pub(crate) async fn stands(&self) -> Result<bool> {
        if mutation::is(Mutation::NoCheck) {
            return Ok(true);
        }
        let ((), look) = self.looks.add(|| Ok::<_, Error>(()), |()| ())?;
        self.looks
            .done(&look, |()| {
                let (backend, id) = (self.backend.clone(), self.id);
                async move { stands(&*backend, &id).await }.boxed()
            })
            .await
    }

    /// Whether a pack may be relied on: it stands in no list, and it was seen within this session.
    pub(crate) async fn may_rely_on(&self, location: &Location) -> Result<bool> {
        if self.listed.contains(location) {
            return Ok(false);
        }
        if let Some(sound) = self.seen().get(location) {
            return Ok(*sound);
        }
        let there = mutation::is(Mutation::IndexAcrossSessions) || self.backend.exists(location).await?;
        if there {
            self.saw(location.clone());
        }
        Ok(there)
    }

    /// Whether a whole file may be relied on: besides, it has the `size` that it should have.
    pub(crate) async fn may_rely_on_file(&self, location: &Location, size: u64) -> Result<bool> {
        if self.listed.contains(location) {
            return Ok(false);
        }
        match self.backend.metadata(location).await {
            Ok(metadata) => {
                self.seen().insert(location.clone(), metadata.size == size);
                Ok(metadata.size == size)
            }
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it is known already that a pack or file may be relied on.
    pub(crate) fn relies_on(&self, location: &Location) -> bool {
        !self.listed.contains(location) && self.seen().get(location) == Some(&true)
    }

    /// Notes a pack or file that was listed, opened or stored within this session.
    pub(crate) fn saw(&self, location: Location) {
        self.seen().entry(location).or_insert(true);
    }

    /// Notes a pack or file that is there and turned out to be damaged: it is not relied on any more.
    pub(crate) fn distrust(&self, location: Location) {
        self.seen().insert(location, false);
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Location, bool>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all whole files were listed within this session.
    pub(crate) fn knows_files(&self) -> bool {
        self.knows_files.load(Ordering::Acquire)
    }

    /// Notes that all whole files were listed, and those that are there seen.
    pub(crate) fn note_files_known(&self) {
        self.knows_files.store(true, Ordering::Release);
    }

    /// Whether a standing list names `location`.
    pub(crate) fn is_listed(&self, location: &Location) -> bool {
        self.listed.contains(location)
    }

    /// The same, as if these were all that is listed.
    pub(crate) fn knowing_only(self: Arc<Self>, listed: HashSet<Location>) -> Arc<Self> {
        Arc::try_unwrap(self).map_or_else(|shared| shared, |own| Arc::new(Self { listed, ..own }))
    }

    /// Deletes these with its marks, when it ends: nobody relies on them, and it is one request.
    pub(crate) fn end_with(&self, idle: Vec<Location>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(idle);
    }

    async fn end(&self) -> Result<()> {
        let mut marks = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        marks.push(paths::session(&self.id, paths::MARKER)?);
        if self.beats.load(Ordering::Relaxed) > 0 {
            marks.insert(0, paths::session(&self.id, paths::BEAT)?);
        }
        self.backend.delete_all(&marks).await
    }
}

/// Whether a session's marker is there, and nobody has ended it.
///
/// Its end is marked before the marker goes, and that mark goes after it: so one listing in order says as much as two questions.
async fn stands(backend: &dyn ExternalStorage, id: &Nonce) -> Result<bool> {
    let (marker, ended) = (paths::session(id, paths::MARKER)?, paths::session(id, paths::ENDED)?);
    if !backend.capabilities().is_bucket() {
        return Ok(backend.exists(&marker).await? && !backend.exists(&ended).await?);
    }
    let marks = backend.list(&ListOptions::prefix(paths::session(id, "")?.as_str())).await?;
    let has = |mark: &Location| marks.objects.iter().any(|object| object.location == *mark);
    Ok(has(&marker) && !has(&ended))
}

/// What came of creating a session's marker, and creating it again.
enum Marked {
    /// The second was refused.
    Exclusively,
    /// It was not.
    Overwriting,
    /// Nobody knows: an answer was lost, and the marker may appear later. Such a session is not used.
    Unconfirmed(Error),
}

/// Where it is known that the backend is exclusive, it need not be tried again.
async fn mark(backend: &dyn ExternalStorage, marker: &Location, is_exclusive: bool) -> Result<Marked> {
    let options = StoreOptions::create().with_durability(Durability::Relaxed);
    let create = || backend.store(marker, Source::Bytes(Bytes::from_static(b"session\n")), &options);
    match create().await {
        Ok(_) => {}
        Err(_) if mutation::is(Mutation::MarkerUnconfirmed) => return Ok(Marked::Exclusively),
        Err(error) if error.may_have_happened() || error.is_already_exists() => return Ok(Marked::Unconfirmed(error)),
        Err(error) => return Err(error),
    }
    if is_exclusive {
        return Ok(Marked::Exclusively);
    }
    Ok(match create().await {
        Ok(_) => Marked::Overwriting,
        Err(error) if error.is_already_exists() => Marked::Exclusively,
        Err(error) => Marked::Unconfirmed(error),
    })
}

/// The sessions of one handle: at most one that new work joins.
#[derive(Debug)]
pub(crate) struct Sessions {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    lease: Duration,
    epoch: Epoch,
    writable: Result<()>,
    /// Whether a bucket was seen to refuse what is there already. Elsewhere it costs little to see it each time.
    exclusive: AtomicBool,
    current: tokio::sync::Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    /// Those of a handle; none begins if `writable` is an error.
    pub(crate) fn new(
        backend: Arc<dyn ExternalStorage>,
        host: Arc<dyn Host>,
        lease: Duration,
        epoch: Epoch,
        writable: Result<()>,
    ) -> Self {
        let (exclusive, current) = (AtomicBool::new(false), tokio::sync::Mutex::new(None));
        Self { backend, host, lease, epoch, writable, exclusive, current }
    }

    /// Whether this program may write to the store at all.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.writable.clone()
    }

    /// Joins the session of this handle, or begins one.
    pub(crate) async fn join(&self) -> Result<Membership<'_>> {
        let mut current = self.current.lock().await;
        let fresh = |session: &Arc<Session>| {
            let now = self.host.monotonic();
            let last_beat = *session.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
            now.saturating_sub(session.began) < SESSION_MAX && now.saturating_sub(last_beat) < self.lease / 2
        };
        if let Some(session) = current.as_ref().filter(|session| fresh(session)) {
            return Ok(Membership::new(self, session.clone()));
        }
        if let Some(old) = current.take()
            && old.users.load(Ordering::Acquire) == 0
        {
            old.end().await?;
        }
        let session = self.begin().await?;
        *current = Some(session.clone());
        Ok(Membership::new(self, session))
    }

    /// Begins a session that no other work joins.
    pub(crate) async fn begin(&self) -> Result<Arc<Session>> {
        self.check_writable()?;
        Ok(Arc::new(Session::begin(self).await?))
    }

    /// Ends one that was begun so. A collector ends it if that fails.
    pub(crate) async fn end(&self, session: &Session) {
        session.end().await.unwrap_or_default();
    }

    /// The session that new work joins, if there is one.
    pub(crate) async fn newest(&self) -> Option<Arc<Session>> {
        self.current.lock().await.clone()
    }

    /// Joins a session other than `ended`.
    pub(crate) async fn join_after(&self, ended: &Arc<Session>) -> Result<Membership<'_>> {
        {
            let mut current = self.current.lock().await;
            if current.as_ref().is_some_and(|session| Arc::ptr_eq(session, ended)) {
                *current = None;
            }
        }
        self.join().await
    }
}

/// One task's part in a session. The session ends when the last of its tasks has left.
#[derive(Debug)]
pub(crate) struct Membership<'a> {
    sessions: &'a Sessions,
    session: Arc<Session>,
}

impl<'a> Membership<'a> {
    fn new(sessions: &'a Sessions, session: Arc<Session>) -> Self {
        session.users.fetch_add(1, Ordering::AcqRel);
        Self { sessions, session }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Leaves the session, after what relied on it was acknowledged or given up.
    ///
    /// A session that can't be ended now is ended by the next one or by a collector, so failing to is no error.
    pub(crate) async fn leave(self) {
        let (sessions, session) = (self.sessions, self.session.clone());
        let mut current = sessions.current.lock().await;
        drop(self);
        if session.users.load(Ordering::Acquire) > 0 {
            return;
        }
        if current.as_ref().is_some_and(|known| Arc::ptr_eq(known, &session)) {
            *current = None;
        }
        drop(current);
        session.end().await.unwrap_or_default();
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.session.users.fetch_sub(1, Ordering::AcqRel);
    }
}
