//! A file system that loses its power: an ext4 image that is shut down without writing its journal, and mounted again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::action::Actor;
use crate::checks::{verify_is_sound, versions_are_dense};
use crate::image::Dice;
use crate::kill::{Ledger, Order, check};
use crate::recording::runtime;
use crate::strace;
use crate::worker::{Answer, Worker};

const SEED: u64 = 20_261_126;
/// How many processes work when it happens.
const PROCESSES: u64 = 3;
/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, of linux/fs/ext4/ext4.h; no crate offers it without unsafe code.
const PULL: &str =
    "import fcntl, os, struct, sys\nfcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = || format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

/// An ext4 file system in a file, mounted on a folder.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Result<Self, String> {
        let disk = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        let image = disk.path("image");
        run("truncate", &["-s", "256M", &image])?;
        run("mkfs.ext4", &["-q", &image])?;
        std::fs::create_dir(disk.mounted()).map_err(|error| error.to_string())?;
        disk.mount()?;
        Ok(disk)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").into()
    }

    fn mounted(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &self.path("image"), &self.path("mounted")])
    }

    fn pull_the_plug(&self) {
        run("python3", &["-c", PULL, &self.path("mounted")]).expect("shut down");
    }

    /// Mounts a copy of the image: somebody else's mount namespace may still hold the file system that was shut down.
    fn mount_again(&self) {
        run("umount", &[&self.path("mounted")]).expect("unmount");
        run("cp", &["--sparse=always", &self.path("image"), &self.path("copy")]).expect("copy the image");
        run("mv", &[&self.path("copy"), &self.path("image")]).expect("in its place");
        self.mount().expect("mount again");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.path("mounted")]).unwrap_or_default();
    }
}

/// Works until nothing is answered but errors.
fn work(program: &[&str], folder: &Path, id: u64, cut: u64, ledger: &Mutex<Ledger>, is_off: &AtomicBool) {
    let mut dice = Dice(SEED + cut * PROCESSES + id);
    let mut worker = Worker::start_by(program, folder);
    for n in 0.. {
        let order = Order::next(id, cut * 100_000 + n, &mut dice);
        ledger.lock().expect("the ledger").tries(&order);
        match worker.ask(&order.line) {
            Answer::Done(versions) => ledger.lock().expect("the ledger").acknowledges(order, &versions),
            Answer::Failed { .. } if is_off.load(Ordering::SeqCst) => break,
            answer => unreachable!("process {id}: {}: {answer:?}", order.line),
        }
    }
    worker.kill();
}

/// Lets processes work, started by `program`, and the power fail, so many times. Returns how many names were acknowledged; `None`
/// where that can't be done.
fn try_power_failures(program: &[&str], cuts: u64) -> Option<usize> {
    let disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => {
            let needs = "root, mkfs.ext4 (apt-get install e2fsprogs) and a loop mount";
            assert!(std::env::var_os("CI").is_none(), "this test needs {needs}: {why}");
            println!("skipped: this test needs {needs}: {why}");
            return None;
        }
    };
    let (folder, runtime, mut dice) = (disk.mounted().join("work"), runtime(), Dice(SEED));
    std::fs::create_dir(&folder).expect("a folder");
    runtime.block_on(Actor::new(&folder).act("init")).expect("init");
    let ledger = Mutex::new(Ledger::default());
    for cut in 0..cuts {
        let is_off = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for id in 0..PROCESSES {
                let (folder, ledger, is_off) = (&folder, &ledger, &is_off);
                scope.spawn(move || work(program, folder, id, cut, ledger, is_off));
            }
            let acknowledged = || ledger.lock().expect("the ledger").acknowledged.len();
            let before = acknowledged();
            while acknowledged() == before {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_micros(dice.roll(400_000)));
            is_off.store(true, Ordering::SeqCst);
            disk.pull_the_plug();
        });
        disk.mount_again();
        let ledger = ledger.lock().expect("the ledger");
        runtime.block_on(async {
            check(&folder, &ledger).await;
            versions_are_dense(&folder).await.expect("dense");
            verify_is_sound(&folder).await.expect("sound");
        });
    }
    Some(ledger.into_inner().expect("the ledger").acknowledged.len())
}

#[test]
fn what_was_acknowledged_is_there_after_the_power_went_off() {
    let cuts = std::env::var("STRONGROOM_TEST_PLUGS").map_or(6, |cuts| cuts.parse().expect("a number"));
    if let Some(acknowledged) = try_power_failures(&[], cuts) {
        eprintln!("{cuts} power failures, {acknowledged} names acknowledged");
    }
}

#[test]
fn a_program_whose_fsyncs_come_to_nothing_is_found_out() {
    if !strace::is_there() {
        return;
    }
    let forgetful = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:retval=0"];
    let tried = std::panic::catch_unwind(|| try_power_failures(&forgetful, 3));
    assert!(matches!(tried, Err(_) | Ok(None)), "nothing was lost, although nothing was made durable");
}
