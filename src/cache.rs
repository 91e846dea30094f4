//! Where the local cache is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What says where the cache is, or that there is to be none.
const VARIABLE: &str = "STRONGROOM_CACHE";
/// What the variable says if there is to be none; so it does if it is empty.
const OFF: &str = "off";

/// Where users of this machine keep their cache: the folder `STRONGROOM_CACHE`, or else `strongroom` where the XDG Base Directory
/// Specification has caches. `None` if there is to be none, or no folder is known for it.
///
/// Nothing is kept there by itself: it is for [`OpenOptions::with_cache`](crate::OpenOptions::with_cache).
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    folder(std::env::var_os)
}

fn folder(variable: impl Fn(&'static str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable(VARIABLE) {
        return (!folder.is_empty() && folder != OFF).then(|| folder.into());
    }
    // The XDG Base Directory Specification: what is not absolute is to be ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|folder| Path::is_absolute(folder));
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("strongroom"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Option<&str>) {
        let variable = |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        assert_eq!(folder(variable), expected.map(PathBuf::from), "{variables:?}");
    }

    #[test]
    fn the_cache_is_where_the_variables_say_or_nowhere() {
        let (home, xdg) = (("HOME", "/home/ada"), ("XDG_CACHE_HOME", "/caches"));
        check(&[home], Some("/home/ada/.cache/strongroom"));
        check(&[home, xdg], Some("/caches/strongroom"));
        check(&[home, ("XDG_CACHE_HOME", "caches")], Some("/home/ada/.cache/strongroom"));
        check(&[home, xdg, (VARIABLE, "here")], Some("here"));
        check(&[home, xdg, (VARIABLE, "")], None);
        check(&[home, xdg, (VARIABLE, "off")], None);
        check(&[], None);
    }
}
