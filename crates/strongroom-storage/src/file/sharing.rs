//! With whom a folder is shared: its own permissions say it, and so every process knows.

use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::Ordering;

use super::place::Place;
use crate::error::{Error, ErrorKind, Result};

/// With whom a folder is shared, much as git's `core.sharedRepository` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With its group, who may read and write; nobody else may enter.
    Group,
    /// With its group, who may read and write, and with everybody, who may read.
    All,
}

impl Sharing {
    /// What the permissions of a root folder say.
    fn of(mode: u32) -> Option<Self> {
        let allows = |bits| mode & bits == bits;
        allows(0o2070).then(|| if allows(0o005) { Self::All } else { Self::Group })
    }

    /// The permissions that a folder has besides those that the umask leaves. New folders hand their group on.
    fn folder_bits(self) -> u32 {
        match self {
            Self::Group => 0o2770,
            Self::All => 0o2775,
        }
    }

    /// The permissions of a root folder that had `mode`.
    fn root_mode(self, mode: u32) -> u32 {
        match self {
            Self::Group => (mode | self.folder_bits()) & !0o007,
            Self::All => mode | self.folder_bits(),
        }
    }

    /// What `chmod` is to be told for that.
    fn chmod(self) -> &'static str {
        match self {
            Self::Group => "g+rwxs,o-rwx",
            Self::All => "g+rwxs,o+rx",
        }
    }
}

impl Place {
    /// The permissions that a file below the root should have if the umask gave it `mode`.
    pub(super) fn file_mode(&self, mode: u32) -> io::Result<u32> {
        Ok(mode | self.sharing()?.map_or(0, |sharing| sharing.folder_bits() & 0o666))
    }

    /// The permissions that a folder below the root should have if the umask gave it `mode`.
    pub(super) fn folder_mode(&self, mode: u32) -> io::Result<u32> {
        Ok(mode | self.sharing()?.map_or(0, Sharing::folder_bits))
    }

    /// What the root folder says, which is asked once.
    fn sharing(&self) -> io::Result<Option<Sharing>> {
        let mut mode = self.root_mode.load(Ordering::Relaxed);
        if mode == 0 {
            mode = match std::fs::metadata(&self.root) {
                Ok(root) => root.mode(),
                // Somebody removed it just now; it will be made again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            self.root_mode.store(mode, Ordering::Relaxed);
        }
        Ok(Sharing::of(mode))
    }

    /// Makes the root if need be and gives it the permissions that say `sharing`.
    pub(super) fn share(&self, sharing: Sharing) -> Result<()> {
        let failed = |error| Error::from_io("share", self.root.display(), error);
        self.make_root().map_err(|error| error.in_operation("share", self.root.display()))?;
        let root = std::fs::metadata(&self.root).map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        if Sharing::of(root.mode()) != Some(sharing) {
            self.change_root(&root, sharing)?;
            self.sync_entries(&self.root, None).map_err(failed)?;
        }
        let root = std::fs::metadata(&self.root).map_err(failed)?;
        self.root_mode.store(root.mode(), Ordering::Relaxed);
        Ok(())
    }

    fn change_root(&self, root: &Metadata, sharing: Sharing) -> Result<()> {
        let set = |mode| std::fs::set_permissions(&self.root, Permissions::from_mode(mode & 0o7777));
        let failed = |error| Error::from_io("share", self.root.display(), error);
        let denied = |detail: String| Error::new(ErrorKind::Denied, "share", self.root.display(), detail);
        match set(sharing.root_mode(root.mode())) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let (owner, change) = (root.uid(), sharing.chmod());
                let detail = format!("it belongs to user {owner}, who has to share it (chmod {change})");
                return Err(denied(detail).with_source(error));
            }
            other => other.map_err(failed)?,
        }
        // Who is not of the group is not told that the set-group-id bit was left out.
        if Sharing::of(std::fs::metadata(&self.root).map_err(failed)?.mode()) == Some(sharing) {
            return Ok(());
        }
        set(root.mode()).map_err(failed)?;
        let group = root.gid();
        Err(denied(format!("its group is {group}, which you are not in; give it another group first (chgrp)")))
    }
}
