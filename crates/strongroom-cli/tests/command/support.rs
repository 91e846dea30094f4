//! A folder of its own for each test, and the command in it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The command as it was built.
pub const STRONGROOM: &str = env!("CARGO_BIN_EXE_strongroom");
/// A user that owns nothing.
pub const NOBODY: u32 = 65534;

/// A folder to work in; its store is the default one.
pub struct Place {
    folder: TempDir,
}

/// How a call ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    call: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, content).expect("a file");
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(STRONGROOM);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("STRONGROOM_STORE")
            .env("STRONGROOM_CACHE", "off")
            .stdin(Stdio::null());
        command.env("USER", "tester");
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Runs a call given as words, which must succeed; its stdout.
    #[track_caller]
    pub fn ok(&self, words: &str) -> String {
        self.run(words.split_whitespace()).ok()
    }

    /// Runs a call given as words, which must end with `code` and say `what` on stderr.
    #[track_caller]
    pub fn fails(&self, words: &str, code: i32, what: &str) -> Ran {
        self.run(words.split_whitespace()).ends(code, what)
    }

    /// Runs a call given as words, with `input` on stdin.
    pub fn run_with(&self, words: &str, input: &[u8]) -> Ran {
        let mut child = (self.command(words.split_whitespace()).stdin(Stdio::piped()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().expect("the command ends");
        writer.join().expect("written");
        Ran::new(output, words.into())
    }

    /// Runs a call given as words with `--json`, which must succeed; the objects that it printed.
    #[track_caller]
    pub fn json(&self, words: &str) -> Vec<Value> {
        let stdout = self.run(words.split_whitespace().chain(["--json"])).ok();
        objects(&stdout)
    }

    /// The same for a call that prints one object.
    #[track_caller]
    pub fn one_json(&self, words: &str) -> Value {
        let mut objects = self.json(words);
        assert_eq!(objects.len(), 1, "{words}: {objects:?}");
        objects.remove(0)
    }

    /// The locations that `ls` prints.
    #[track_caller]
    pub fn ls(&self, prefix: &str) -> Vec<String> {
        self.ok(&format!("ls {prefix}")).lines().map(String::from).collect()
    }

    /// All files of the store below one of its folders.
    pub fn store_files(&self, below: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.path(".strongroom").join(below), &mut files);
        files.retain(|path| !path.is_dir());
        files
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the command starts");
    Ran::new(output, format!("{:?}", command.get_args().collect::<Vec<_>>()))
}

impl Ran {
    pub fn new(output: Output, call: String) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("talk is text");
        assert!(!stderr.contains('\x1b') && !stderr.contains("panicked"), "{call}: {stderr}");
        Self { code: output.status.code(), stdout: output.stdout, stderr, call }
    }

    #[track_caller]
    pub fn ok(self) -> String {
        String::from_utf8(self.ends(0, "").stdout).expect("text")
    }

    #[track_caller]
    pub fn ends(self, code: i32, what: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}: {}", self.call, self.stderr);
        assert!(self.stderr.contains(what), "{}: {:?} is not in {}", self.call, what, self.stderr);
        self
    }
}

/// The object on each line.
#[track_caller]
pub fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What must be equal of two trees: paths, contents, times, the right to execute, links.
pub fn tree(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    walk(folder, &mut paths);
    let describe = |path: &PathBuf| {
        let metadata = fs::symlink_metadata(path).expect("it was listed");
        let relative = path.strip_prefix(folder).expect("below").display().to_string();
        if metadata.is_dir() {
            return format!("{relative}/");
        }
        let content = match metadata.is_symlink() {
            true => format!("-> {}", fs::read_link(path).expect("a link").display()),
            false => blake3::hash(&fs::read(path).expect("readable")).to_hex().to_string(),
        };
        let executable = metadata.is_symlink() || metadata.permissions().mode() & 0o100 != 0;
        format!("{relative} {content} {executable} {}.{}", metadata.mtime(), metadata.mtime_nsec())
    };
    paths.iter().map(describe).collect()
}

/// Everything below a folder, folders and files, in order.
pub fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        found.push(path.clone());
        if is_folder {
            walk(&path, found);
        }
    }
}

/// Bytes that don't compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// For tests that need root: says that they are left out, or with `CI=true` fails.
pub fn needs_root(what: &str) -> bool {
    if is_root() {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is tested as root only");
    eprintln!("left out: {what} is tested as root only");
    false
}

/// Runs a call as somebody without rights: as nobody if we are root, as ourselves otherwise.
pub fn run_without_rights(place: &Place, words: &str) -> Ran {
    use std::os::unix::process::CommandExt;
    let mut command = place.command(words.split_whitespace());
    if is_root() {
        command = Command::new(program_for_all(place));
        command
            .args(words.split_whitespace())
            .current_dir(place.path(""))
            .env_remove("STRONGROOM_STORE")
            .env("STRONGROOM_CACHE", "off");
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
    }
    ran(&mut command)
}

/// The command where everybody can reach it: the folders that lead to it may be closed to others.
fn program_for_all(place: &Place) -> PathBuf {
    let program = place.path("strongroom-for-all");
    if !program.exists() {
        fs::hard_link(STRONGROOM, &program).or_else(|_| fs::copy(STRONGROOM, &program).map(drop)).expect("a copy");
    }
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    program
}

/// A user with a group of their own, and perhaps in the project's.
#[derive(Clone, Copy)]
pub struct User {
    pub id: u32,
    pub in_project: bool,
    pub umask: &'static str,
}

/// The group of a project.
pub const PROJECT: u32 = 2000;

impl User {
    /// Runs a call given as words; only root can.
    pub fn run(self, place: &Place, words: &str) -> Ran {
        let program = program_for_all(place);
        let words = words.split_whitespace().map(OsStr::new);
        self.run_program(place, std::iter::once(program.as_os_str()).chain(words))
    }

    /// Runs a line of shell.
    pub fn shell(self, place: &Place, line: &str) -> Ran {
        self.run_program(place, ["sh", "-euc", line].map(OsStr::new))
    }

    fn run_program<'a>(self, place: &Place, program: impl IntoIterator<Item = &'a OsStr>) -> Ran {
        let groups = if self.in_project { format!("--groups={PROJECT}") } else { "--clear-groups".into() };
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={}", self.id), format!("--regid={}", self.id), groups])
            .args(["sh", "-euc", "umask \"$0\"; exec \"$@\"", self.umask])
            .args(program)
            .current_dir(place.path(""))
            .env_remove("STRONGROOM_STORE")
            .env("STRONGROOM_CACHE", "off")
            .stdin(Stdio::null());
        ran(&mut command)
    }
}
