//! A file system as strictly as POSIX has it: what a file holds is durable by its own fsync, that it has a name by one of its
//! folder, and everything else may be there after a power failure or not.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::trace::{Call, Phase};
use crate::worker::Answer;

type Entries = BTreeMap<String, usize>;

/// A change of a folder that is not durable.
#[derive(Clone, Debug)]
pub struct Change {
    pub number: usize,
    pub name: String,
    /// What the name stands for; nothing if it was removed.
    pub to: Option<usize>,
    /// Where the file that lost this name by a rename stands instead: it never loses both.
    pub moved_to: Option<(usize, String)>,
}

#[derive(Clone, Debug)]
pub enum Node {
    File { data: Arc<Vec<u8>>, durable: Arc<Vec<u8>>, names: usize, changed: usize },
    Folder { entries: Entries, durable: Entries, changes: Vec<Change> },
}

/// What an fsync was for: so that a test can leave some out.
pub struct Sync<'a> {
    /// Which process called it.
    pub process: usize,
    /// What is fsynced, if it is a folder, below the root.
    pub folder: Option<&'a str>,
    /// What a file begins with.
    pub magic: &'a [u8],
}

/// Which fsyncs count.
pub type SyncFilter<'a> = dyn Fn(&Sync<'_>) -> bool + std::marker::Sync + 'a;

/// What a call did to the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a power failure could show.
    None,
    /// Something.
    Changed,
    /// Nothing; but a process has said that its work is done.
    Answered,
}

#[derive(Clone)]
enum Snapshot {
    File(Arc<Vec<u8>>),
    Folder(Entries, usize),
    Ignored,
}

/// A disk below one folder.
#[derive(Clone)]
pub struct Disk {
    pub nodes: Vec<Node>,
    root: PathBuf,
    /// Open files: node and position.
    opened: Vec<(usize, u64)>,
    descriptors: HashMap<(usize, i64), usize>,
    syncing: HashMap<u32, (usize, Snapshot)>,
    changes: usize,
}

/// Calls that are not modelled and would change a file.
const UNKNOWN: &[&str] = &["copy_file_range", "sendfile", "splice", "pwritev", "pwritev2", "creat", "truncate"];

impl Disk {
    /// What is below the folder `root`, all of it durable.
    pub fn new(root: &Path) -> Self {
        let mut disk = Self {
            nodes: Vec::new(),
            root: root.to_path_buf(),
            opened: Vec::new(),
            descriptors: HashMap::new(),
            syncing: HashMap::new(),
            changes: 0,
        };
        disk.scan(root);
        disk
    }

    fn scan(&mut self, path: &Path) -> usize {
        let number = self.nodes.len();
        if path.is_dir() {
            self.nodes.push(Node::Folder { entries: Entries::new(), durable: Entries::new(), changes: Vec::new() });
            let mut found = Entries::new();
            for entry in std::fs::read_dir(path).expect("a folder") {
                let entry = entry.expect("an entry");
                found.insert(entry.file_name().into_string().expect("UTF-8"), self.scan(&entry.path()));
            }
            self.nodes[number] = Node::Folder { entries: found.clone(), durable: found, changes: Vec::new() };
        } else {
            let data = Arc::new(std::fs::read(path).expect("a file"));
            self.nodes.push(Node::File { durable: data.clone(), data, names: 1, changed: 0 });
        }
        number
    }

    /// Lets `call` of `process` take effect, an fsync only if `counts` says so.
    pub fn apply(&mut self, process: usize, call: &Call, counts: &SyncFilter<'_>) -> Effect {
        if call.result < 0 {
            self.syncing.remove(&call.thread);
            return Effect::None;
        }
        let is_sync = matches!(call.name.as_str(), "fsync" | "fdatasync" | "syncfs");
        if is_sync && call.phase != Phase::Ended {
            self.begin_sync(process, call, counts);
        }
        if call.phase == Phase::Begun {
            return Effect::None;
        }
        match call.name.as_str() {
            "fsync" | "fdatasync" | "syncfs" => return self.end_sync(call),
            "sendto" => {
                let line = String::from_utf8(call.bytes(1)).expect("answers are text");
                assert!(matches!(Answer::parse(&line), Answer::Done(_)), "{line}");
                return Effect::Answered;
            }
            "write" | "writev" => return self.write(process, call, None),
            "pwrite64" => return self.write(process, call, call.number(3)),
            "open" => self.open(process, call, 0),
            "openat" | "openat2" => self.open(process, call, 1),
            "fcntl" => {
                if let Some(from) = call.has_flag(1, "F_DUPFD").then(|| self.descriptor(process, call, 0)).flatten() {
                    self.descriptors.insert((process, call.result), from);
                }
            }
            "lseek" => {
                if let Some(open) = self.descriptor(process, call, 0) {
                    self.opened[open].1 = u64::try_from(call.result).expect("it did not fail");
                }
            }
            "ftruncate" => {
                if let Some(open) = self.descriptor(process, call, 0)
                    && let Node::File { data, changed, .. } = &mut self.nodes[self.opened[open].0]
                {
                    *changed += 1;
                    let length = call.number(1).expect("a length");
                    Arc::make_mut(data).resize(usize::try_from(length).expect("it fits"), 0);
                    return Effect::Changed;
                }
            }
            "link" | "linkat" | "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" | "rmdir" | "mkdir"
            | "mkdirat" | "symlink" | "symlinkat" => return self.change(process, call),
            "ioctl" => assert!(!call.has_flag(1, "CLONE"), "blocks are shared here, which is not modelled"),
            name => assert!(!UNKNOWN.contains(&name), "{name} is not modelled"),
        }
        Effect::None
    }

    fn descriptor(&self, process: usize, call: &Call, at: usize) -> Option<usize> {
        self.descriptors.get(&(process, call.descriptor(at)?)).copied()
    }

    /// The path of argument number `at`, which is relative to the one before if that is a descriptor, below the root.
    fn path(&self, call: &Call, at: usize, relative: bool) -> Option<PathBuf> {
        let path = PathBuf::from(call.text(at)?);
        let path = if relative { PathBuf::from(call.descriptor_path(at - 1)?).join(path) } else { path };
        path.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    fn entries(&self, folder: usize) -> Option<&Entries> {
        match &self.nodes[folder] {
            Node::Folder { entries, .. } => Some(entries),
            Node::File { .. } => None,
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut node = 0;
        for segment in path {
            node = *self.entries(node)?.get(segment.to_str()?)?;
        }
        Some(node)
    }

    /// The folder that `path` is in, and its name there.
    fn place(&self, path: &Path) -> Option<(usize, String)> {
        Some((self.find(path.parent()?)?, path.file_name()?.to_str()?.to_string()))
    }

    fn open(&mut self, process: usize, call: &Call, at: usize) {
        let key = (process, call.result);
        self.descriptors.remove(&key);
        let Some(path) = self.path(call, at, at > 0) else { return };
        let node = if call.has_flag(at + 1, "O_TMPFILE") {
            Some(self.new_file(0))
        } else {
            match self.find(&path) {
                None if call.has_flag(at + 1, "O_CREAT") => {
                    let node = self.new_file(0);
                    self.set(&path, Some(node), None);
                    Some(node)
                }
                found => found,
            }
        };
        let Some(node) = node else { return };
        if call.has_flag(at + 1, "O_TRUNC")
            && let Node::File { data, changed, .. } = &mut self.nodes[node]
        {
            *changed += 1;
            *data = Arc::default();
        }
        self.descriptors.insert(key, self.opened.len());
        self.opened.push((node, 0));
    }

    fn new_file(&mut self, names: usize) -> usize {
        self.nodes.push(Node::File { data: Arc::default(), durable: Arc::default(), names, changed: 0 });
        self.nodes.len() - 1
    }

    fn write(&mut self, process: usize, call: &Call, offset: Option<u64>) -> Effect {
        let Some(open) = self.descriptor(process, call, 0) else { return Effect::None };
        let (node, position) = self.opened[open];
        let Node::File { data, names, changed, .. } = &mut self.nodes[node] else { return Effect::None };
        *changed += 1;
        let length = usize::try_from(call.result).expect("it did not fail");
        let begin = usize::try_from(offset.unwrap_or(position)).expect("it fits");
        let data = Arc::make_mut(data);
        if data.len() < begin + length {
            data.resize(begin + length, 0);
        }
        data[begin..begin + length].copy_from_slice(&call.bytes(1)[..length]);
        if offset.is_none() {
            self.opened[open].1 += length as u64;
        }
        if *names > 0 { Effect::Changed } else { Effect::None }
    }

    fn change(&mut self, process: usize, call: &Call) -> Effect {
        let (from, to) = match call.name.as_str() {
            "link" | "rename" => (self.path(call, 0, false), self.path(call, 1, false)),
            "linkat" | "renameat" | "renameat2" => (self.path(call, 1, true), self.path(call, 3, true)),
            "unlink" | "rmdir" => (self.path(call, 0, false), None),
            "unlinkat" => (self.path(call, 1, true), None),
            "mkdir" => (None, self.path(call, 0, false)),
            "mkdirat" => (None, self.path(call, 1, true)),
            name => unreachable!("{name} is not modelled"),
        };
        match call.name.as_str() {
            "link" | "linkat" => {
                let at = usize::from(call.name == "linkat");
                let source = match call.text(at).and_then(|path| path.strip_prefix("/proc/self/fd/")?.parse().ok()) {
                    Some(descriptor) => self.descriptors.get(&(process, descriptor)).map(|open| self.opened[*open].0),
                    None => from.and_then(|from| self.find(&from)),
                };
                let (Some(source), Some(to)) = (source, to) else { return Effect::None };
                self.set(&to, Some(source), None);
            }
            "rename" | "renameat" | "renameat2" => {
                let (Some(from), Some(to)) = (from, to) else {
                    unreachable!("a rename across the root is not modelled")
                };
                let node = self.find(&from).expect("what is renamed is there");
                self.set(&to, Some(node), None);
                let moved_to = self.place(&to);
                self.set(&from, None, moved_to);
            }
            "unlink" | "unlinkat" | "rmdir" => {
                let Some(from) = from else { return Effect::None };
                self.set(&from, None, None);
            }
            _ => {
                let Some(to) = to else { return Effect::None };
                self.nodes.push(Node::Folder { entries: Entries::new(), durable: Entries::new(), changes: Vec::new() });
                self.set(&to, Some(self.nodes.len() - 1), None);
            }
        }
        Effect::Changed
    }

    /// Gives the name `path` to a node, or takes it.
    fn set(&mut self, path: &Path, to: Option<usize>, moved_to: Option<(usize, String)>) {
        let (folder, name) = self.place(path).unwrap_or_else(|| unreachable!("{} is in no folder", path.display()));
        let number = self.changes;
        self.changes += 1;
        let Node::Folder { entries, changes, .. } = &mut self.nodes[folder] else { unreachable!("that is no folder") };
        let before = match to {
            Some(node) => entries.insert(name.clone(), node),
            None => entries.remove(&name),
        };
        changes.push(Change { number, name, to, moved_to });
        for (node, more) in [(before, false), (to, true)] {
            if let Some(Node::File { names, .. }) = node.map(|node| &mut self.nodes[node]) {
                *names = if more { *names + 1 } else { *names - 1 };
            }
        }
    }

    /// The path of a folder below the root.
    fn folder_path(&self, wanted: usize) -> Option<String> {
        let mut folders = vec![(0, String::new())];
        while let Some((folder, path)) = folders.pop() {
            if folder == wanted {
                return Some(path);
            }
            let below = self.entries(folder).into_iter().flatten();
            folders.extend(below.map(|(name, node)| (*node, format!("{path}/{name}"))));
        }
        None
    }

    fn begin_sync(&mut self, process: usize, call: &Call, counts: &SyncFilter<'_>) {
        let Some(open) = self.descriptor(process, call, 0) else { return };
        let node = self.opened[open].0;
        let path = self.folder_path(node).filter(|_| self.entries(node).is_some());
        let magic = match &self.nodes[node] {
            Node::File { data, .. } => &data[..data.len().min(8)],
            Node::Folder { .. } => &[],
        };
        let sync = Sync { process, folder: path.as_deref(), magic };
        let snapshot = match &self.nodes[node] {
            _ if !counts(&sync) => Snapshot::Ignored,
            Node::File { data, .. } => Snapshot::File(data.clone()),
            Node::Folder { entries, changes, .. } => {
                Snapshot::Folder(entries.clone(), changes.last().map_or(0, |change| change.number + 1))
            }
        };
        self.syncing.insert(call.thread, (node, snapshot));
    }

    fn end_sync(&mut self, call: &Call) -> Effect {
        match self.syncing.remove(&call.thread) {
            None | Some((_, Snapshot::Ignored)) => Effect::None,
            Some((node, Snapshot::File(synced))) => {
                let Node::File { durable, names, changed, .. } = &mut self.nodes[node] else { return Effect::None };
                *durable = synced;
                *changed += 1;
                if *names > 0 { Effect::Changed } else { Effect::None }
            }
            Some((node, Snapshot::Folder(synced, up_to))) => {
                let Node::Folder { durable, changes, .. } = &mut self.nodes[node] else { return Effect::None };
                *durable = synced;
                changes.retain(|change| change.number >= up_to);
                Effect::Changed
            }
        }
    }

    /// The numbers of all changes that are not durable, in order.
    pub fn unsynced(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self
            .nodes
            .iter()
            .flat_map(|node| match node {
                Node::Folder { changes, .. } => &changes[..],
                Node::File { .. } => &[],
            })
            .map(|change| change.number)
            .collect();
        numbers.sort_unstable();
        numbers
    }
}
