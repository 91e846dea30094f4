//! Looking at what is there.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::support::{Place, noise};

fn place() -> Place {
    let place = Place::new();
    for (location, content) in [("top", "1"), ("run/a", "22"), ("run/unit/b", "333"), ("runs.txt", "4444")] {
        place.run_with(&format!("put - {location}"), content.as_bytes()).ok();
    }
    place
}

#[test]
fn ls_lists_what_begins_with_the_prefix() {
    let place = place();
    let sorted = |prefix: &str| {
        let mut locations = place.ls(prefix);
        locations.sort();
        locations
    };
    assert_eq!(sorted(""), ["run/a", "run/unit/b", "runs.txt", "top"]);
    assert_eq!(sorted("run"), ["run/a", "run/unit/b", "runs.txt"]);
    assert_eq!(sorted("run/"), ["run/a", "run/unit/b"]);
    assert!(sorted("nosuch").is_empty());
}

#[test]
fn ls_long_has_size_time_and_digest_first() {
    let place = place();
    let line = place.ok("ls -l run/unit");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], "3");
    assert!(words[1].ends_with('Z') && words[1].starts_with("20"), "{line}");
    assert_eq!(words[2], blake3::hash(b"333").to_hex().as_str());
    assert_eq!(words[3], "run/unit/b");
}

#[test]
fn ls_at_a_version_lists_its_namespace() {
    let place = place();
    place.ok("rm run/unit/b");
    place.ok("cp top run/unit/c");
    assert_eq!(place.ls("run/unit/"), ["run/unit/c"]);
    assert_eq!(place.ls("run/unit/ --at 1"), ["run/unit/b"]);
    assert!(place.ls("run/unit/ --at 2").is_empty());
    assert_eq!(place.ls("run/ --at 1"), ["run/a"]);
    assert_eq!(place.ls("to --at 1"), ["top"]);
    place.fails("ls run/unit/ --at 9", 4, "no version 9");
}

#[test]
fn stat_says_all_that_is_known() {
    let place = place();
    place.write("large", noise(1, 2_000_000));
    place.ok("put large run/unit/large --digests sha256");
    let text = place.ok("stat run/unit/large");
    for line in ["location    run/unit/large", "size        2000000", "kept        whole", "version     2"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let digest = blake3::hash(&noise(1, 2_000_000)).to_hex();
    assert!(text.contains(&format!("digest      b3:{digest}")) && text.contains("sha256      "), "{text}");
    let by_digest = place.ok(&format!("stat b3:{}", &digest[..16]));
    assert!(by_digest.contains("size        2000000") && !by_digest.contains("version"), "{by_digest}");
    place.fails("stat run/unit/large nosuch", 3, "find nosuch");
}

#[test]
fn exists_answers_by_its_exit_code() {
    let place = place();
    let digest = blake3::hash(b"22").to_hex();
    for (location, code) in [("run/a", 0), ("run", 4), ("run/b", 4), (&format!("b3:{digest}"), 0), ("b3:00", 4)] {
        let ran = place.run(["exists", location]);
        assert_eq!((ran.code, &ran.stdout[..], &ran.stderr[..]), (Some(code), &b""[..], ""), "{location}");
    }
    assert_eq!(place.one_json("exists run/a")["exists"], true);
    place.fails("exists ../a", 2, "'..'");
}

#[test]
fn du_counts_equal_content_once() {
    let place = place();
    place.ok("cp run/unit/b other/unit/b");
    let du = place.one_json("du");
    assert_eq!((&du["objects"], &du["logical_bytes"], &du["unique_bytes"]), (&5.into(), &13.into(), &10.into()));
    assert!(du["stored_bytes"].as_u64().expect("bytes") > 0);
    assert_eq!(du["namespaces"].as_array().expect("rows").len(), 4);
    let text = place.ok("du --bytes");
    assert!(text.lines().last().expect("lines").starts_with("stored: "), "{text}");
    assert!(text.contains("run/unit\n") && text.contains("  .\n"), "{text}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new();
    for each in 0..3000 {
        place.write(&format!("results/a-rather-long-name-for-a-file-that-is-empty-and-has-the-number-{each}"), "");
    }
    place.ok("put results run/unit");
    let mut child = place.command(["ls"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("run/unit/"), "{line}");
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), &stderr[..]), (Some(0), ""));
}

#[test]
fn a_full_stdout_is_an_error() {
    let place = place();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let output = place.command(["ls"]).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output: no space is left"));
}

#[test]
fn help_has_examples_and_completions_name_the_verbs() {
    let place = Place::new();
    assert!(place.ok("--help").contains("strongroom put results/ run7/unit1"));
    for verb in "put get cat ls stat exists cp mv restore tag rm log diff verify du digest completions init".split(' ')
    {
        assert!(place.ok(&format!("{verb} --help")).contains("Usage: strongroom"), "{verb}");
    }
    assert!(place.ok("--version").starts_with("strongroom "));
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ok(&format!("completions {shell}"));
        assert!(script.contains("restore") && script.contains("digest"), "{shell}");
    }
    place.fails("", 2, "Usage");
    place.fails("putt", 2, "'put'");
}
