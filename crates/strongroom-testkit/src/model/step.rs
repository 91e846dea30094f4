//! One operation of a random sequence.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use strongroom_storage::{ByteRange, Location, StoreMode};

/// One operation, and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Store bytes.
    Store {
        /// Where.
        location: Location,
        /// What.
        content: Bytes,
        /// Whether it must be new.
        mode: StoreMode,
    },
    /// Store a batch.
    StoreAll {
        /// Where and what.
        items: Vec<(Location, Bytes)>,
        /// Whether they must be new.
        mode: StoreMode,
    },
    /// Delete one object.
    Delete {
        /// Which.
        location: Location,
    },
    /// Delete several.
    DeleteAll {
        /// Which.
        locations: Vec<Location>,
    },
    /// Load bytes.
    Load {
        /// Of what.
        location: Location,
        /// Which bytes.
        range: ByteRange,
    },
    /// Ask whether an object is there.
    Exists {
        /// Which.
        location: Location,
    },
    /// Ask for an object's size.
    Metadata {
        /// Which.
        location: Location,
    },
    /// Ask for an object's MD5.
    Hexdigest {
        /// Which.
        location: Location,
    },
    /// Iterate over what begins with a string.
    Iterate {
        /// The string.
        prefix: String,
    },
    /// List a page.
    List {
        /// What the locations begin with.
        prefix: String,
        /// What they come after.
        start_after: Option<String>,
        /// How many at most.
        limit: Option<usize>,
    },
}

impl Step {
    /// Stores `content` at the location `name`.
    ///
    /// # Panics
    /// If `name` is no location.
    #[must_use]
    pub fn store(name: &str, content: &[u8]) -> Self {
        Self::Store { location: at(name), content: Bytes::copy_from_slice(content), mode: StoreMode::Overwrite }
    }

    /// Deletes the object at the location `name`.
    ///
    /// # Panics
    /// If `name` is no location.
    #[must_use]
    pub fn delete(name: &str) -> Self {
        Self::Delete { location: at(name) }
    }
}

fn at(name: &str) -> Location {
    Location::parse(name).expect("the name is a location")
}

/// Random sequences of up to 40 steps on few names, so that they meet.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    let store = (location(), content(), mode());
    let batch = (vec((location(), content()), 0..4), mode());
    let load = (location(), range());
    let list = (prefix(), option::of(prefix()), option::of(0..5_usize));
    prop_oneof![
        6 => store.prop_map(|(location, content, mode)| Step::Store { location, content, mode }),
        2 => batch.prop_map(|(items, mode)| Step::StoreAll { items, mode }),
        3 => location().prop_map(|location| Step::Delete { location }),
        1 => vec(location(), 0..4).prop_map(|locations| Step::DeleteAll { locations }),
        5 => load.prop_map(|(location, range)| Step::Load { location, range }),
        1 => location().prop_map(|location| Step::Exists { location }),
        1 => location().prop_map(|location| Step::Metadata { location }),
        1 => location().prop_map(|location| Step::Hexdigest { location }),
        2 => prefix().prop_map(|prefix| Step::Iterate { prefix }),
        2 => list.prop_map(|(prefix, start_after, limit)| Step::List { prefix, start_after, limit }),
    ]
}

fn location() -> impl Strategy<Value = Location> {
    const NAMES: &[&str] = &["a", "a-/b", "a.b", "a/b", "a/b/c", "a/b-", "b", "b/a", "b/ü/c", "@", "ü/a"];
    select(NAMES).prop_map(at)
}

fn prefix() -> impl Strategy<Value = String> {
    const STRINGS: &[&str] = &["", "a", "a-", "a/", "a/b", "a/b/", "b", "b/", "c", "ü", "ü/", "/"];
    select(STRINGS).prop_map(str::to_string)
}

fn content() -> impl Strategy<Value = Bytes> {
    let small = vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let large = (any::<u8>(), 200..20_000_usize).prop_map(|(byte, length)| Bytes::from(vec![byte; length]));
    prop_oneof![3 => small, 1 => large]
}

fn mode() -> impl Strategy<Value = StoreMode> {
    prop_oneof![2 => Just(StoreMode::Overwrite), 1 => Just(StoreMode::Create)]
}

fn range() -> impl Strategy<Value = ByteRange> {
    prop_oneof![
        2 => Just(ByteRange::All),
        3 => (0..20_u64, 0..20_u64).prop_map(|(start, end)| ByteRange::Span { start, end }),
        1 => (0..50_u64).prop_map(ByteRange::From),
        1 => (0..50_u64).prop_map(ByteRange::Last),
    ]
}
