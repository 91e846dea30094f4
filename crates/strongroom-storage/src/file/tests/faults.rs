//! File systems that are full, read-only, or lose power. Only root can mount them.

use std::fmt::Write;

use super::*;
use crate::blocking;

/// A file system of its own; unmounted when it is dropped.
struct Mount {
    point: PathBuf,
    image: Option<PathBuf>,
    _folder: TempDir,
}

impl Mount {
    fn in_memory(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let point = folder.path().to_path_buf();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "none", text(&point)]);
        Self { point, image: None, _folder: folder }
    }

    fn on_disk(megabytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (point, image) = (folder.path().join("mounted"), folder.path().join("image"));
        std::fs::File::create(&image).and_then(|file| file.set_len(megabytes << 20)).expect("an image");
        std::fs::create_dir(&point).expect("a folder");
        run("mkfs.ext4", &["-q", text(&image)]);
        let mount = Self { point, image: Some(image), _folder: folder };
        mount.mount();
        mount
    }

    fn mount(&self) {
        if let Some(image) = &self.image {
            run("mount", &["-o", "loop", text(image), text(&self.point)]);
        }
    }

    fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), text(&self.point)]);
    }

    /// The power fails: what was not written is gone. Mounts again.
    fn lose_power(&self) {
        // The request is EXT4_IOC_SHUTDOWN; 2 means not to write the journal first.
        let shutdown = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        run("python3", &["-c", shutdown, text(&self.point)]);
        run("umount", &[text(&self.point)]);
        self.mount();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // When this fails, the folder can't be removed either, and stays.
        let _ = output(Command::new("umount").arg("-l").arg(&self.point));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_full_disk_is_unavailable_and_leaves_the_old_object_and_nothing_else() {
    if !is_root() {
        return;
    }
    for (way, config) in ways() {
        let mount = Mount::in_memory(8);
        let root = mount.point.join("root");
        let storage = blocking::Storage::new(Arc::new(FileStorage::with_config(&root, config)));
        // A process that is being started would hold the space of files that are gone.
        let _nobody_starts = STARTING.lock();
        storage.store_bytes(&at("a/b"), "before").expect("store");
        let source = tempfile::NamedTempFile::new().expect("a file");
        source.as_file().set_len(9 << 20).expect("a large file");
        let large = bytes::Bytes::from(vec![0; 3 << 20]);
        let pieces = futures::stream::iter([Ok(large.clone()), Ok(large.clone()), Ok(large)]);
        let sources =
            [Source::bytes(vec![0; 9 << 20]), Source::path(source.path()), Source::stream(pieces)].into_iter();
        for (source, location) in sources.zip(["a/b", "a/c", "new/d"]) {
            let stored = storage.store(&at(location), source, &StoreOptions::default());
            let error = check_kind(stored, ErrorKind::Unavailable, "no space is left");
            assert!(!error.may_have_happened());
            assert_eq!(tree(&root), names(&["a", "a/b"]), "{way}");
            assert_eq!(storage.load_bytes(&at("a/b"), ..).expect("load"), "before", "{way}");
        }
        let half = Source::bytes(vec![0; 4 << 20]);
        storage.store(&at("a/b"), half, &StoreOptions::default()).expect("there is space for this");
        // What is replaced needs its space until then.
        let second = storage.store(&at("a/b"), Source::bytes(vec![0; 5 << 20]), &StoreOptions::default());
        check_kind(second, ErrorKind::Unavailable, "no space is left");
        storage.delete(&at("a/b")).expect("delete");
        let second = storage.store(&at("a/b"), Source::bytes(vec![0; 5 << 20]), &StoreOptions::default());
        second.expect("the space is free");
        assert_eq!(tree(&root), names(&["a", "a/b"]), "{way}");
    }
}

#[tokio::test]
async fn on_a_read_only_file_system_storing_is_denied_and_reading_works() {
    if !is_root() {
        return;
    }
    for (way, config) in ways() {
        let mount = Mount::in_memory(8);
        let storage = FileStorage::with_config(mount.point.join("root"), config);
        storage.store_bytes(&at("a/b"), "before".into()).await.expect("store");
        mount.remount("ro");
        let (replace, create) = (StoreOptions::default(), StoreOptions::create());
        check_kind(storage.store(&at("a/b"), "new".into(), &create).await, ErrorKind::AlreadyExists, "a/b");
        for (location, modes) in
            [("a/b", vec![replace]), ("a/c", vec![replace, create]), ("new/c", vec![replace, create])]
        {
            for options in modes {
                let error = check_kind(
                    storage.store(&at(location), "new".into(), &options).await,
                    ErrorKind::Denied,
                    "the file system is read-only",
                );
                assert!(error.subject().starts_with(text(storage.root())), "{error}");
            }
        }
        check_kind(storage.delete(&at("a/b")).await, ErrorKind::Denied, "read-only");
        assert_eq!(load(&storage, "a/b").await.expect("load"), "before", "{way}");
        mount.remount("rw");
        storage.store_bytes(&at("a/b"), "after".into()).await.expect("store");
        assert_eq!(load(&storage, "a/b").await.expect("load"), "after", "{way}");
        assert_eq!(tree(storage.root()), names(&["a", "a/b"]), "{way}");
    }
}

#[tokio::test]
async fn below_another_file_system_nothing_is_replaced_and_the_error_says_what_to_do() {
    if !is_root() {
        return;
    }
    for (way, config) in ways() {
        let mount = Mount::in_memory(8);
        let root = mount.point.join("root");
        std::fs::create_dir_all(root.join("other")).expect("folders");
        // Goes with the file system that it is mounted on.
        run("mount", &["-t", "tmpfs", "-o", "size=8m", "none", text(&root.join("other"))]);
        std::fs::write(root.join("other/a"), "before").expect("write");
        let storage = FileStorage::with_config(&root, config);
        let stored = storage.store_bytes(&at("other/a"), "new".into()).await;
        check_kind(stored, ErrorKind::Unsupported, "another file system");
        assert_eq!(load(&storage, "other/a").await.expect("load"), "before", "{way}");
        assert_eq!(tree(&root), names(&["other", "other/a"]), "{way}");
        storage.store_bytes(&at("a"), "beside".into()).await.expect(way);
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_the_power_failed() {
    if !is_root() {
        return;
    }
    let mount = Mount::on_disk(64);
    let mut lines = String::new();
    for line in 0..10_000 {
        writeln!(lines, "{line}").expect("text");
    }
    // The power fails after each, because every fsync writes the whole journal.
    for (number, (way, config)) in ways().into_iter().enumerate() {
        let storage = FileStorage::with_config(mount.point.join(format!("new/root{number}")), config);
        // Somebody else's folders, of which nobody knows whether they are durable.
        std::fs::create_dir_all(storage.root().join("made/by/another")).expect("folders");
        let create = StoreOptions::create();
        storage.store(&at("made/by/another/a"), Source::bytes(lines.clone()), &create).await.expect(way);
        mount.lose_power();
        assert_eq!(load(&storage, "made/by/another/a").await.expect(way), lines);
        storage.store(&at("made/by/another/a"), "new".into(), &StoreOptions::default()).await.expect(way);
        mount.lose_power();
        assert_eq!(load(&storage, "made/by/another/a").await.expect(way), "new");
        let source = mount.point.join("source");
        std::fs::write(&source, "moved").expect("write");
        storage.store(&at("d/e/f"), Source::consumed_path(source), &create).await.expect(way);
        mount.lose_power();
        assert_eq!(load(&storage, "d/e/f").await.expect(way), "moved");
    }
}

#[tokio::test]
async fn the_power_failure_of_these_tests_loses_what_is_not_durable() {
    if !is_root() {
        return;
    }
    let mount = Mount::on_disk(64);
    let storage = FileStorage::new(mount.point.join("root"));
    let relaxed = StoreOptions::default().with_durability(crate::Durability::Relaxed);
    storage.store(&at("a"), "1".into(), &relaxed).await.expect("store");
    mount.lose_power();
    assert!(!storage.exists(&at("a")).await.expect("exists"));
}
