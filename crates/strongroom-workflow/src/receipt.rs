//! What a transfer stored: handles, sizes, digests.

use futures::stream::{self, StreamExt};
use futures::{FutureExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use strongroom_storage::{Digest, Error, ErrorKind, Result};

use crate::handle::Handle;
use crate::resource::Resource;
use crate::storages::Storages;

/// How many requests for metadata are under way at once.
const AT_ONCE: usize = 16;

/// What a transfer stored, sorted by name.
///
/// It is plain data: save it as JSON, read it back in another process, and ask whether the storage still has just that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The files.
    pub entries: Vec<ReceiptEntry>,
}

/// One file of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptEntry {
    /// The file's name in the unit's scratch directory.
    pub name: String,
    /// Where it is now.
    pub handle: Handle,
    /// Its size, in bytes.
    pub size: u64,
    /// The BLAKE3 of its content.
    #[serde(with = "digest_text")]
    pub blake3: Digest,
}

impl Receipt {
    /// The entry of the file called `name` in scratch.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ReceiptEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Reads every file and compares it with this receipt. All files are looked at; the error names each that differs.
    ///
    /// # Errors
    /// Those of [`ReceiptEntry::verify`], for the first file that differs.
    pub async fn verify(&self, storages: &Storages) -> Result<()> {
        let mut failed = Vec::new();
        for entry in &self.entries {
            failed.extend(entry.verify(storages).await.err());
        }
        first_of(failed)
    }

    /// Compares sizes and the digests that the storages have on record, and reads no content.
    ///
    /// # Errors
    /// Those of [`ReceiptEntry::verify_record`], for the first file that differs.
    pub async fn verify_records(&self, storages: &Storages) -> Result<()> {
        // Boxed, or else the compiler does not see that whoever awaits this may do so on any thread.
        let answers: Vec<_> = self.entries.iter().map(|entry| entry.verify_record(storages).boxed()).collect();
        let answers = stream::iter(answers).buffered(AT_ONCE);
        first_of(answers.filter_map(async |answer| answer.err()).collect().await)
    }
}

impl ReceiptEntry {
    /// The stored file, as a resource that gives this entry's content or [`ErrorKind::Changed`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no storage of the handle's name.
    pub fn open(&self, storages: &Storages) -> Result<Resource> {
        Ok(storages.open(&self.handle)?.with_expected(self.blake3))
    }

    /// Reads the stored file and compares it with this entry.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`], with both digests, if the content is another now; [`ErrorKind::Missing`] if it is gone; those of
    /// [`ExternalStorage::load`](strongroom_storage::ExternalStorage::load).
    pub async fn verify(&self, storages: &Storages) -> Result<()> {
        self.open(storages)?.stream().await?.try_for_each(async |_| Ok(())).await
    }

    /// Compares size and, where the storage has it on record, digest, without reading the content.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify).
    pub async fn verify_record(&self, storages: &Storages) -> Result<()> {
        let metadata = self.open(storages)?.metadata().await?;
        if metadata.size == self.size {
            return Ok(());
        }
        let detail = format!("the content changed: it had {} bytes, now it has {}", self.size, metadata.size);
        Err(Error::new(ErrorKind::Changed, "verify", &self.handle, detail))
    }
}

/// The first of several errors, with the names of the others.
fn first_of(errors: Vec<Error>) -> Result<()> {
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else { return Ok(()) };
    let others: Vec<_> = errors.map(|error| format!("{} ({})", error.subject(), error.kind())).collect();
    if others.is_empty() {
        return Err(first);
    }
    let detail = format!("{}; and {} more: {}", first.detail(), others.len(), others.join(", "));
    Err(Error::new(first.kind(), first.operation(), first.subject(), detail).with_source(first))
}

/// A digest as a hexadecimal JSON string.
mod digest_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use strongroom_storage::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
