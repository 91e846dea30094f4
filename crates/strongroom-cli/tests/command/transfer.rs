//! Names that move, bytes that don't.

use crate::support::Place;

fn place() -> Place {
    let place = Place::new();
    for name in ["a", "sub/b"] {
        place.write(&format!("results/{name}"), format!("{name}{}", "x".repeat(1000)));
    }
    place.ok("put results run/unit");
    place
}

fn stored_content(place: &Place) -> usize {
    place.store_files("packs").len() + place.store_files("files").len()
}

#[test]
fn cp_gives_content_another_name() {
    let place = place();
    let before = stored_content(&place);
    place.ok("cp run/unit/a run/other/copy");
    place.ok("cp run/unit/a run/other/");
    place.ok("cp -r run/unit run/third");
    assert_eq!(place.ls("run/other/"), ["run/other/a", "run/other/copy"]);
    assert_eq!(place.ls("run/third/"), ["run/third/a", "run/third/sub/b"]);
    assert_eq!(place.ok("cat run/other/copy"), place.ok("cat run/unit/a"));
    assert_eq!(stored_content(&place), before, "no content was copied");
    place.fails("cp --new run/unit/a run/other/a", 6, "already");
    place.fails("cp nosuch run/other/b", 4, "find nosuch");
    place.fails("cp -r nosuch run/other/b", 4, "nothing at this location");
    place.fails("cp run/unit/a b3:00", 2, "a digest names content");
}

#[test]
fn content_without_a_name_gets_one_again() {
    let place = place();
    let digest = place.one_json("stat run/unit/a")["digest"].as_str().expect("text").to_string();
    let content = place.ok("cat run/unit/a");
    place.ok("rm run/unit/a");
    place.ok(&format!("cp {} found/a", &digest[..15]));
    assert_eq!(place.ok("cat found/a"), content);
}

#[test]
fn mv_in_a_namespace_is_one_step() {
    let place = place();
    place.ok("mv run/unit/a run/unit/sub/c");
    assert_eq!(place.ls(""), ["run/unit/sub/b", "run/unit/sub/c"]);
    let log = &place.json("log run/unit")[0];
    assert_eq!((&log["version"], &log["put"], &log["removed"]), (&2.into(), &1.into(), &1.into()));
}

#[test]
fn mv_between_namespaces_leaves_nothing_behind() {
    let place = place();
    place.ok("mv -r run/unit moved");
    assert_eq!(place.ls(""), ["moved/a", "moved/sub/b"]);
    place.ok("mv moved/a run/unit/");
    let mut locations = place.ls("");
    locations.sort();
    assert_eq!(locations, ["moved/sub/b", "run/unit/a"]);
}

#[test]
fn mv_onto_itself_or_into_itself_loses_nothing() {
    let place = place();
    place.ok("mv run/unit/a run/unit/a");
    assert_eq!(place.ls("").len(), 2);
    place.ok("mv -r run/unit run/unit");
    assert_eq!(place.ls("").len(), 2);
    place.ok("mv -r run/unit run/unit/sub");
    assert_eq!(place.ls(""), ["run/unit/sub/a", "run/unit/sub/sub/b"]);
    place.ok("cp run/unit/sub/a run/unit/sub/sub/a");
    let nested = place.ok("cat run/unit/sub/sub/b");
    place.ok("mv -r run/unit/sub run/unit/sub/sub");
    assert_eq!(place.ls(""), ["run/unit/sub/sub/a", "run/unit/sub/sub/sub/a", "run/unit/sub/sub/sub/b"]);
    assert_eq!(place.ok("cat run/unit/sub/sub/sub/b"), nested);
}

#[test]
fn mv_of_a_digest_is_refused() {
    let place = place();
    let digest = place.one_json("stat run/unit/a")["digest"].as_str().expect("text").to_string();
    place.fails(&format!("mv {digest} x"), 2, "strongroom cp");
    place.fails("mv --new run/unit/a run/unit/sub/b", 6, "already");
    assert_eq!(place.ls("").len(), 2);
}

#[test]
fn rm_removes_names_and_nothing_else() {
    let place = place();
    let before = stored_content(&place);
    place.fails("rm run/unit", 4, "-r removes those");
    place.fails("rm run/unit/a run/unit/nosuch", 4, "nosuch");
    assert_eq!(place.ls("").len(), 2, "if one is not there, none is removed");
    assert_eq!(place.ok("rm -r run/unit --dry-run"), "run/unit/a\nrun/unit/sub/b\n");
    assert_eq!(place.ls("").len(), 2);
    place.run(["rm", "run/unit/a"]).ends(0, "removed 1 name; history and content stay");
    assert_eq!(place.ls(""), ["run/unit/sub/b"]);
    place.ok("rm -r run");
    assert!(place.ls("").is_empty());
    assert_eq!(stored_content(&place), before);
    place.fails("rm b3:00", 2, "name a location");
}
