//! What was, and how it comes back.

use crate::support::Place;

/// Three versions of run/unit.
fn place() -> Place {
    let place = Place::new();
    place.run_with("put - run/unit/a -m first", b"1").ok();
    place.run_with("put - run/unit/b -m second", b"2").ok();
    place.run_with("put - run/unit/a -m third", b"3").ok();
    place
}

#[test]
fn log_lists_the_newest_first() {
    let place = place();
    let log = place.ok("log run/unit");
    let messages: Vec<&str> = log.lines().map(|line| line.rsplit('\t').next().expect("a field")).collect();
    assert_eq!(messages, ["third", "second", "first"]);
    assert_eq!(place.ok("log run/unit -n 1").lines().count(), 1);
    assert!(log.starts_with("3\t20") && log.contains("\t+1 -0\ttester@"), "{log}");
    place.fails("log nosuch", 4, "no such namespace");
    place.fails("log a/b/c", 2, "at most two segments");
    place.fails("log .", 4, "no such namespace");
}

#[test]
fn diff_says_what_is_different() {
    let place = place();
    place.ok("rm run/unit/b");
    assert_eq!(place.ok("diff run/unit"), "D\trun/unit/b\n");
    assert_eq!(place.ok("diff run/unit@1"), "M\trun/unit/a\n");
    assert_eq!(place.ok("diff run/unit@1 run/unit@2"), "A\trun/unit/b\n");
    assert_eq!(place.ok("diff run/unit@2 run/unit"), "M\trun/unit/a\nD\trun/unit/b\n");
    assert_eq!(place.ok("diff run/unit run/unit"), "");
    place.ok("cp run/unit/a other/unit/a");
    assert_eq!(place.ok("diff run/unit other/unit"), "");
    place.fails("diff run/unit@9", 4, "no version 9");
    let changed = &place.json("diff run/unit@1")[0];
    assert_eq!(changed["change"], "changed");
    assert_ne!(changed["before"]["digest"], changed["after"]["digest"]);
}

#[test]
fn restore_brings_back_what_a_name_stood_for() {
    let place = place();
    place.ok("tag run/unit@2 good");
    place.ok("restore run/unit/a --at good");
    assert_eq!(place.ok("cat run/unit/a"), "1");
    assert_eq!(place.json("log run/unit")[0]["message"], "as it was at good");
    place.ok("rm -r run/unit");
    place.run_with("put - run/unit/c", b"new").ok();
    place.ok("restore -r run/unit --at 3");
    assert_eq!(place.ok("cat run/unit/a run/unit/b run/unit/c"), "32new");
    place.fails("restore run/unit/c --at 1", 4, "run/unit/c");
    place.fails("restore run/unit/a", 2, "--at");
}

#[test]
fn tags_are_names_for_versions() {
    let place = place();
    place.ok("tag run/unit@1 first");
    place.run(["tag", "run/unit", "submitted"]).ends(0, "version 3 of run/unit has the tag submitted");
    place.ok("tag run/unit@3 submitted");
    place.fails("tag run/unit@2 submitted", 6, "(--force) moves it");
    place.ok("tag run/unit@2 submitted --force");
    assert_eq!(place.ok("tag --list"), "first\trun/unit@1\nsubmitted\trun/unit@2\n");
    assert_eq!(place.ok("tag --list other"), "");
    assert_eq!(place.ok("cat run/unit/a --at submitted"), "1");
    place.ok("tag --delete run/unit submitted");
    place.fails("cat run/unit/a --at submitted", 4, "no such tag");
    place.fails("tag --delete run/unit submitted", 4, "");
    place.fails("tag run/unit 7", 2, "not a number");
    place.fails("tag nosuch x", 4, "no version 0");
    place.fails("tag", 2, "NAMESPACE");
}

#[test]
fn a_namespace_with_an_at_sign_ends_with_one_more() {
    let place = Place::new();
    place.run_with("put - me@host/unit/a", b"1").ok();
    place.run_with("put - me@host/b", b"1").ok();
    place.ok("tag me@host/unit first");
    place.ok("tag me@host@ second");
    assert_eq!(place.ok("diff me@host@"), "A\tme@host/b\n");
    assert_eq!(place.json("tag --list").len(), 2);
}
