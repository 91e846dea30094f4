//! Which service a URL means, and the client for it.

use std::any::Any;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3CopyIfNotExists};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use strongroom_storage::{Error, ErrorKind, Result};
use url::Url;

use crate::builder::ObjectStorageBuilder;
use crate::checksum::{AzureSigner, Checksum};
use crate::requests::{Connector, Requests};

/// Longer than any request; what takes too long is found out by `requests`, which knows how much a request sends.
const NO_TIMEOUT: &str = "1 day";

/// A bucket, as the client sees it.
#[derive(Clone)]
pub(crate) struct Service {
    pub objects: Arc<dyn ObjectStore>,
    /// The same, for listings by pages; not every client has them.
    pub pages: Option<Arc<dyn PaginatedListStore>>,
    /// Of a client that we have made: of its requests more is known than it says.
    pub requests: Option<Arc<Requests>>,
    /// A web server: it gives, and that is all.
    pub is_web: bool,
    /// Azure takes some names for others, and its client leaves out of a listing the object whose name is the prefix.
    pub is_azure: bool,
}

impl Service {
    pub(crate) fn of<Client: ObjectStore + PaginatedListStore>(client: Client) -> Self {
        let is_azure = (&client as &dyn Any).is::<MicrosoftAzure>();
        let client = Arc::new(client);
        Self { pages: Some(client.clone()), is_azure, ..Self::plain(client) }
    }

    pub(crate) fn plain(client: Arc<dyn ObjectStore>) -> Self {
        Self { objects: client, pages: None, requests: None, is_web: false, is_azure: false }
    }
}

/// Where a URL points.
struct Target {
    url: Url,
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self> {
        let refuse = |detail: &str| Error::new(ErrorKind::Invalid, "open", shown(text), detail);
        let url = Url::parse(text).map_err(|error| refuse(&format!("this is no URL: {error}")))?;
        let in_account = url.password().is_none() && matches!(url.scheme(), "abfs" | "abfss") && url.host().is_some();
        if !in_account && (!url.username().is_empty() || url.password().is_some()) {
            return Err(refuse(
                "credentials don't belong into a URL; give them by the environment variables of the service's own tools",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it says more than where the store is; settings are given by the environment"));
        }
        // abfs://container@account/prefix, or abfs://container/prefix.
        let named = Some(url.username()).filter(|name| !name.is_empty()).or_else(|| url.host_str());
        let bucket = named.unwrap_or_default().to_string();
        if bucket.is_empty() {
            return Err(refuse("it names no bucket, as in s3://bucket/prefix"));
        }
        let decoded = percent_encoding::percent_decode_str(url.path().trim_matches('/')).decode_utf8();
        let path = decoded.map_err(|_| refuse("its path is not UTF-8"))?;
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Ok(Self { url, bucket, prefix })
    }

    /// The account before the first dot of the host, where the URL names one.
    fn account(&self) -> Option<&str> {
        if self.url.username().is_empty() { None } else { self.url.host_str()?.split('.').next() }
    }
}

/// A service and the prefix of the names there.
pub(crate) fn open(asked: &ObjectStorageBuilder) -> Result<(Service, String)> {
    let target = Target::parse(&asked.url)?;
    // Whoever has installed another provider for this process has chosen it.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let requests = Requests::new(asked.requests_at_once);
    let settings = [("timeout".to_string(), NO_TIMEOUT.to_string())].into_iter().chain(asked.settings.iter().cloned());
    let refuse = |detail: String| Error::new(ErrorKind::Invalid, "open", shown(&asked.url), detail);
    let made = client(&target, asked.retries.of_the_client(), &requests, settings).map_err(|error| {
        let detail = match &error {
            object_store::Error::UnknownConfigurationKey { key, .. } => format!("the service has no setting {key:?}"),
            _ => "settings and environment do not say enough to reach the service, or contradict themselves".into(),
        };
        refuse(detail).with_source(error)
    })?;
    let service = made.ok_or_else(|| refuse(format!("the scheme {} is no object storage's", target.url.scheme())))?;
    Ok((Service { requests: Some(requests), ..service }, target.prefix))
}

/// `None` for a scheme that is no service's.
fn client(
    target: &Target,
    retry: RetryConfig,
    requests: &Arc<Requests>,
    settings: impl Iterator<Item = (String, String)>,
) -> object_store::Result<Option<Service>> {
    /// Sets all that is given.
    macro_rules! set_all {
        ($builder:expr, $checksum:expr) => {{
            let connector = Connector { requests: Arc::clone(requests), checksum: $checksum };
            let mut builder = $builder.with_retry(retry).with_http_connector(connector);
            for (key, value) in settings {
                builder = builder.with_config(key.to_lowercase().parse()?, value);
            }
            builder
        }};
    }
    Ok(Some(match target.url.scheme() {
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
            let builder = set_all!(builder, Checksum::Signed).with_bucket_name(&target.bucket);
            check_encrypted(builder.get_config_value(&AmazonS3ConfigKey::Endpoint), "AWS", |key| {
                builder.get_config_value(&AmazonS3ConfigKey::Client(key))
            })?;
            Service::of(builder.build()?)
        }
        "gs" => {
            let builder = set_all!(GoogleCloudStorageBuilder::from_env(), Checksum::Google);
            Service::of(builder.with_bucket_name(&target.bucket).build()?)
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let signer = AzureSigner::default();
            let builder = set_all!(MicrosoftAzureBuilder::from_env(), Checksum::Azure(signer.clone()));
            let builder = builder.with_container_name(&target.bucket);
            check_encrypted(builder.get_config_value(&AzureConfigKey::Endpoint), "AZURE", |key| {
                builder.get_config_value(&AzureConfigKey::Client(key))
            })?;
            let client = match target.account() {
                Some(account) => builder.with_account(account).build()?,
                None => builder.build()?,
            };
            signer.set(client.credentials());
            Service::of(client)
        }
        "http" | "https" => {
            let mut root = target.url.clone();
            root.set_path("");
            let builder = set_all!(HttpBuilder::new().with_config("allow_http".parse()?, "true"), Checksum::Signed);
            Service { is_web: true, ..Service::plain(Arc::new(builder.with_url(root).build()?)) }
        }
        _ => return Ok(None),
    }))
}

/// Refuses an endpoint that is reached without encryption, unless that is asked for.
fn check_encrypted(
    endpoint: Option<String>,
    tool: &str,
    option: impl FnOnce(ClientConfigKey) -> Option<String>,
) -> object_store::Result<()> {
    let is_open = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_open && option(ClientConfigKey::AllowHttp).is_none_or(|allowed| allowed != "true") {
        let detail = format!("the endpoint is reached without encryption; set {tool}_ALLOW_HTTP=true if that is meant");
        return Err(object_store::Error::Generic { store: "http", source: detail.into() });
    }
    Ok(())
}

/// A URL without anything that may be secret.
pub(crate) fn shown(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "a URL".into() };
    url.set_query(None);
    url.set_fragment(None);
    let is_account = matches!(url.scheme(), "abfs" | "abfss") && url.password().is_none();
    if !is_account && (url.set_username("").is_err() || url.set_password(None).is_err()) {
        return format!("{}://", url.scheme());
    }
    url.as_str().trim_end_matches('/').into()
}
