//! What only plain files promise; the promises of every storage are tested by the conformance suite.

mod cancel;
mod consume;
mod create;
mod durable;
mod faults;
mod handout;
mod listing;
mod neighbours;
mod overwrite;
mod read;
mod read_only;
mod sharing;
mod sources;
mod users;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::error::{Error, ErrorKind};
use place::TEMPORARY_FOLDER;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// A storage in a folder of its own.
struct Bench {
    folder: TempDir,
    storage: FileStorage,
}

impl Bench {
    fn new() -> Self {
        Self::with(FileConfig::default())
    }

    fn with(config: FileConfig) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = FileStorage::with_config(folder.path().join("root"), config);
        Self { folder, storage }
    }

    /// A file outside the storage.
    fn outside(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("write");
        path
    }

    async fn store(&self, location: &str, content: &'static str) {
        self.storage.store_bytes(&at(location), content.into()).await.expect(location);
    }

    async fn load(&self, location: &str) -> String {
        load(&self.storage, location).await.expect(location)
    }

    /// Everything below the root but the folder of temporary files.
    fn tree(&self) -> BTreeSet<String> {
        tree(self.storage.root())
    }
}

async fn load(storage: &FileStorage, location: &str) -> Result<String> {
    let bytes = storage.load_bytes(&at(location), ByteRange::All).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Every file and folder below `root`, and every file that is left in the folder of temporary ones.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            if path.is_dir() {
                folders.push(path);
            }
            if name != TEMPORARY_FOLDER {
                found.insert(name);
            }
        }
    }
    found
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Every way in which files come to their names.
fn ways() -> Vec<(&'static str, FileConfig)> {
    let normal = FileConfig::default;
    vec![
        ("files without a name", normal()),
        ("files with a name", normal().without_unnamed_files(true)),
        ("files with a name that can't be linked", normal().without_unnamed_files(false)),
        (
            "files without a name that can't be linked",
            FileConfig { unnamed_files: true, ..normal().without_unnamed_files(false) },
        ),
        // As when others are faster between the link and the rename.
        (
            "files with a name where nothing but the rename says that another is taken",
            FileConfig { unnamed_files: false, link: |_, _, _| Err(rustix::io::Errno::PERM.into()), ..normal() },
        ),
    ]
}

#[track_caller]
fn check_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, says: &str) -> Error {
    let error = result.expect_err(says);
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(says), "{error} does not say {says}");
    error
}

fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Whether this is root, who alone can mount file systems and be other users. Continuous integration must be.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(root || !must, "this test has to run as root");
    if !root {
        eprintln!("skipped: only root can do this; run the tests as root");
    }
    root
}

/// Held while a process is started: until it executes its program, it has all files open that this one has.
static STARTING: Mutex<()> = Mutex::new(());

/// What the program says and how it ends.
fn output(command: &mut Command) -> Output {
    let starting = STARTING.lock();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    drop(starting);
    child.and_then(Child::wait_with_output).expect("the program can be started")
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = output(Command::new(program).args(arguments));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
