//! The documents of the protocol.

use serde::{Deserialize, Serialize};

/// A page of a listing.
#[derive(Serialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
pub struct Listing {
    pub is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_continuation_token: Option<String>,
    pub contents: Vec<Listed>,
    pub common_prefixes: Vec<Prefix>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    pub key: String,
    pub size: u64,
    pub last_modified: String,
    #[serde(rename = "ETag")]
    pub tag: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Prefix {
    pub prefix: String,
}

/// What is to be deleted.
#[derive(Deserialize)]
pub struct Delete {
    #[serde(rename = "Object", default)]
    pub objects: Vec<Named>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named {
    pub key: String,
}

/// What was deleted.
#[derive(Serialize)]
#[serde(rename = "DeleteResult")]
pub struct Deleted {
    #[serde(rename = "Deleted")]
    pub objects: Vec<Named>,
}

/// An upload in parts has begun.
#[derive(Serialize)]
#[serde(rename = "InitiateMultipartUploadResult", rename_all = "PascalCase")]
pub struct Begun {
    pub upload_id: String,
}

/// A part was copied, or an upload is complete.
#[derive(Serialize)]
#[serde(rename = "Result")]
pub struct Tagged {
    #[serde(rename = "ETag")]
    pub tag: String,
}
