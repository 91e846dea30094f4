//! Checksums of what is sent, which the service compares with what arrives.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use futures::FutureExt;
use http_body_util::BodyExt;
use object_store::CredentialProvider;
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use strongroom_storage::{DigestSet, Hasher, unblock};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// <https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash>
const GOOGLE_HASH: HeaderName = HeaderName::from_static("x-goog-hash");
/// What comes before the account and the signature by its key.
const SHARED_KEY: &str = "SharedKey ";
/// The checksum of less than this is computed at once.
const SMALL_BYTES: usize = 128 << 10;
/// The words of the services for what did not arrive as it was sent; the last are Azurite's.
const MISMATCHES: [&str; 4] = [
    "<Code>BadDigest</Code>",
    "<Code>XAmzContentSHA256Mismatch</Code>",
    "<Code>Md5Mismatch</Code>",
    "contentMD5 doesn't match",
];

/// How a service is told of the checksum of what it gets.
#[derive(Clone, Debug)]
pub(crate) enum Checksum {
    /// The client sees to it: what it signs for S3 has the SHA-256 of what is sent.
    Signed,
    /// CRC32C, which Google prefers.
    Google,
    /// MD5, the one that all of Azure's servers compare.
    Azure(AzureSigner),
}

impl Checksum {
    /// Adds the checksum to a request that stores something.
    pub(crate) async fn add(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let length = request.body().content_length();
        let (name, compute): (_, fn(HttpRequestBody) -> HeaderValue) = match self {
            _ if request.method() != Method::PUT || length == 0 => return Ok(()),
            Self::Signed => return Ok(()),
            Self::Google => (GOOGLE_HASH, crc32c),
            Self::Azure(_) => (CONTENT_MD5, md5),
        };
        let body = request.body().clone();
        let value = if length < SMALL_BYTES {
            compute(body)
        } else {
            unblock(move || Ok(compute(body))).await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
        };
        request.headers_mut().insert(name, value);
        if let Self::Azure(signer) = self {
            signer.sign(request).await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        }
        Ok(())
    }
}

/// Signs requests to Azure anew: the signature by an account's key covers the checksum, and the client makes it before there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct AzureSigner(Arc<OnceLock<Weak<AzureCredentials>>>);

type AzureCredentials = dyn CredentialProvider<Credential = AzureCredential>;

impl AzureSigner {
    /// Those of the client, when it is made. They may have a client of their own, and that one this signer.
    pub(crate) fn set(&self, credentials: &Arc<AzureCredentials>) {
        self.0.get_or_init(|| Arc::downgrade(credentials));
    }

    async fn sign(&self, request: &mut HttpRequest) -> object_store::Result<()> {
        let signature = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let account = signature.and_then(|signature| Some(signature.strip_prefix(SHARED_KEY)?.split_once(':')?.0));
        let credentials = self.0.get().and_then(Weak::upgrade);
        let (Some(account), Some(credentials)) = (account.map(str::to_string), credentials) else { return Ok(()) };
        request.headers_mut().remove(AUTHORIZATION);
        AzureAuthorizer::new(&*credentials.get_credential().await?, &account).try_authorize(request)
    }
}

fn crc32c(body: HttpRequestBody) -> HeaderValue {
    let mut digest = crc_fast::Digest::new(Crc32Iscsi);
    each_piece(body, |piece| digest.update(piece));
    let sum = u32::try_from(digest.finalize()).expect("a CRC-32 has 32 bits");
    value(&format!("crc32c={}", BASE64_STANDARD.encode(sum.to_be_bytes())))
}

fn md5(body: HttpRequestBody) -> HeaderValue {
    let mut hasher = Hasher::new(DigestSet::MD5);
    each_piece(body, |piece| hasher.update(piece));
    let sum = hasher.finish().md5.expect("it was asked for");
    value(&BASE64_STANDARD.encode(sum.as_bytes()))
}

/// What is to be sent is in memory, so each piece is there at once.
fn each_piece(mut body: HttpRequestBody, mut take: impl FnMut(&[u8])) {
    while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
        if let Some(piece) = frame.data_ref() {
            take(piece);
        }
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64 is ASCII")
}

/// What arrived was not what was sent, says the service, which has stored nothing.
#[derive(Debug)]
pub(crate) struct Garbled(&'static str);

impl Garbled {
    /// Whether an answer of refusal says so.
    pub(crate) fn of(answer: &[u8]) -> Option<Self> {
        let answer = String::from_utf8_lossy(answer);
        MISMATCHES.into_iter().find(|words| answer.contains(words)).map(Self)
    }
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what arrived was not what was sent ({})", self.0)
    }
}

impl StdError for Garbled {}

#[cfg(test)]
mod tests {
    use object_store::PutPayload;

    use super::*;

    fn in_pieces(pieces: [&'static str; 3]) -> HttpRequestBody {
        PutPayload::from_iter(pieces.map(bytes::Bytes::from)).into()
    }

    /// The numbers that the two algorithms are checked by: RFC 1321, and the CRC catalogue's for CRC-32/ISCSI.
    #[test]
    fn checksums_are_those_that_everybody_has() {
        assert_eq!(crc32c(in_pieces(["1234", "", "56789"])), "crc32c=4waSgw==", "E3069283");
        assert_eq!(
            md5(in_pieces(["message", " ", "digest"])),
            "+WtpfXy3k41SWi8xqvFh0A==",
            "f96b697d7cb7938d525a2f31aaf161d0"
        );
    }
}
