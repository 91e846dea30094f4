//! What a caller asked a storage to do.

use std::fmt;

use strongroom_storage::{ByteRange, Durability, ListOptions, Location, StoreMode, StoreOptions};

/// One request to a storage.
///
/// It prints as one line, for logs and for assertions on them: `store a/b`, `create a/b`, `load a/b 0..4`,
/// `list names/ after names/x limit 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `store`, `store_bytes` or `store_path` of one object, or of one of a batch that is not atomic.
    Store {
        /// Where it goes.
        location: Location,
        /// Whether it must be new.
        mode: StoreMode,
        /// Whether it must be durable.
        durability: Durability,
    },
    /// `store_all` as one atomic batch.
    StoreAll {
        /// Where they go.
        locations: Vec<Location>,
        /// Whether they must be new.
        mode: StoreMode,
        /// Whether they must be durable.
        durability: Durability,
    },
    /// `store_named`.
    StoreNamed {
        /// Whether it must be new.
        mode: StoreMode,
        /// Whether it must be durable.
        durability: Durability,
    },
    /// `load`, `load_stream` or `load_bytes`.
    Load {
        /// Of what.
        location: Location,
        /// Which bytes.
        range: ByteRange,
    },
    /// `metadata`.
    Metadata {
        /// Of what.
        location: Location,
    },
    /// `exists`.
    Exists {
        /// What.
        location: Location,
    },
    /// `make_durable`.
    MakeDurable {
        /// What.
        locations: Vec<Location>,
    },
    /// `digests` or `hexdigest`.
    Digests {
        /// Of what.
        location: Location,
    },
    /// `delete` of one object, or of one of a batch that is not atomic.
    Delete {
        /// What.
        location: Location,
    },
    /// `delete_all` as one atomic batch.
    DeleteAll {
        /// What.
        locations: Vec<Location>,
    },
    /// `iter_contents`.
    Iterate {
        /// What the locations begin with.
        prefix: String,
    },
    /// `list`.
    List {
        /// What the locations begin with.
        prefix: String,
        /// Whether directories are folded.
        delimited: bool,
        /// What the locations come after.
        start_after: Option<String>,
        /// How many at most.
        limit: Option<usize>,
    },
    /// `local_path`.
    LocalPath {
        /// Of what.
        location: Location,
    },
}

impl Operation {
    pub(crate) fn store(location: &Location, options: &StoreOptions) -> Self {
        Self::Store { location: location.clone(), mode: options.mode, durability: options.durability }
    }

    pub(crate) fn list(options: &ListOptions) -> Self {
        Self::List {
            prefix: options.prefix.clone(),
            delimited: options.delimited,
            start_after: options.start_after.clone(),
            limit: options.limit,
        }
    }

    /// True if it changes what is stored.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Self::Store { .. }
            | Self::StoreAll { .. }
            | Self::StoreNamed { .. }
            | Self::Delete { .. }
            | Self::DeleteAll { .. } => true,
            Self::Load { .. }
            | Self::Metadata { .. }
            | Self::Exists { .. }
            | Self::MakeDurable { .. }
            | Self::Digests { .. }
            | Self::Iterate { .. }
            | Self::List { .. }
            | Self::LocalPath { .. } => false,
        }
    }

    /// The locations it names. Those of a listing, and of an object that its content names, are not known beforehand.
    #[must_use]
    pub fn locations(&self) -> &[Location] {
        match self {
            Self::Store { location, .. }
            | Self::Load { location, .. }
            | Self::Metadata { location }
            | Self::Exists { location }
            | Self::Digests { location }
            | Self::Delete { location }
            | Self::LocalPath { location } => std::slice::from_ref(location),
            Self::StoreAll { locations, .. } | Self::DeleteAll { locations } | Self::MakeDurable { locations } => {
                locations
            }
            Self::StoreNamed { .. } | Self::Iterate { .. } | Self::List { .. } => &[],
        }
    }

    /// What it asks for, in one word: `store`, `create`, `load`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Store { mode, .. } | Self::StoreAll { mode, .. } | Self::StoreNamed { mode, .. } => match mode {
                StoreMode::Overwrite => "store",
                StoreMode::Create => "create",
            },
            Self::Load { .. } => "load",
            Self::Metadata { .. } => "metadata",
            Self::Exists { .. } => "exists",
            Self::MakeDurable { .. } => "make durable",
            Self::Digests { .. } => "digests",
            Self::Delete { .. } | Self::DeleteAll { .. } => "delete",
            Self::Iterate { .. } => "iterate",
            Self::List { .. } => "list",
            Self::LocalPath { .. } => "path",
        }
    }

    /// What it asks about: locations, or a prefix.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::StoreNamed { .. } => "by content".to_string(),
            Self::Iterate { prefix } | Self::List { prefix, .. } => prefix.clone(),
            other => other.locations().iter().map(Location::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.subject())?;
        match self {
            Self::Load { range, .. } if *range != ByteRange::All => write!(f, " {range}"),
            Self::List { delimited, start_after, limit, .. } => {
                if *delimited {
                    f.write_str(" delimited")?;
                }
                if let Some(after) = start_after {
                    write!(f, " after {after}")?;
                }
                if let Some(limit) = limit {
                    write!(f, " limit {limit}")?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
