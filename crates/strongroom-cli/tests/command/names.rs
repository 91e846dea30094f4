//! Names as users come up with them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::support::Place;

#[test]
fn what_is_no_location_is_refused_wherever_one_is_read() {
    let place = Place::new();
    place.run_with("put - run/unit/a", b"1").ok();
    let (long, longer) = ("x".repeat(300), "a/".repeat(600));
    for (location, why) in [
        ("..", "'..'"),
        ("../up", "'..'"),
        ("run/../../up", "'..'"),
        ("/absolute", "relative"),
        ("", "empty"),
        (".//.", "empty"),
        (&long[..], "300 bytes"),
        (&longer[..], "at most 1024"),
    ] {
        for call in [
            &["put", "run", location][..],
            &["cat", location],
            &["stat", location],
            &["exists", location],
            &["digest", location],
            &["rm", location],
            &["rm", "-r", location],
            &["cp", location, "x"],
            &["cp", "run/unit/a", location],
            &["cp", "-r", "run", location],
            &["mv", "run/unit/a", location],
            &["restore", location, "--at", "1"],
        ] {
            place.write("run", "x");
            place.run(call).ends(2, why);
        }
    }
    place.fails("get ../up", 2, "'..'");
    place.fails("get /absolute", 2, "relative");
    assert_eq!(place.ls(""), ["run/unit/a"]);
}

#[test]
fn empty_segments_are_dropped() {
    let place = Place::new();
    place.run_with("put - run//unit/./a", b"1").ok();
    assert_eq!(place.ls(""), ["run/unit/a"]);
    assert_eq!(place.ok("cat ./run/unit//a"), "1");
}

#[test]
fn names_of_the_greatest_length_come_back() {
    let place = Place::new();
    let name = "ä".repeat(127);
    place.write(&format!("results/{name}/{name}"), "1");
    place.run(["put", "results", &name]).ok();
    place.run(["get", &name, "back"]).ok();
    assert_eq!(place.read(&format!("back/{name}/{name}")), b"1");
}

#[test]
fn a_file_name_that_is_not_utf8_stores_nothing_and_is_named() {
    let place = Place::new();
    place.write("results/good", "1");
    fs::write(place.path("results").join(OsStr::from_bytes(b"bad-\xff")), "2").expect("any bytes are a name");
    let ran = place.fails("put results run/unit", 2, r#"results/bad-\xFF"#);
    assert!(ran.stderr.contains("not UTF-8") && ran.stderr.contains("nothing was stored"), "{}", ran.stderr);
    assert!(place.ls("").is_empty());
    place.run([OsStr::new("put"), OsStr::from_bytes(b"results/bad-\xff"), OsStr::new("named")]).ok();
    assert_eq!(place.ok("cat named"), "2");
    place.run([OsStr::new("put"), OsStr::from_bytes(b"results/bad-\xff")]).ends(2, "not UTF-8");
    place.run([OsStr::new("cat"), OsStr::from_bytes(b"bad-\xff")]).ends(2, "");
}

#[test]
fn odd_names_stay_one_line() {
    let place = Place::new();
    place.write("results/new\nline", "1");
    let digest = blake3::hash(b"1").to_hex();
    assert_eq!(place.ok("put results run/unit"), format!("\\{digest}  run/unit/new\\nline\n"));
    assert_eq!(place.ok("ls"), "\\run/unit/new\\nline\n");
    assert_eq!(place.run(["cat", "run/unit/new\nline"]).ok(), "1");
}

#[test]
fn names_that_look_like_options_and_digests_can_be_written() {
    let place = Place::new();
    place.write("-dash", "1");
    place.run(["put", "./-dash", "./b3:00"]).ok();
    assert_eq!(place.ls(""), ["b3:00"]);
    assert_eq!(place.ok("cat ./b3:00"), "1");
    place.run(["put", "--", "-dash"]).ok();
    assert_eq!(place.run(["cat", "--", "-dash"]).ok(), "1");
    place.fails("put -- -dash b3:00", 2, "./b3:");
}
