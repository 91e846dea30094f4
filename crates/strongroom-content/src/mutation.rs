//! Ways to break the protocol: for the tests which show that breaking it is noticed. In a build that is used, nothing is broken.

/// One way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A collector does not wait for sessions.
    NoSessions,
    /// A collector deletes what it listed without marking again.
    OneMark,
    /// What the second mark needs is left where it is instead of being copied to a new name.
    PardonInPlace,
    /// A writer does not look, after publishing, whether its session still stands.
    NoCheck,
    /// It looks only before publishing.
    CheckBeforePublishing,
    /// A pack is named by its content, so it can be written again while it is being deleted.
    ReuseNames,
    /// A commit that changes nothing is acknowledged without a look whether its session stands.
    NothingUnchecked,
    /// A session is ended by deleting its marker, which a late retry of its creation brings back.
    EndsByDeleting,
    /// A version that was the newest a moment ago is collected.
    NoRetention,
    /// A writer relies on what a standing list names.
    ListsUnread,
    /// A writer reads the lists first and begins its session then.
    MarkerAfterLists,
    /// A collector looks at the sessions before it publishes its list.
    SessionsBeforeList,
    /// Superseded versions are deleted without having been listed.
    PruneAtOnce,
    /// What a handle knew of packs before its session is relied on, without a look whether it is there.
    IndexAcrossSessions,
    /// A head that a handle knew before its session is built on, however old.
    HeadAcrossSessions,
    /// A version that was published after it had been collected is taken for part of the history.
    LateVersionCounted,
    /// A collector counts on copies that another list names.
    OtherListsIgnored,
    /// A tag relies on listed content and versions.
    TagOfListed,
    /// A copy relies on listed content.
    LinkOfListed,
    /// What tasks commit together is acknowledged when the session of one of them stands.
    GroupOnOneSession,
    /// A marker whose creation was not answered is taken for one that stands.
    MarkerUnconfirmed,
    /// A version is published before its packs are stored.
    PublishedBeforeContent,
    /// The names of a batch are published in two versions.
    BatchInTwo,
    /// A head that was found long ago, though within the session, is built on.
    HeadTrustedTooLong,
    /// A version is collected although it has a tag.
    TagsUnmarked,
}

#[cfg(test)]
thread_local! {
    static CURRENT: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether the protocol is to be broken so.
#[inline]
pub(crate) fn is(mutation: Mutation) -> bool {
    #[cfg(test)]
    return CURRENT.get() == Some(mutation);
    #[cfg(not(test))]
    {
        let _ = mutation;
        false
    }
}

/// Breaks the protocol, on this thread, or mends it.
#[cfg(test)]
pub(crate) fn set(mutation: Option<Mutation>) {
    CURRENT.set(mutation);
}
