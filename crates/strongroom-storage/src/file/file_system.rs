//! Which file system a folder is on, and whether what one machine sees of it is what is there.
//!
//! Clients of network file systems keep what they saw for a while: listings, the attributes of files, and that a name is *not*
//! there. What another machine has stored, or deleted, may so be noticed late. `docs/network-file-systems.md` says what that means.

use std::path::Path;

/// What is known of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSystem {
    /// Of this machine alone: what the operating system has in memory is what is there.
    Local,
    /// Of many machines, which hold locks on what they have in memory: each sees at once what another did.
    Coherent,
    /// One that lags, or that nothing is known of: a machine may see late what another did.
    Lagging,
}

/// The numbers by which statfs(2) tells file systems apart, those of the file systems' own headers.
#[cfg(any(target_os = "linux", test))]
mod magic {
    pub(super) const LOCAL: [u32; 17] = [
        0xca45_1a4e, // bcachefs
        0x9123_683e, // btrfs
        0xef53,      // ext2, ext3, ext4
        0x2011_bab0, // exFAT
        0xf2f5_2010, // f2fs
        0x3153_464a, // JFS
        0x4d44,      // FAT
        0x3434,      // NILFS2
        0x7366_746e, // NTFS, by the kernel itself
        0x794c_7630, // overlayfs, which keeps what is written on a local file system
        0x8584_58f6, // ramfs
        0x5265_4973, // ReiserFS
        0x0102_1994, // tmpfs
        0x1501_3346, // UDF
        0x0001_1954, // UFS
        0x5846_5342, // XFS
        0x2fc1_2fc1, // ZFS
    ];
    pub(super) const COHERENT: [u32; 5] = [
        0x00c3_6400, // CephFS, by the kernel itself
        0x0116_1970, // GFS2
        0x4750_4653, // GPFS (IBM Storage Scale)
        0x0bd0_0bd0, // Lustre
        0x7461_636f, // OCFS2
    ];
    /// All else lags as far as is known. These are known to, or can be set up so that they do.
    #[cfg(test)]
    pub(super) const LAGGING: [u32; 16] = [
        0x6969,      // NFS
        0x517b,      // SMB 1, as it was
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB 2 and 3
        0x0102_1997, // 9P, also of virtual machines and WSL: what it keeps is an option of the mount
        0x5346_414f, // OpenAFS
        0x6b41_4653, // AFS, by the kernel itself
        0x7375_7245, // Coda
        0x564c,      // NCP
        0x6573_5546, // FUSE: sshfs, s3fs, gcsfuse, rclone, GlusterFS, virtiofs; local ones can't be told from these
        0xaad7_aaea, // PanFS
        0x1983_0326, // BeeGFS
        0x2003_0528, // OrangeFS
        0x786f_4256, // folders of VirtualBox
        0xbacb_acbc, // folders of VMware
        0x0000_0187, // autofs: what will be mounted there is not known yet
    ];
}

impl FileSystem {
    /// The file system that statfs(2) calls `magic`.
    ///
    /// What is not known is taken to lag: that costs a word on the command line, the other error content.
    #[cfg(any(target_os = "linux", test))]
    fn of_magic(magic: u32) -> Self {
        if magic::LOCAL.contains(&magic) {
            Self::Local
        } else if magic::COHERENT.contains(&magic) {
            Self::Coherent
        } else {
            Self::Lagging
        }
    }

    /// The one that the folder at `path` is on. `None` if there is no folder yet.
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = rustix::fs::statfs(path).ok()?;
        // The type is a signed word, of 32 bits on some machines; the numbers all have 32 bits.
        Some(Self::of_magic(found.f_type as u32))
    }

    /// Other operating systems have other ways to say it, of which nothing is made here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.exists().then_some(Self::Lagging)
    }

    /// The one that the folder at `path` is on, or will be on when it is made.
    pub(super) fn of_nearest(path: &Path) -> Self {
        path.ancestors().find_map(Self::of).unwrap_or(Self::Lagging)
    }
}

/// For how many bytes there is room where the folder at `path` is, or will be made.
pub(super) fn available_bytes(path: &Path) -> Option<u64> {
    let found = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_magic_number_has_its_answer() {
        for (magic, expected) in [
            (&magic::LOCAL[..], FileSystem::Local),
            (&magic::COHERENT[..], FileSystem::Coherent),
            (&magic::LAGGING[..], FileSystem::Lagging),
        ] {
            for magic in magic {
                assert_eq!(FileSystem::of_magic(*magic), expected, "{magic:#x}");
            }
        }
        for unknown in [0, 1, 0xffff_ffff, 0x6968] {
            assert_eq!(FileSystem::of_magic(unknown), FileSystem::Lagging, "{unknown:#x}");
        }
    }

    /// Those which are in the kernel's own table (linux/magic.h), by the name that they have there.
    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_of_this_machine_are_what_they_are_mounted_as() {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
        let mut looked_at = 0;
        for mount in mounts.lines() {
            let mut words = mount.split(' ').skip(1);
            let (Some(folder), Some(kind)) = (words.next(), words.next()) else { continue };
            let expected = match kind {
                "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "overlay" | "tmpfs" | "f2fs" | "zfs" => FileSystem::Local,
                "ceph" | "lustre" | "gpfs" => FileSystem::Coherent,
                "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" | "fuse" | "proc" | "sysfs" => {
                    FileSystem::Lagging
                }
                _ => continue,
            };
            // A folder may be covered by another mount, or not be reached.
            let last = mounts.lines().rfind(|other| other.split(' ').nth(1) == Some(folder)) == Some(mount);
            if let Some(found) = FileSystem::of(Path::new(folder)).filter(|_| last) {
                assert_eq!(found, expected, "{mount}");
                looked_at += 1;
            }
        }
        assert!(looked_at > 0, "{mounts}");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_will_be_where_the_one_above_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let later = folder.path().join("not/there/yet");
        assert_eq!(FileSystem::of(&later), None);
        assert_eq!(Some(FileSystem::of_nearest(&later)), FileSystem::of(folder.path()));
        assert_eq!(FileSystem::of_nearest(Path::new("")), FileSystem::Lagging);
    }
}
