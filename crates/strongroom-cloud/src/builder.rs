//! What a client is to be like.

use std::fmt;
use std::time::Duration;

use strongroom_storage::Result;

use crate::retries::Retries;
use crate::service;
use crate::storage::ObjectStorage;

/// How a bucket is reached, where the environment does not say it all; made by [`ObjectStorage::builder`].
#[derive(Clone)]
#[must_use]
pub struct ObjectStorageBuilder {
    pub(crate) url: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) retries: Retries,
    pub(crate) requests_at_once: usize,
}

impl ObjectStorageBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.into(), settings: Vec::new(), retries: Retries::default(), requests_at_once: 64 }
    }

    /// Settings that come before those of the environment, by the same names in lower or upper case: `aws_endpoint_url`,
    /// `google_service_account`, `azure_storage_account_name`. Other names are those of the crate [`object_store`].
    pub fn with_settings<Key: Into<String>, Value: Into<String>>(
        mut self,
        settings: impl IntoIterator<Item = (Key, Value)>,
    ) -> Self {
        self.settings.extend(settings.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// How often a request is sent again, with a pause that doubles from 100 ms up to 10 s, each by chance a part of it (8 times);
    /// and how long after the first nothing is sent again any more (60 s).
    ///
    /// What the service refuses, such as credentials, is not tried again.
    pub fn with_retries(mut self, times: usize, at_most_for: Duration) -> Self {
        self.retries = Retries { times, at_most_for };
        self
    }

    /// How many requests may wait for an answer at once, of this storage and its clones (64; at least 1).
    pub fn with_requests_at_once(mut self, count: usize) -> Self {
        self.requests_at_once = count.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// The storage. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`ObjectStorage::open`], and for settings that the service does not have.
    pub fn open(&self) -> Result<ObjectStorage> {
        let (service, prefix) = service::open(self)?;
        Ok(ObjectStorage::new(service, &prefix, &service::shown(&self.url)).with_retries(self.retries))
    }
}

/// Settings may be secret.
impl fmt::Debug for ObjectStorageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorageBuilder")
            .field("url", &service::shown(&self.url))
            .field("settings", &self.settings.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
