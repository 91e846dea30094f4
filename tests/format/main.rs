//! `FORMAT.md`, checked: `tests/read_store.py`, written from that document alone, reads what this program writes.

mod fixtures;
#[path = "../python/mod.rs"]
mod python;
mod sample;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::UNIX_EPOCH;

use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use strongroom::{ByteRange, ExternalStorage, Location, ObjectRef, Result, VerifyOptions, Version};

use sample::{CHUNKED, LARGE, MANY, Sample, at, large, namespace, rich, tiny};

/// Nobody may write to the files of a store, but who may write to its folders can put others in their place.
fn replace(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::remove_file(path).expect("remove");
    std::fs::write(path, content).expect("write");
}

/// The scripts, with a Python that can run them.
struct Reader {
    python: PathBuf,
}

impl Reader {
    fn new() -> Option<Self> {
        python::interpreter("python", include_str!("../requirements.txt")).map(|python| Self { python })
    }

    fn run(&self, script: &str, root: &Path, arguments: &[&str], input: &[u8]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(script).arg(root).args(arguments);
        let mut child = command
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python starts");
        // A script that fails early does not read its input.
        child.stdin.take().expect("a pipe").write_all(input).unwrap_or_default();
        child.wait_with_output().expect("python ends")
    }

    /// What a script that must succeed prints.
    #[track_caller]
    fn output(&self, script: &str, root: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(script, root, arguments, input);
        assert!(output.status.success(), "{script} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[track_caller]
    fn read(&self, root: &Path, arguments: &[&str]) -> Vec<u8> {
        self.output("read_store.py", root, arguments, b"")
    }

    /// What the script says of each object.
    #[track_caller]
    fn list(&self, root: &Path, arguments: &[&str]) -> Vec<Value> {
        let printed = String::from_utf8(self.read(root, &[&["ls", "--json"], arguments].concat())).expect("UTF-8");
        printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// What the script says when it must refuse.
    #[track_caller]
    fn refusal(&self, root: &Path, arguments: &[&str]) -> String {
        let output = self.run("read_store.py", root, arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.starts_with("read_store: "), "{said}");
        said
    }
}

/// What the store says of an object, as the script prints it.
fn described(object: &ObjectRef) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let attributes: BTreeMap<&str, String> = object.attributes().iter().map(|(key, value)| (key, hex(value))).collect();
    let time = object.stored_at().expect("it has a name").duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    json!({
        "location": object.location().as_str(),
        "digest": object.digest().to_string(),
        "size": object.size(),
        "kept": object.kept().as_str(),
        "version": object.version().get(),
        "time": u64::try_from(time).expect("this side of the year 586524"),
        "attributes": attributes,
    })
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMAT.md")
}

async fn objects(sample: &Sample) -> Vec<ObjectRef> {
    sample.store.objects("").try_collect().await.expect("list the objects")
}

fn sorted(mut listing: Vec<Value>) -> Vec<Value> {
    listing.sort_by_key(|object| object["location"].as_str().expect("a location").to_string());
    listing
}

#[tokio::test]
async fn a_reader_written_from_the_document_lists_every_object_as_the_store_does() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    let expected: Vec<Value> = objects(&sample).await.iter().map(described).collect();
    assert!(expected.len() > 500, "{}", expected.len());
    for kept in ["inline", "packed", "chunked", "whole"] {
        let prefix = format!("kept/{kept}/");
        let mut so_kept =
            expected.iter().filter(|object| object["location"].as_str().is_some_and(|at| at.starts_with(&prefix)));
        assert!(so_kept.all(|object| object["kept"] == kept), "all of {prefix} are");
    }
    assert_eq!(sorted(reader.list(&sample.root(), &[])), sorted(expected));
}

#[tokio::test]
async fn it_lists_every_version_and_tag_as_the_store_does() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    let many = namespace(MANY);
    let commits = sample.store.log(&many, None).await.expect("log");
    assert_eq!(commits.len(), 140);
    for (at, version) in
        [("1", 1), ("3", 3), ("early", 3), ("64", 64), ("96", 96), ("later", 100), ("127", 127), ("139", 139)]
    {
        let snapshot = sample.store.snapshot_at(&many, Version::new(version)).await.expect("it is there");
        let expected: Vec<Result<ObjectRef>> = snapshot.objects("").await.expect("list").collect().await;
        let expected: Vec<Value> = expected.iter().map(|object| described(object.as_ref().expect("sound"))).collect();
        assert_eq!(reader.list(&sample.root(), &["--at", at, MANY]), expected, "version {at}");
    }
    let bytes = reader.read(&sample.root(), &["cat", "--at", "früh", "root.txt"]);
    assert_eq!(bytes, b"root");
    assert!(reader.refusal(&sample.root(), &["cat", "--at", "gone", "kept/whole/small"]).contains("no tag"));
}

#[tokio::test]
async fn it_reads_every_byte_as_the_store_does() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    let exported = sample.folder.path().join("exported");
    reader.read(&sample.root(), &["export", exported.to_str().expect("UTF-8")]);
    for object in objects(&sample).await {
        let expected = sample.store.load_bytes(object.location(), ByteRange::All).await.expect("load");
        let path = exported.join(object.location().as_str());
        if object.attributes().symlink() {
            let target = std::fs::read_link(&path).expect("a link");
            assert_eq!(target.to_str().map(str::as_bytes), Some(&expected[..]));
        } else {
            assert!(std::fs::read(&path).expect("exported") == expected, "{} differs", object.location());
            let modified = std::fs::metadata(&path).expect("exported").modified().expect("a time");
            assert!(object.attributes().modified().is_none_or(|expected| modified == expected));
        }
    }
    for location in ["kept/inline/empty", CHUNKED, "naïve"] {
        let expected = sample.store.load_bytes(&at(location), ByteRange::All).await.expect("load");
        assert_eq!(reader.read(&sample.root(), &["cat", location]), expected);
    }
    assert!(reader.refusal(&sample.root(), &["cat", "left/nothing"]).contains("there is no"));
}

#[tokio::test]
async fn everything_that_is_said_twice_agrees() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    let report = sample.store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(report.is_sound(), "{:?}", report.problems);
    let printed = reader.output("check_store.py", &sample.root(), &[], b"");
    let counts: Value = serde_json::from_slice(&printed).expect("JSON");
    let expected = json!({
        "namespaces": report.namespaces,
        "runs": report.runs,
        "objects": report.objects,
        "packs": report.packs,
        "files": report.files,
        "indexes": 1,
        "tags": 3,
    });
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn a_large_run_has_a_filter_of_its_names() {
    let Some(reader) = Reader::new() else { return };
    let sample = large().await;
    assert_eq!(reader.list(&sample.root(), &[]).len(), LARGE);
    assert_eq!(reader.read(&sample.root(), &["cat", "large/77"]), b"large/77");
    assert!(reader.refusal(&sample.root(), &["cat", "large/nothing"]).contains("there is no"));
    let run = sample.store.backend().iter_contents("names/large/@/").try_next().await.expect("list").expect("a run");
    let printed = String::from_utf8(reader.read(&sample.root(), &["dump", run.as_str()])).expect("UTF-8");
    assert!(printed.contains("length of filter = 10240"), "ten bits a name");
    // That no name is ruled out, this checks.
    reader.output("check_store.py", &sample.root(), &[], b"");
}

#[tokio::test]
async fn objects_are_cut_where_the_document_says() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    for location in [CHUNKED, "kept/chunked/text"] {
        let object = sample.store.find(&at(location)).await.expect("it is there");
        assert!(object.chunk_count() > 15, "its list is in a pack");
        let content = sample.store.load_bytes(&at(location), ByteRange::All).await.expect("load");
        let printed = reader.output("check_store.py", &sample.root(), &[location], &content);
        assert_eq!(String::from_utf8(printed).expect("UTF-8").trim(), object.chunk_count().to_string());
    }
}

#[tokio::test]
async fn packs_and_files_alone_give_all_content_back() {
    let Some(reader) = Reader::new() else { return };
    let sample = rich().await;
    let expected = objects(&sample).await;
    for lost in ["names", "index", "gc"] {
        std::fs::remove_dir_all(sample.root().join(lost)).unwrap_or_default();
    }
    std::fs::remove_file(sample.root().join("strongroom.json")).expect("it was there");
    let recovered = sample.folder.path().join("recovered");
    reader.read(&sample.root(), &["recover", recovered.to_str().expect("UTF-8")]);
    for object in expected.iter().filter(|object| object.kept().as_str() != "inline") {
        let bytes = std::fs::read(recovered.join(object.digest().to_string())).expect("recovered");
        assert_eq!(strongroom::Digest::of(&bytes), object.digest(), "{}", object.location());
    }
}

#[tokio::test]
async fn a_chunk_that_is_no_longer_where_its_entry_says_is_found_by_its_digest() {
    let Some(reader) = Reader::new() else { return };
    let sample = tiny().await;
    let copy = sample.folder.path().join("copy");
    let other = strongroom::create(copy.to_str().expect("UTF-8"), sample.store.config()).await.expect("create");
    let location = at("dag/unit/energies.csv");
    let expected = sample.store.load_bytes(&location, ByteRange::All).await.expect("load");
    other.store_bytes(&location, expected.clone()).await.expect("store");
    std::fs::remove_dir_all(sample.root().join("packs")).expect("packs");
    assert!(reader.refusal(&sample.root(), &["cat", location.as_str()]).contains("lost or damaged"));
    std::fs::rename(copy.join("packs"), sample.root().join("packs")).expect("another pack with the same chunk");
    assert_eq!(reader.read(&sample.root(), &["cat", location.as_str()]), expected);
    let reopened = strongroom::open(sample.root().to_str().expect("UTF-8")).await.expect("open");
    assert_eq!(reopened.load_bytes(&location, ByteRange::All).await.expect("load"), expected);
}

#[tokio::test]
async fn a_store_of_another_format_or_with_an_unknown_feature_is_refused() {
    let Some(reader) = Reader::new() else { return };
    let sample = tiny().await;
    let path = sample.root().join("strongroom.json");
    let text = std::fs::read_to_string(&path).expect("the description");
    for (from, to, word) in [
        ("\"format\": \"1\"", "\"format\": \"2\"", "format"),
        ("\"required_features\": []", "\"required_features\": [\"holes\"]", "holes"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        replace(&path, changed);
        assert!(reader.refusal(&sample.root(), &["ls"]).contains(word));
        let error = strongroom::open(sample.root().to_str().expect("UTF-8")).await.expect_err(word);
        assert_eq!(error.kind(), strongroom::ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn the_description_in_the_document_is_that_of_a_new_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().to_str().expect("UTF-8");
    let store = strongroom::create(root, strongroom::ContentConfig::default()).await.expect("create");
    let document = std::fs::read_to_string(document()).expect("the document");
    let (_, rest) = document.split_once("```json\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let mut fields: Value = serde_json::from_str(example).expect("JSON");
    let (id, checksum) = (fields["id"].clone(), fields["checksum"].clone());
    let (id, checksum) = (id.as_str().expect("an id"), checksum.as_str().expect("a checksum"));
    assert_eq!(sealed(example), example, "the example has its own checksum");
    let found = std::fs::read_to_string(folder.path().join("strongroom.json")).expect("the description");
    fields = serde_json::from_str(&found).expect("JSON");
    let found_checksum = fields["checksum"].as_str().expect("a checksum");
    assert_eq!(found, example.replace(id, store.id()).replace(checksum, found_checksum));
}

/// A description with the checksum that it should have.
fn sealed(description: &str) -> String {
    let mut fields: Value = serde_json::from_str(description).expect("JSON");
    let checksum = fields.as_object_mut().expect("an object").remove("checksum").expect("a checksum");
    fields.sort_all_objects();
    let digest = strongroom::Digest::of(fields.to_string().as_bytes()).to_string();
    description.replace(checksum.as_str().expect("text"), &digest)
}

#[tokio::test]
async fn capitals_are_encoded_where_the_backend_folds_case() {
    let Some(reader) = Reader::new() else { return };
    let sample = tiny().await;
    let path = sample.root().join("strongroom.json");
    let text = std::fs::read_to_string(&path).expect("the description");
    replace(&path, sealed(&text.replace("\"folds_case\": false", "\"folds_case\": true")));
    let store = strongroom::open(sample.root().to_str().expect("UTF-8")).await.expect("open");
    for location in ["Dag/UNIT/x", "dag/unit/y"] {
        store.store_bytes(&at(location), location.into()).await.expect("store");
        assert_eq!(reader.read(&sample.root(), &["cat", location]), location.as_bytes());
    }
    assert!(sample.root().join("names/%44ag/%55%4E%49%54/@/ffffffffff").is_file());
    let listed: Vec<Value> =
        reader.list(&sample.root(), &["Dag"]).into_iter().map(|mut object| object["location"].take()).collect();
    assert_eq!(listed, ["Dag/UNIT/x"]);
}

#[tokio::test]
async fn any_damaged_byte_is_noticed_by_both_readers() {
    let Some(reader) = Reader::new() else { return };
    let sample = tiny().await;
    for file in files(&sample).await {
        let path = sample.root().join(file.as_str());
        let sound = std::fs::read(&path).expect("a file of the store");
        // The magic number at the front is for people; a sixteenth of all other bytes will do.
        for at in (8..sound.len()).step_by(16) {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            replace(&path, damaged);
            let store = strongroom::open(sample.root().to_str().expect("UTF-8")).await.expect("open");
            let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
            assert!(!report.is_sound(), "byte {at} of {file}");
            let said = reader.run("check_store.py", &sample.root(), &[], b"");
            assert!(!said.status.success(), "byte {at} of {file}");
        }
        replace(&path, sound);
    }
}

/// The pack and the run of the tiny store.
async fn files(sample: &Sample) -> Vec<Location> {
    let mut found = Vec::new();
    for prefix in ["packs/", "names/"] {
        found.extend(sample.store.backend().iter_contents(prefix).try_collect::<Vec<_>>().await.expect("list"));
    }
    assert_eq!(found.len(), 2);
    found
}

/// `UPDATE=1 cargo test --test format` writes the example anew.
#[tokio::test]
async fn the_example_in_the_document_is_what_the_command_prints() {
    let Some(reader) = Reader::new() else { return };
    let sample = tiny().await;
    let mut example = String::new();
    for file in files(&sample).await {
        let printed = String::from_utf8(reader.read(&sample.root(), &["dump", file.as_str()])).expect("UTF-8");
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        example +=
            &format!("`python3 tests/read_store.py STORE dump {file}`\n\n```text\n{}\n```\n\n", printed.join("\n"));
    }
    let path = document();
    let document = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once("<!-- example -->\n").expect("where the example begins");
    let (found, after) = rest.split_once("<!-- end of example -->").expect("where the example ends");
    if std::env::var_os("UPDATE").is_some() {
        let document = format!("{before}<!-- example -->\n{example}<!-- end of example -->{after}");
        std::fs::write(&path, document).expect("write the document");
    } else {
        assert!(found == example, "the example is not what the command prints: {example}");
    }
}
