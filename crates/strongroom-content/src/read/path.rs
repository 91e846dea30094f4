//! Handing out files as they are.

use std::sync::{Arc, PoisonError};

use strongroom_storage::{LocalPath, Location, Result};

use super::damaged;
use crate::content::Content;
use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

impl Inner {
    /// A file with all of `content`, which its entry says is the file `nonce`: that or another copy, verified when this handle
    /// hands it out for the first time, and called `name` where that is possible.
    pub(crate) async fn path_of(
        self: &Arc<Self>,
        content: &Content,
        nonce: Nonce,
        name: &str,
        subject: &Location,
    ) -> Result<LocalPath> {
        if let Some(path) = self.sound_path(content, nonce, name, subject).await? {
            return Ok(path);
        }
        for copy in self.other_copies(&content.digest, &nonce, true).await? {
            if let Some(path) = self.sound_path(content, copy, name, subject).await? {
                return Ok(path);
            }
        }
        let file = paths::whole_file(&content.digest, &nonce)?;
        Err(damaged(subject.as_str(), &format!("its file {file} is lost or damaged")).in_operation("path", subject))
    }

    async fn sound_path(
        self: &Arc<Self>,
        content: &Content,
        copy: Nonce,
        name: &str,
        subject: &Location,
    ) -> Result<Option<LocalPath>> {
        let file = paths::whole_file(&content.digest, &copy)?;
        let path = match self.backend.local_path(&file, Some(name)).await {
            Ok(path) => path,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.in_operation("path", subject)),
        };
        if !self.verified_files.lock().unwrap_or_else(PoisonError::into_inner).contains(&file) {
            if !self.is_sound(content, copy).await? {
                return Ok(None);
            }
            self.verified_files.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
        }
        Ok(Some(path))
    }
}
