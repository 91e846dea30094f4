//! Which service a URL means, and the client for it.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, S3CopyIfNotExists};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use strongroom_storage::{Error, ErrorKind, Result};

/// A bucket, as the client sees it.
#[derive(Clone)]
pub(crate) struct Service {
    pub objects: Arc<dyn ObjectStore>,
    /// The same, for listings by pages; not every client has them.
    pub pages: Option<Arc<dyn PaginatedListStore>>,
}

impl Service {
    pub(crate) fn of<Client: ObjectStore + PaginatedListStore>(client: Client) -> Self {
        let client = Arc::new(client);
        Self { objects: client.clone(), pages: Some(client) }
    }
}

/// Settings of a client, by their names in the environment or in its own configuration, such as `aws_endpoint_url`.
type Settings = [(String, String)];

/// A service and the prefix of the names there: empty, or with a `/` at its end. Settings come before the environment.
pub(crate) fn open(text: &str, settings: &Settings) -> Result<(Service, String)> {
    let refuse = |kind, detail: String| Error::new(kind, "open", shown(text), detail);
    let url = url::Url::parse(text).map_err(|error| refuse(ErrorKind::Invalid, format!("this is no URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let detail =
            "credentials don't belong into a URL; give them by the environment variables of the service's own tools";
        return Err(refuse(ErrorKind::Invalid, detail.into()));
    }
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
    let Some(bucket) = bucket else {
        return Err(refuse(ErrorKind::Invalid, "it names no bucket, as in s3://bucket/prefix".into()));
    };
    // Whoever has installed another provider for this process has chosen it.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let service = match url.scheme() {
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
            let set = |builder: AmazonS3Builder, key: &str, value| Ok(builder.with_config(key.parse()?, value));
            apply(builder, settings, set).and_then(|builder| builder.with_bucket_name(bucket).build()).map(Service::of)
        }
        "gs" => {
            let set =
                |builder: GoogleCloudStorageBuilder, key: &str, value| Ok(builder.with_config(key.parse()?, value));
            let builder = apply(GoogleCloudStorageBuilder::from_env(), settings, set);
            builder.and_then(|builder| builder.with_bucket_name(bucket).build()).map(Service::of)
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let set = |builder: MicrosoftAzureBuilder, key: &str, value| Ok(builder.with_config(key.parse()?, value));
            let builder = apply(MicrosoftAzureBuilder::from_env(), settings, set);
            builder.and_then(|builder| builder.with_container_name(bucket).build()).map(Service::of)
        }
        scheme => return Err(refuse(ErrorKind::Invalid, format!("the scheme {scheme} is no object storage's"))),
    };
    let service = service.map_err(|error| {
        let detail = match &error {
            object_store::Error::UnknownConfigurationKey { key, .. } => format!("the service has no setting {key:?}"),
            _ => "settings and environment do not say enough to reach the service, or contradict themselves".into(),
        };
        refuse(ErrorKind::Invalid, detail).with_source(error)
    })?;
    let prefix = url.path().trim_matches('/');
    Ok((service, if prefix.is_empty() { String::new() } else { format!("{prefix}/") }))
}

/// Sets all that is given.
fn apply<Builder>(
    builder: Builder,
    settings: &Settings,
    set: impl Fn(Builder, &str, String) -> object_store::Result<Builder>,
) -> object_store::Result<Builder> {
    settings.iter().try_fold(builder, |builder, (key, value)| set(builder, &key.to_lowercase(), value.clone()))
}

/// A URL without anything that may be secret.
pub(crate) fn shown(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return "a URL".into() };
    url.set_query(None);
    url.set_fragment(None);
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return format!("{}://", url.scheme());
    }
    url.as_str().trim_end_matches('/').into()
}
