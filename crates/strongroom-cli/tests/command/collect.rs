//! Taking away what no name needs.

use crate::support::{Place, noise};

#[test]
fn what_was_replaced_and_removed_goes_and_the_rest_stays() {
    let place = Place::new();
    place.write("data/large", noise(1, 2_000_000));
    place.write("data/small", noise(2, 20_000));
    place.ok("put data run/unit");
    place.write("data/small", noise(3, 20_000));
    place.ok("put data run/unit");
    place.ok("rm run/unit/large");
    place.ok("tag run/unit@2 keep");

    let planned = place.one_json("gc --dry-run --offline --grace 0s");
    assert_eq!(planned["namespaces"][0]["superseded"], 1, "the first; of the second there is a tag: {planned}");
    assert!(planned["freed_bytes"].as_u64().expect("bytes") < 30_000, "{planned}");
    place.ok("tag --delete run/unit keep");
    let planned = place.one_json("gc --dry-run --offline --grace 0s");
    assert!(planned["freed_bytes"].as_u64().expect("bytes") > 2_000_000, "{planned}");
    assert!(planned["condemned"].as_array().expect("files").iter().any(|file| file["reason"] == "unneeded"));
    place.run(["gc", "--dry-run", "--offline", "--grace", "0s"]).ends(0, "would go");
    assert_eq!(place.one_json("gc")["deleted_files"], 0, "it is in its grace period");

    place.run(["gc", "--offline", "--grace", "0s"]).ends(0, "of the store deleted");
    place.ok("get run/unit/small back");
    assert_eq!(place.read("back"), noise(3, 20_000));
    place.run(["verify", "--data"]).ends(0, "sound");
    place.fails("cat run/unit/large --at 2", 4, "run/unit/large");
    let nothing = place.one_json("gc --offline --grace 0s");
    assert_eq!((&nothing["condemned"], &nothing["deleted_files"]), (&serde_json::json!([]), &0.into()));
}

#[test]
fn versions_stay_that_are_asked_for() {
    let place = Place::new();
    for n in 0..20 {
        place.run_with("put - run/unit/log", &noise(n, 1000)).ok();
    }
    place.ok("gc --offline --grace 0s --keep-last 5");
    assert_eq!(place.ok("log run/unit").lines().count(), 5);
    place.ok("gc --offline --grace 0s --keep-within 1h");
    assert_eq!(place.ok("log run/unit").lines().count(), 5);
    place.fails("gc --grace 1s", 2, "offline");
    place.fails("gc --keep-last 0", 2, "keep-last");
}
