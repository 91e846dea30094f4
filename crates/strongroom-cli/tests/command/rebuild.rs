//! Naming content whose names are lost.

use std::fs;

use crate::support::{Place, noise};

#[test]
fn what_is_left_in_packs_and_files_gets_names_again() {
    let place = Place::new();
    place.run_with("put - a/large", &noise(1, 2_000_000)).ok();
    place.run_with("put - a/small", &noise(2, 3000)).ok();
    for lost in ["names", "gc", "index"] {
        let _ = fs::remove_dir_all(place.path(".strongroom").join(lost));
    }
    fs::remove_file(place.path(".strongroom/strongroom.json")).expect("lose");
    place.fails("rebuild", 4, "make one with `strongroom init`");
    place.ok("init");
    let mut expected: Vec<String> = [noise(1, 2_000_000), noise(2, 3000)]
        .iter()
        .map(|bytes| format!("lost+found/{}", blake3::hash(bytes).to_hex()))
        .collect();
    expected.sort();
    assert_eq!(place.ok("rebuild --dry-run").lines().collect::<Vec<_>>(), expected);
    assert_eq!(place.ls(""), [""; 0]);
    place.run(["rebuild"]).ends(0, "2 objects without a name named");
    assert_eq!(place.ls("lost+found/"), expected);
    place.run(["verify", "--data"]).ends(0, "sound");
    assert_eq!(place.one_json("rebuild")["named"], serde_json::json!([]));
}
