//! URLs of storages: the one place that knows which backend a scheme means.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use strongroom_storage::{Error, ErrorKind, ExternalStorage, FileStorage, MemoryStorage, Result, Sharing};

/// A storage that is named but not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorageUrl {
    File(PathBuf),
    Memory(String),
}

/// The storages in memory of this process, by name.
static MEMORY: LazyLock<Mutex<HashMap<String, MemoryStorage>>> = LazyLock::new(Mutex::default);

/// Reads a path or a URL.
pub(crate) fn parse(text: &str) -> Result<StorageUrl> {
    let refuse = |kind, detail: &str| Err(Error::new(kind, "open", format!("{text:?}"), detail));
    let Some((scheme, rest)) = text.split_once("://") else {
        return match text {
            "" => refuse(ErrorKind::Invalid, "a store is named by a path or a URL"),
            path => Ok(StorageUrl::File(path.into())),
        };
    };
    match scheme {
        "file" => match url::Url::parse(text).ok().and_then(|url| url.to_file_path().ok()) {
            Some(path) => Ok(StorageUrl::File(path)),
            None => refuse(ErrorKind::Invalid, "a file URL has an absolute path and no host, as in file:///data/store"),
        },
        "memory" => Ok(StorageUrl::Memory(rest.trim_end_matches('/').into())),
        "s3" | "gs" | "az" | "abfs" | "abfss" | "azure" | "http" | "https" => {
            refuse(ErrorKind::Unsupported, "this build reads and writes local folders only")
        }
        _ => refuse(ErrorKind::Invalid, "the scheme is unknown; use a path, file:///path or memory://name"),
    }
}

impl StorageUrl {
    pub(crate) fn local_root(self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) => None,
        }
    }

    pub(crate) fn open(self) -> Arc<dyn ExternalStorage> {
        match self {
            Self::File(path) => Arc::new(FileStorage::new(path)),
            Self::Memory(name) => {
                let mut known = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::new(known.entry(name).or_default().clone())
            }
        }
    }

    pub(crate) async fn share(self, sharing: Sharing) -> Result<()> {
        match self {
            Self::File(path) => FileStorage::new(path).share(sharing).await,
            Self::Memory(name) => {
                let (url, detail) = (format!("memory://{name}"), "only folders can be shared; name one by its path");
                Err(Error::new(ErrorKind::Invalid, "share", url, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_name_storages() {
        assert_eq!(parse("some/dir").expect("path"), StorageUrl::File("some/dir".into()));
        assert_eq!(parse("/abs").expect("path"), StorageUrl::File("/abs".into()));
        assert_eq!(parse("file:///a%20b/c").expect("URL"), StorageUrl::File("/a b/c".into()));
        assert_eq!(parse("memory://x").expect("URL"), StorageUrl::Memory("x".into()));
    }

    #[test]
    fn a_storage_in_a_folder_has_a_local_root() {
        let root = |text| parse(text).expect(text).local_root();
        assert_eq!(root("some/dir"), Some("some/dir".into()));
        assert_eq!(root("file:///a%20b/c"), Some("/a b/c".into()));
        assert_eq!(root("memory://x"), None);
    }

    #[test]
    fn what_names_no_storage_is_refused_with_a_remedy() {
        for (text, kind) in [
            ("", ErrorKind::Invalid),
            ("file://host/path", ErrorKind::Invalid),
            ("ftp://host/path", ErrorKind::Invalid),
            ("s3://bucket/prefix", ErrorKind::Unsupported),
        ] {
            assert_eq!(parse(text).expect_err(text).kind(), kind, "{text}");
        }
    }
}
