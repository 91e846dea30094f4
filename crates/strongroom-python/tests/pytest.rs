//! The Python package, as `pip install .` gives it, and its own tests by pytest.
//!
//! One test after the other, since each rests on the one before: `cargo test -p strongroom-python` runs all of it, and in the
//! environment that it makes (`target/tmp/python-package`) single tests go by
//! `python -m pytest crates/strongroom-python/tests -k words`.

#[path = "../../../tests/python/mod.rs"]
mod python;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

#[track_caller]
fn run(python: &Path, words: &[&str]) {
    let mut command = Command::new(python);
    // What is tested is what was installed: not the folder of the sources, and nothing of the user's own.
    command.args(words).current_dir(root()).env("PYTHONNOUSERSITE", "1").env_remove("PYTHONPATH");
    command.env("MATURIN_PEP517_ARGS", "--profile dev");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = python.parent().map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(programs).expect("paths without colons"));
    // Into a file and not through a pipe, whose end would not come before that of every process that a test may have left.
    let shown = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-package.log");
    let file = File::create(&shown).expect("a file");
    command.stdout(file.try_clone().expect("the file")).stderr(file);
    let status = command.status().expect("Python runs");
    let shown = String::from_utf8_lossy(&std::fs::read(&shown).expect("the file")).into_owned();
    assert!(status.success(), "{command:?}\n{shown}");
    println!("{shown}");
}

#[test]
fn the_package_installs_passes_its_tests_and_has_the_types_that_it_says() {
    let Some(python) = python::interpreter("python-package", include_str!("requirements.txt")) else { return };
    // The build needs what is installed already, and nothing of the registry again.
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"];
    run(&python, &[&install[..], &["--no-deps", "--force-reinstall", "."]].concat());
    run(&python, &["-m", "pytest", "-o", "faulthandler_timeout=120"]);
    run(&python, &["-m", "mypy", "-p", "strongroom"]);
    run(&python, &["-m", "mypy.stubtest", "strongroom._strongroom"]);
}
