//! Several users and one store.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::support::{PROJECT, Place, User, needs_root, noise, tree, walk};

const ANN: User = User { id: 61_001, in_project: true, umask: "022" };
const BOB: User = User { id: 61_002, in_project: true, umask: "077" };
const EVE: User = User { id: 61_003, in_project: false, umask: "022" };

/// What reads a store that has `results` as `run/unit`.
const READING: &str = "ls -l; cat run/unit/small; stat run/unit/large; log run/unit; verify --data; du; digest run/unit/tiny; \
                       exists run/unit/tiny; get run/unit open/back";

/// A folder of Ann's, `project`, that hands the project's group on; results that everybody may read; a folder for all.
fn project() -> Option<Place> {
    if !needs_root("a store of several users") {
        return None;
    }
    let place = Place::new();
    place.write("results/tiny", "1");
    place.write("results/small", noise(1, 5_000));
    place.write("results/large", noise(2, 2_000_000));
    for (name, mode) in [("project", 0o2775), ("open", 0o777)] {
        fs::create_dir(place.path(name)).expect("new");
        chown(place.path(name), Some(ANN.id), Some(PROJECT)).expect("we are root");
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).expect("we are root");
    }
    Some(place)
}

/// The user reads all that there is, and gets what was put.
#[track_caller]
fn check_reads(place: &Place, user: User) {
    for words in READING.split("; ") {
        user.run(place, &format!("-s project/store {words}")).ends(0, "");
    }
    assert_eq!(tree(&place.path("open/back")), tree(&place.path("results")));
    fs::remove_dir_all(place.path("open/back")).expect("we are root");
}

/// The user is told in which folder they may not write, and nothing changes.
#[track_caller]
fn check_can_not_write(place: &Place, user: User) {
    let store = place.path("project/store");
    let before = states(&store);
    for words in ["put results run/other", "put results/tiny run/unit/more", "rm run/unit/tiny", "cp run/unit/tiny x"] {
        let ran = user.run(place, &format!("-s project/store {words}")).ends(1, "permission denied");
        assert!(ran.stderr.contains("project/store/gc"), "{}", ran.stderr);
    }
    assert_eq!(states(&store), before);
}

/// Everything in a folder with its permissions and when it was last changed in any way.
fn states(folder: &Path) -> Vec<String> {
    let mut paths = vec![folder.to_path_buf()];
    walk(folder, &mut paths);
    let state = |path: &PathBuf| {
        let found = fs::symlink_metadata(path).expect("it was listed");
        format!("{} {:o} {}.{}", path.display(), found.mode(), found.ctime(), found.ctime_nsec())
    };
    paths.iter().map(state).collect()
}

/// Both users write where the other one did.
#[track_caller]
fn check_work_together(place: &Place, first: User, second: User) {
    for (user, n) in [(first, 1), (second, 2), (first, 3), (second, 4)] {
        place.write("input", noise(n, 2_000 * usize::try_from(n * n * n * n).expect("small")));
        user.run(place, "-s project/store put results run/unit").ends(0, "");
        user.run(place, "-s project/store put input run/unit/shared").ends(0, "");
        user.run(place, &format!("-s project/store put input run/unit.{n}/own --layout chunked")).ends(0, "");
        let got = user.run(place, "-s project/store cat run/unit/shared").ends(0, "");
        assert_eq!(got.stdout, place.read("input"));
        user.run(place, "-s project/store rm run/unit/shared").ends(0, "");
    }
    check_reads(place, first);
    check_reads(place, second);
    first.run(place, "-s project/store verify --data").ends(0, "sound");
}

#[test]
fn a_store_that_is_shared_with_a_group_is_used_by_the_group_and_nobody_else() {
    let Some(place) = project() else { return };
    ANN.run(&place, "-s project/store init --shared group").ends(0, "made a store").ends(0, "shared with its group");
    check_work_together(&place, ANN, BOB);
    for words in READING.split("; ").chain(["put results run/other"]) {
        let ran = EVE.run(&place, &format!("-s project/store {words}")).ends(1, "permission denied");
        assert!(ran.stderr.contains("project/store"), "{}", ran.stderr);
    }
}

#[test]
fn a_store_that_is_shared_with_all_is_written_by_the_group_and_read_by_all() {
    let Some(place) = project() else { return };
    // His umask closes everything.
    BOB.run(&place, "-s project/store init --shared all").ends(0, "everybody may read");
    check_work_together(&place, BOB, ANN);
    check_reads(&place, EVE);
    check_can_not_write(&place, EVE);
}

#[test]
fn a_store_that_is_not_shared_is_written_by_its_owner_and_read_by_whom_the_umask_lets() {
    let Some(place) = project() else { return };
    ANN.run(&place, "-s project/store init").ends(0, "");
    ANN.run(&place, "-s project/store put results run/unit").ends(0, "");
    check_reads(&place, BOB);
    check_can_not_write(&place, BOB);
    check_reads(&place, EVE);
}

#[test]
fn a_store_that_put_makes_follows_the_umask() {
    let Some(place) = project() else { return };
    for (user, modes) in [(ANN, [0o2755, 0o444]), (BOB, [0o2700, 0o400])] {
        let line = "cd project && ../strongroom-for-all put ../results run/unit";
        user.run(&place, "--version").ends(0, "");
        user.shell(&place, line).ends(0, "made a store in ./.strongroom");
        let mode = |name| fs::metadata(place.path(name)).expect(name).mode() & 0o7777;
        assert_eq!(["project/.strongroom", "project/.strongroom/strongroom.json"].map(mode), modes);
        fs::remove_dir_all(place.path("project/.strongroom")).expect("we are root");
    }
}

#[test]
fn a_store_is_shared_later_by_its_owner_and_what_is_there_as_the_help_says() {
    let Some(place) = project() else { return };
    ANN.run(&place, "-s project/store init").ends(0, "");
    ANN.run(&place, "-s project/store put results run/unit").ends(0, "");
    let refused = BOB.run(&place, "-s project/store init --shared group").ends(1, "it belongs to user 61001");
    assert!(refused.stderr.contains("chmod g+rwxs,o-rwx") && refused.stderr.contains("project/store"), "{refused:?}");
    check_reads(&place, EVE);

    ANN.run(&place, "-s project/store init --shared group").ends(0, "there is a store in project/store already");
    check_reads(&place, BOB);
    check_can_not_write(&place, BOB);
    EVE.run(&place, "-s project/store ls").ends(1, "permission denied");

    let help = place.ok("init --help");
    let line = help.lines().find(|line| line.contains("chmod -R")).expect("the help says how");
    ANN.shell(&place, &line.replace("/data/store", "project/store")).ends(0, "");
    check_work_together(&place, BOB, ANN);
    BOB.run(&place, "-s project/store init --shared group").ends(0, "there is a store");
}

#[test]
fn reading_writes_nothing() {
    let place = Place::new();
    place.write("results/tiny", "1");
    place.write("results/small", noise(1, 5_000));
    place.write("results/large", noise(2, 2_000_000));
    place.ok("put results run/unit");
    let before = states(&place.path(".strongroom"));
    for words in READING.split("; ") {
        place.run(words.split_whitespace()).ends(0, "");
    }
    assert_eq!(states(&place.path(".strongroom")), before);
}

#[test]
fn init_says_as_json_with_whom_a_store_is_shared() {
    let place = Place::new();
    assert_eq!(place.one_json("init --shared group")["shared"], "group");
    assert_eq!(place.one_json("init --shared all")["shared"], "all");
    assert!(place.one_json("init")["shared"].is_null());
}

#[test]
fn only_folders_can_be_shared() {
    let place = Place::new();
    place.write("file", "");
    place.fails("-s memory://x init --shared all", 2, "only folders can be shared");
    place.fails("-s file init --shared all", 6, "file");
    place.fails("init --shared everybody", 2, "group");
}
