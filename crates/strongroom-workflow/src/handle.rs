//! What `register` returns: which storage, and where in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_storage::{Location, Result};

use crate::storages::StorageName;

/// Refers to an object in a storage that has a name.
///
/// Its text is the location. As JSON it is `{":container:": "shared", ":label:": "dag/unit/traj.dcd"}`, and so it can be part of
/// a unit's result. It is opened with [`Storages::open`](crate::Storages::open).
///
/// ```
/// # use strongroom_workflow::Handle;
/// let handle: Handle = serde_json::from_str(r#"{":container:": "shared", ":label:": "dag//unit/a.dcd"}"#)?;
/// assert_eq!(handle.to_string(), "dag/unit/a.dcd");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Handle {
    #[serde(rename = ":container:")]
    storage: StorageName,
    #[serde(rename = ":label:", with = "location_text")]
    location: Location,
}

impl Handle {
    /// Refers to `location` in the storage called `storage`.
    #[must_use]
    pub fn new(storage: StorageName, location: Location) -> Self {
        Self { storage, location }
    }

    /// The name of the storage.
    #[must_use]
    pub fn storage(&self) -> &StorageName {
        &self.storage
    }

    /// Where in the storage.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Refers to `name` below this, for a file in a registered directory.
    ///
    /// # Errors
    /// Those of [`Location::join`].
    pub fn join(&self, name: &str) -> Result<Self> {
        Ok(Self { storage: self.storage.clone(), location: self.location.join(name)? })
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.location, f)
    }
}

/// A location as a JSON string, checked and normalised when it is read.
mod location_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use strongroom_storage::Location;

    pub(super) fn serialize<S: Serializer>(location: &Location, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(location.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Location, D::Error> {
        Location::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_serialisation() {
        let location = Location::parse("dag/unit/ä b.dcd").expect("location");
        let handle = Handle::new(StorageName::new("lab-2").expect("name"), location);
        let json = serde_json::to_string(&handle).expect("JSON");
        assert_eq!(json, r#"{":container:":"lab-2",":label:":"dag/unit/ä b.dcd"}"#);
        assert_eq!(serde_json::from_str::<Handle>(&json).expect("handle"), handle);
    }

    #[test]
    fn a_handle_that_could_leave_its_storage_is_not_read() {
        for bad in [
            r#"{":container:": "shared", ":label:": "../x"}"#,
            r#"{":container:": "shared", ":label:": "/x"}"#,
            r#"{":container:": "", ":label:": "x"}"#,
            r#"{":container:": "a/b", ":label:": "x"}"#,
            r#"{":label:": "x"}"#,
        ] {
            assert!(serde_json::from_str::<Handle>(bad).is_err(), "{bad}");
        }
    }
}
