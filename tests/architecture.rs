//! The map in `ARCHITECTURE.md`, checked: which crate may depend on which, and rules of the house that a program can check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates of ours each may depend on, outside of tests.
const EDGES: &[(&str, &[&str])] = &[
    ("strongroom-storage", &[]),
    ("strongroom-content", &["strongroom-storage"]),
    ("strongroom-cloud", &["strongroom-storage"]),
    ("strongroom-workflow", &["strongroom-storage"]),
    ("strongroom", &["strongroom-storage", "strongroom-content", "strongroom-cloud", "strongroom-workflow"]),
    ("strongroom-cli", &["strongroom"]),
    ("strongroom-python", &["strongroom", "strongroom-cli"]),
    ("strongroom-testkit", &["strongroom-storage"]),
    ("strongroom-bench", &["strongroom"]),
    ("strongroom-fuzz", &["strongroom", "strongroom-testkit"]),
];

/// Crates for tests only: nothing but each other may depend on them otherwise.
const TEST_ONLY: &[&str] = &["strongroom-testkit", "strongroom-bench", "strongroom-fuzz"];

/// The only crates that may know these.
const KNOWN_BY: &[(&str, &[&str])] = &[
    ("zstd", &["strongroom-content", "strongroom-fuzz"]),
    ("gearhash", &["strongroom-content"]),
    ("quick_cache", &["strongroom-content"]),
    ("rustix", &["strongroom-storage", "strongroom-cli", "strongroom-testkit"]),
    ("tempfile", &["strongroom-storage", "strongroom-testkit", "strongroom-bench"]),
    ("clap", &["strongroom-cli", "strongroom-bench"]),
    ("indicatif", &["strongroom-cli"]),
    ("url", &["strongroom", "strongroom-cloud"]),
    ("object_store", &["strongroom-cloud", "strongroom-bench"]),
    ("reqwest", &["strongroom-cloud"]),
    ("tower-http", &["strongroom-cloud"]),
    ("rustls", &["strongroom-cloud"]),
    ("cacache", &["strongroom-bench"]),
    ("nix", &["strongroom-bench"]),
    ("pyo3", &["strongroom-python"]),
    ("arc-swap", &["strongroom-storage", "strongroom-python"]),
    ("arbitrary", &["strongroom-fuzz"]),
];

/// A file is about one noun. What is longer than this should be split.
const LINES_MAX: usize = 500;

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each crate's dependencies outside of tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("a string").to_string();
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies").iter();
            let used = all.filter(|dependency| dependency["kind"] != "dev").map(|dependency| text(&dependency["name"]));
            (text(&package["name"]), used.collect())
        })
        .collect()
}

fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src"), root().join("crates"), root().join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "the sources are found");
    files
}

/// Whether a file is part of the product, not of its tests.
fn is_product(path: &Path) -> bool {
    let below = path.strip_prefix(root()).expect("below the root");
    let for_tests = ["tests", "simulation", "simulation.rs", "strongroom-testkit", "strongroom-fuzz"];
    !below.components().any(|part| for_tests.iter().any(|name| part.as_os_str() == *name))
        && !below.ends_with("tests.rs")
}

#[test]
fn crates_depend_downwards_only() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "every crate has its place on the map, and the map has no other");
    for (name, allowed) in EDGES {
        for used in dependencies[*name].iter().filter(|used| ours.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} must not depend on {used}");
            let is_for_tests = TEST_ONLY.contains(name);
            assert!(is_for_tests || !TEST_ONLY.contains(&used.as_str()), "{name} must depend on {used} in tests only");
        }
    }
}

#[test]
fn what_only_one_crate_should_know_only_it_knows() {
    for (name, used) in dependencies() {
        for (library, knowers) in KNOWN_BY {
            assert!(!used.contains(*library) || knowers.contains(&name.as_str()), "{name} must not know {library}");
        }
    }
}

#[test]
fn nothing_above_storage_names_a_concrete_backend_except_the_front_door() {
    for path in source_files().into_iter().filter(|path| is_product(path)) {
        let below = path.strip_prefix(root()).expect("below the root");
        if below.starts_with("src") || below.starts_with("crates/strongroom-storage") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let product = code.take_while(|line| !line.contains("#[cfg(test)]"));
        for line in product {
            for backend in ["FileStorage", "MemoryStorage"] {
                assert!(!line.contains(backend), "{} names {backend}: {line}", below.display());
            }
        }
    }
}

#[test]
fn files_are_short() {
    for path in source_files() {
        let lines = std::fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; split it by its nouns", path.display());
    }
}

#[test]
fn a_backend_of_ones_own_takes_under_sixty_lines() {
    let text = std::fs::read_to_string(root().join("examples/custom_backend.rs")).expect("the example");
    let (_, from_here) = text.split_once("// The backend:").expect("its beginning is marked");
    let (backend, _) = from_here.split_once("// The end of the backend.").expect("its end is marked");
    let lines = backend.trim_end().lines().skip(2).count();
    assert!(
        backend.contains("struct ") && backend.contains("impl ExternalStorage for"),
        "all of it is between the marks"
    );
    assert!(lines < 60, "it has {lines} lines");
}

#[test]
fn every_crate_forbids_unsafe_code() {
    for path in source_files().into_iter().filter(|path| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
    {
        let text = std::fs::read_to_string(&path).expect("a source file");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", path.display());
    }
}

#[test]
fn the_tests_that_security_md_names_are_there() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let sources: String =
        source_files().iter().map(|path| std::fs::read_to_string(path).expect("a source file")).collect();
    let words = text.split('`').skip(1).step_by(2);
    let is_sentence = |word: &&str| {
        word.matches('_').count() >= 2 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let names: BTreeSet<&str> = words.filter(is_sentence).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
