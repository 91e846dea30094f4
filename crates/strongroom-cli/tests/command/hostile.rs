//! Names, files and folders that somebody made to do harm. `SECURITY.md` has the claims.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Place, noise};

/// Moves the cursor, clears the screen, sets the title, and a CSI of one character.
const EVIL: &str = "a\u{1b}[2J\u{1b}]0;owned\u{7}b\u{9b}31mc\u{7f}";

/// What a terminal gets when the command is called in one.
fn in_a_terminal(place: &Place, words: &[&str]) -> Vec<u8> {
    let command = place.command(words);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().expect("text").replace('\'', "'\\''"));
    let line: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.current_dir(command.get_current_dir().unwrap_or(&place.path(""))).env("TERM", "xterm");
    script.output().expect("script(1) of util-linux runs").stdout
}

#[test]
fn names_with_control_characters_do_nothing_to_a_terminal() {
    let place = Place::new();
    place.run_with(&format!("put - run/{EVIL}"), b"content").ok();
    for words in [
        &["ls"][..],
        &["ls", "-l"],
        &["--json", "ls"],
        &["stat", &format!("run/{EVIL}")],
        &["log", "run"],
        &["cat", &format!("run/{EVIL}/missing")],
        &["get", &format!("run/{EVIL}/missing")],
        &["--json", "cat", &format!("run/{EVIL}/missing")],
    ] {
        let shown = in_a_terminal(&place, words);
        let text = String::from_utf8(shown).expect("UTF-8");
        assert!(!text.trim().is_empty(), "{words:?}");
        for character in ['\u{1b}', '\u{7}', '\u{9b}', '\u{7f}'] {
            assert!(!text.contains(character), "{words:?}: {text:?}");
        }
    }
    let shown = String::from_utf8(in_a_terminal(&place, &["ls"])).expect("UTF-8");
    assert!(shown.contains("\\u001b[2J"), "{shown:?}");
    // A program that reads it gets the name as it is.
    assert_eq!(place.ok("ls"), format!("run/{EVIL}\n"));
    let error = place.run(["cat", &format!("run/{EVIL}/missing")]);
    assert!(!error.stderr.contains('\u{1b}'), "errors are read by people: {:?}", error.stderr);
}

/// Another process that may write to DEST puts a link in the place of a folder again and again while things are restored to it.
#[test]
fn a_link_that_is_swapped_in_while_get_restores_leads_nothing_out() {
    let place = Place::new();
    for n in 0..60 {
        place.write(&format!("results/sub/deep/{n}"), noise(n, 2000));
    }
    place.write("results/sub/large", noise(99, 3_000_000));
    place.ok("put results run/unit");
    fs::create_dir_all(place.path("outside/deep")).expect("new");
    let over = AtomicBool::new(false);
    let (mut done, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            let (folder, aside, link) = (place.path("back/sub"), place.path("aside"), place.path("link"));
            let mut swaps = 0;
            while !over.load(Ordering::SeqCst) {
                let _ = symlink("../outside", &link);
                // As fast as can be: folder, link, folder ...
                if fs::rename(&folder, &aside).is_ok() && fs::rename(&link, &folder).is_ok() {
                    swaps += 1;
                    std::thread::yield_now();
                    let _ = fs::remove_file(&folder);
                }
                let _ = fs::rename(&aside, &folder);
                let _ = fs::remove_dir_all(&aside);
            }
            swaps
        });
        for _ in 0..25 {
            let ran = place.run(["get", "run/unit", "back"]);
            match ran.code {
                Some(0) => done += 1,
                _ => refused += 1,
            }
            let _ = fs::remove_dir_all(place.path("back"));
        }
        over.store(true, Ordering::SeqCst);
        let swaps: u32 = swaps.join().expect("swaps");
        assert!(swaps > 0, "it was tried");
    });
    assert_eq!(done + refused, 25);
    assert_eq!(fs::read_dir(place.path("outside")).expect("there").count(), 1);
    assert_eq!(fs::read_dir(place.path("outside/deep")).expect("there").count(), 0, "{done} done, {refused} refused");
}

#[test]
fn what_is_no_file_is_not_stored_and_nothing_but_files_and_links_comes_back() {
    let place = Place::new();
    place.write("results/program", "#!/bin/sh\n");
    let program = place.path("results/program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).expect("it is ours");
    let fifo = place.path("results/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    assert!(fs::metadata(&fifo).expect("there").file_type().is_fifo());
    place.fails("put results run/unit", 2, "results/fifo: this is a FIFO");
    fs::remove_file(&fifo).expect("remove");
    place.ok("put results run/unit");
    place.ok("get run/unit back");
    let mode = fs::metadata(place.path("back/program")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7000, 0, "no set-user-id, no set-group-id");
    assert_eq!(mode & 0o100, 0o100, "a program");
}

#[test]
fn no_name_leads_out_of_the_store_or_of_dest() {
    let place = Place::new();
    place.write("evil", "evil");
    for name in ["../evil", "run/../../evil", "/etc/evil", "run/..", ".."] {
        place.fails(&format!("put evil {name}"), 2, "location");
    }
    // Names that are odd, and legal.
    for name in ["run/...", "run/..a", "run/a..", "run/~", "run/-rf", "run/$HOME", "run/%2e%2e", "run/a\\..\\b"] {
        place.ok(&format!("put evil {name}"));
    }
    place.ok("get run/ back");
    let mut names: Vec<_> = fs::read_dir(place.path("back"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, ["$HOME", "%2e%2e", "-rf", "...", "..a", "a..", "a\\..\\b", "~"]);
}

/// Who may write to the folder of a store can put a link where a file was.
#[test]
fn a_link_in_the_store_hands_out_nothing_that_is_not_the_object() {
    let place = Place::new();
    place.write("large", noise(1, 2_000_000));
    place.write("secret", "TOP SECRET ".repeat(200_000));
    place.ok("put large run/large");
    let file = place.store_files("files").remove(0);
    fs::remove_file(&file).expect("it is ours");
    symlink(place.path("secret"), &file).expect("a link");
    let read = place.fails("cat run/large", 5, "damaged");
    assert_eq!(read.stdout, b"", "not a byte of it");
    assert!(!read.stderr.contains("SECRET"), "{}", read.stderr);
    place.fails("get run/large back", 5, "damaged");
    assert!(!place.path("back").exists());
    place.fails("verify --data", 5, "problem");
}
