//! Finding objects by their digest, or by its beginning.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use strongroom_storage::{Digest, Error, ErrorKind, Location, Result};

use crate::chunk::{Chunk, List};
use crate::content::{Body, Content, total_size};
use crate::entry::{Attributes, Object};
use crate::grid::cells_match;
use crate::nonce::Nonce;
use crate::object::ObjectRef;
use crate::paths;
use crate::read::damaged;
use crate::record::{DigestPrefix, Kind};
use crate::store::{ContentStorage, Inner};

/// How many candidates an error about an ambiguous digest names.
const CANDIDATES_SHOWN: usize = 8;

impl ContentStorage {
    /// The object with this digest: `b3:` and at least one hexadecimal digit of it, as many as make it unique; the `b3:` may be
    /// left out.
    ///
    /// Packs and files are looked through by their indexes. What is kept with its name is found by reading all names, which
    /// is done only if the digest is not given in full or not found otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no digest, or more than one object has such a digest; [`ErrorKind::Missing`] if none has.
    pub async fn find_digest(&self, text: &str) -> Result<ObjectRef> {
        let refuse = |kind, detail: String| Err(Error::new(kind, "find", text, detail));
        let Some(prefix) = DigestPrefix::parse(text.strip_prefix("b3:").unwrap_or(text)) else {
            return refuse(ErrorKind::Invalid, "expected `b3:` and up to 64 hexadecimal digits".into());
        };
        let knows_all = self.inner.catalog.learn_quickly().await?;
        let mut digests = self.inner.digests_with(&prefix).await?;
        if !knows_all && (digests.is_empty() || prefix.whole().is_none()) {
            self.inner.catalog.learn().await?;
            digests = self.inner.digests_with(&prefix).await?;
        }
        let mut inline = None;
        if digests.is_empty() || prefix.whole().is_none() {
            let mut objects = self.objects("");
            while let Some(object) = objects.try_next().await? {
                if matches!(object.object.content.body, Body::Inline(_)) && prefix.matches(&object.digest()) {
                    digests.insert(object.digest());
                    inline = Some(object.object.content);
                }
            }
        }
        let digest = match digests.len() {
            0 => return refuse(ErrorKind::Missing, "there is no content with this digest".into()),
            1 => digests.pop_first().unwrap_or_else(|| Digest::of(b"")),
            count => {
                let shown: Vec<String> =
                    digests.iter().take(CANDIDATES_SHOWN).map(|digest| format!("b3:{digest}")).collect();
                let more = if count > shown.len() { ", ..." } else { "" };
                return refuse(
                    ErrorKind::Invalid,
                    format!("{count} digests begin so: {}{more}; give more digits", shown.join(", ")),
                );
            }
        };
        let content = match self.inner.content_of(&digest).await? {
            Some(content) => content,
            None => match inline {
                Some(content) => content,
                None => return refuse(ErrorKind::Missing, "there is no content with this digest".into()),
            },
        };
        let location = Location::parse(&format!("b3:{digest}"))?;
        Ok(ObjectRef::unnamed(self.inner.clone(), location, Object { content, attributes: Attributes::default() }))
    }

    /// Which of these digests there is content with, in packs or as a file of its own. What is kept with its name, as very small
    /// objects are, is not looked at.
    ///
    /// Millions can be asked for at once; no content is read.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn contains_digests(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let knows_all = self.inner.catalog.learn_quickly().await?;
        let there = self.inner.catalog.contains(digests).await?;
        if knows_all || there.iter().all(|there| *there) {
            return Ok(there);
        }
        self.inner.catalog.learn().await?;
        self.inner.catalog.contains(digests).await
    }
}

impl Inner {
    /// The digests that begin so, of what is in packs and files, as far as that is known.
    async fn digests_with(&self, prefix: &DigestPrefix) -> Result<BTreeSet<Digest>> {
        let mut digests: BTreeSet<Digest> =
            self.catalog.search(prefix).await?.into_iter().map(|found| found.digest).collect();
        digests.extend(self.catalog.search_files(prefix));
        Ok(digests)
    }

    /// Content in packs and files by its digest.
    pub(crate) async fn content_of(&self, digest: &Digest) -> Result<Option<Content>> {
        if let Some(found) = self.catalog.find(Kind::Chunk, digest).await?.first() {
            let (size, body) = (u64::from(found.size), Body::Packed(found.place));
            return Ok(Some(Content { digest: *digest, size, body }));
        }
        for found in self.catalog.find(Kind::ChunkList, digest).await? {
            if let Ok(chunks) = self.read_list_at::<Chunk>(digest, &found.place, found.size).await
                && let Some(size) = total_size(&chunks)
                && let content = (Content { digest: *digest, size, body: Body::Chunked(List::Inline(chunks)) })
                && content.check().is_ok()
            {
                return Ok(Some(content));
            }
        }
        let mut damage = None;
        for nonce in self.catalog.files(digest) {
            match self.content_of_file(digest, nonce).await {
                Ok(content) => return Ok(Some(content)),
                // It went meanwhile.
                Err(error) if error.is_missing() => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => damage = Some(error),
                Err(error) => return Err(error),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// What is kept as this file. It is read as a whole where no list says what it should be.
    pub(crate) async fn content_of_file(&self, digest: &Digest, nonce: Nonce) -> Result<Content> {
        let location = paths::whole_file(digest, &nonce)?;
        let size = self.backend.metadata(&location).await?.size;
        let mut content = Content { digest: *digest, size, body: Body::Whole(nonce, List::Inline(Vec::new())) };
        for found in self.catalog.find(Kind::CellList, digest).await? {
            if let Ok(cells) = self.read_list_at(digest, &found.place, found.size).await
                && cells_match(&cells, size, digest)
            {
                content.body = Body::Whole(nonce, List::Inline(cells));
                return Ok(content);
            }
        }
        let Some(cells) = self.cells_from_file(&content, &nonce).await? else {
            return Err(damaged(&format!("b3:{digest}"), &format!("its file {location} is not what its name says")));
        };
        content.body = Body::Whole(nonce, List::Inline(cells));
        Ok(content)
    }
}
