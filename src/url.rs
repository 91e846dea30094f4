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
    /// What `strongroom-cloud` knows, by its URL: a bucket, or a web server, which takes nothing.
    Cloud(String),
}

/// The storages in memory of this process, by name.
static MEMORY: LazyLock<Mutex<HashMap<String, MemoryStorage>>> = LazyLock::new(Mutex::default);

/// Reads a path or a URL.
pub(crate) fn parse(text: &str) -> Result<StorageUrl> {
    let refuse = |kind, detail: &str| Err(Error::new(kind, "open", format!("{text:?}"), detail));
    // What has a `/` before it is a path, however it goes on.
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
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
        "s3" | "s3a" | "gs" | "az" | "abfs" | "abfss" | "azure" | "http" | "https" => {
            Ok(StorageUrl::Cloud(text.into()))
        }
        _ => refuse(
            ErrorKind::Invalid,
            "the scheme is unknown; use a path, file:///path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, \
             https://host/prefix or memory://name",
        ),
    }
}

impl StorageUrl {
    pub(crate) fn local_root(self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) | Self::Cloud(_) => None,
        }
    }

    pub(crate) fn open(self) -> Result<Arc<dyn ExternalStorage>> {
        Ok(match self {
            Self::File(path) => Arc::new(FileStorage::new(path)),
            Self::Memory(name) => {
                let mut known = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::new(known.entry(name).or_default().clone())
            }
            Self::Cloud(url) => cloud(&url)?,
        })
    }

    pub(crate) async fn share(self, sharing: Sharing) -> Result<()> {
        match self {
            Self::File(path) => FileStorage::new(path).share(sharing).await,
            Self::Memory(name) => Err(unshared(&format!("memory://{name}"))),
            Self::Cloud(url) => Err(unshared(&url)),
        }
    }
}

fn unshared(url: &str) -> Error {
    let detail = "only folders can be shared; name one by its path, or give others permissions for the bucket";
    Error::new(ErrorKind::Invalid, "share", url, detail)
}

#[cfg(feature = "cloud")]
fn cloud(url: &str) -> Result<Arc<dyn ExternalStorage>> {
    Ok(Arc::new(strongroom_cloud::ObjectStorage::open(url)?))
}

#[cfg(not(feature = "cloud"))]
fn cloud(url: &str) -> Result<Arc<dyn ExternalStorage>> {
    let detail = "this build reads and writes local folders only; build it with the feature `cloud`";
    Err(Error::new(ErrorKind::Unsupported, "open", url, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_name_storages() {
        assert_eq!(parse("some/dir").expect("path"), StorageUrl::File("some/dir".into()));
        assert_eq!(parse("/abs").expect("path"), StorageUrl::File("/abs".into()));
        assert_eq!(parse("/a/s3://b").expect("path"), StorageUrl::File("/a/s3://b".into()));
        assert_eq!(parse("file:///a%20b/c").expect("URL"), StorageUrl::File("/a b/c".into()));
        assert_eq!(parse("memory://x").expect("URL"), StorageUrl::Memory("x".into()));
        assert_eq!(parse("s3://bucket/x").expect("URL"), StorageUrl::Cloud("s3://bucket/x".into()));
        assert_eq!(parse("https://host/x").expect("URL"), StorageUrl::Cloud("https://host/x".into()));
    }

    #[test]
    fn a_storage_in_a_folder_has_a_local_root() {
        let root = |text| parse(text).expect(text).local_root();
        assert_eq!(root("some/dir"), Some("some/dir".into()));
        assert_eq!(root("file:///a%20b/c"), Some("/a b/c".into()));
        assert_eq!(root("memory://x"), None);
        assert_eq!(root("s3://bucket/x"), None);
    }

    #[test]
    fn what_names_no_storage_is_refused_with_a_remedy() {
        for text in ["", "file://host/path", "ftp://host/path"] {
            assert_eq!(parse(text).expect_err(text).kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
