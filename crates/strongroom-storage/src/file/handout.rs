//! Objects handed out as local files: under a name that is the holder's own, and lasts as long as it is held.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::fs::CWD;

use super::place::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::LocalPath;

/// A folder with nothing but a link, for one holder; gone when this is dropped.
#[derive(Debug)]
struct PrivateFolder(PathBuf);

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // With what a program put beside the link. What can't be removed stays in the hidden folder, where it is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    /// The object at `location` as a file called `name`, or like its last segment: a hard link where there can be one.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`]; [`ErrorKind::Invalid`] if `name` is no single segment.
    pub(super) fn hand_out(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        if let Some(name) = name {
            check_name(name)?;
        }
        self.look_up("path", location)?;
        let object = self.path("path", location)?;
        // Whatever is in the way of a link, the object's own file can be handed out.
        let Ok(folder) = self.make_private_folder().map(PrivateFolder) else {
            return Ok(LocalPath::new(object, ()));
        };
        let path = folder.0.join(name.unwrap_or(location.file_name()));
        // What came of it is looked at: the answer may be lost on the way from another machine, and what is linked may be
        // something else that was just put in the object's place.
        let _ = (self.config.link)(&object, CWD, &path);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => return Ok(LocalPath::new(path, folder)),
            Ok(_) => return Err(Error::missing("path", location)),
            Err(_) => self.look_up("path", location)?,
        };
        // A symlink keeps nothing, but it has the name.
        if name.is_some_and(|name| name != location.file_name()) && symlink(&object, &path).is_ok() {
            return Ok(LocalPath::new(path, folder));
        }
        Ok(LocalPath::new(object, ()))
    }
}

/// # Errors
/// [`ErrorKind::Invalid`] if `name` is not one segment of a location.
fn check_name(name: &str) -> Result<()> {
    if Location::parse(name)?.as_str() == name && !name.contains('/') {
        return Ok(());
    }
    let detail = "a file's name is a single segment; leave out every '/'";
    Err(Error::new(ErrorKind::Invalid, "name", format!("{name:?}"), detail))
}
