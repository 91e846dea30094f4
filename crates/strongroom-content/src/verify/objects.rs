//! Hashing objects that are kept in chunks as a whole: that each chunk is what its digest says does not show that they are the
//! object's.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_storage::{Digest, Result};

use super::checks::Checks;
use super::names::is_damage;
use crate::chunk::Chunk;
use crate::content::Content;

/// The objects that were hashed in this verification, and what came of it, by what tells their lists apart.
#[derive(Debug, Default)]
pub(super) struct CheckedObjects(HashMap<Digest, Option<Digest>>);

impl CheckedObjects {
    /// The digest that the chunks of an object really make up, if that is another than its own.
    ///
    /// Reading verifies chunks and not this, since it would have to hash everything twice. So it is done once for each list: what the
    /// digests of its chunks make up never changes, and is remembered for ever.
    pub(super) async fn other_digest(
        &mut self,
        checks: &Checks<'_>,
        content: &Content,
        chunks: &[Chunk],
    ) -> Result<Option<Digest>> {
        // The digest of a single chunk is compared whenever its list is read.
        if !checks.options.data || chunks.len() < 2 || checks.memory.has_list(&content.digest, chunks) {
            return Ok(None);
        }
        let mut key = blake3::Hasher::new();
        key.update(content.digest.as_bytes());
        for chunk in chunks {
            key.update(chunk.digest.as_bytes());
        }
        let key = Digest::from(key.finalize());
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let subject = format!("b3:{}", content.digest);
        let read = async {
            let stream = Arc::clone(checks.store).open_content(content, 0..content.size, &subject).await?;
            checks.hash(stream).await
        };
        let found = match read.await {
            Ok((found, ..)) => found,
            // Taken away or damaged meanwhile. That is found when it is looked for.
            Err(error) if is_damage(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let other = (found != content.digest).then_some(found);
        if other.is_none() {
            checks.memory.add_list(checks.store, &content.digest, chunks).await;
        }
        self.0.insert(key, other);
        Ok(other)
    }
}
