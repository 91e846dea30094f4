//! Node, and the servers from npm.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const WANTED: &str = include_str!("package.json");
const LOCKED: &str = include_str!("package-lock.json");
/// What a program does beside serving: it ends when its standard input does.
const UNTIL: &str = "process.stdin.on('end', () => process.exit()).resume();\n";

/// The folder of the packages in `package-lock.json`, which are installed into the target folder when they are missing or others.
///
/// `None`, with a word on stderr, if that can't be; in CI that is a failure.
pub fn packages() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    match prepare(&folder) {
        Ok(()) => Some(folder.join("node_modules")),
        Err(what) => {
            assert!(std::env::var_os("CI").is_none(), "{what}");
            eprintln!("skipped: {what}; install Node 18 or newer with npm, and have its registry in reach");
            None
        }
    }
}

/// Runs a program until its standard input ends.
pub fn command(program: &Path) -> Command {
    let folder = program.ancestors().find(|folder| folder.ends_with("node_modules")).expect("it is in a package");
    let mut command = Command::new("node");
    command.arg("--require").arg(folder.with_file_name("until.js")).arg(program);
    command
}

fn prepare(folder: &Path) -> Result<(), String> {
    let explain = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(explain)?;
    // Tests run side by side, in processes of their own too.
    let lock = File::create(folder.with_extension("lock")).map_err(explain)?;
    lock.lock().map_err(explain)?;
    let done = folder.join("done");
    if std::fs::read_to_string(&done).is_ok_and(|known| known == LOCKED) {
        return Ok(());
    }
    for (name, text) in [("package.json", WANTED), ("package-lock.json", LOCKED), ("until.js", UNTIL)] {
        std::fs::write(folder.join(name), text).map_err(explain)?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    match install.output() {
        Ok(output) if output.status.success() => std::fs::write(&done, LOCKED).map_err(explain),
        Ok(output) => Err(format!("{install:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{install:?}: {error}")),
    }
}
