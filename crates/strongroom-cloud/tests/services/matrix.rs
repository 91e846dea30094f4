//! The table of `docs/cloud.md`: which server keeps how many of the cases of each promise.
//!
//! ```sh
//! UPDATE=1 cargo test -p strongroom-cloud --test services matrix -- --ignored --nocapture
//! STRONGROOM_TEST_URL=s3://bucket cargo test -p strongroom-cloud --test services matrix -- --ignored --nocapture
//! ```
//!
//! The second tries the service at that URL, with the environment's credentials, beside memory.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::{ErrorKind, ExternalStorage, FileStorage, Location, MemoryStorage};
use strongroom_testkit::conformance::{Case, Place, Verdict, cases};
use tokio::task::JoinSet;

use crate::collection::check_collection;
use crate::large::check_created_once;
use crate::manager::check_manager;
use crate::{azurite, content_with, gcs, moto, place, s3, s3s};

/// How many cases are tried at once on a server.
const AT_ONCE: usize = 4;
/// Where the table stands in the documentation.
const BEGIN: &str = "<!-- The table that `matrix` makes. -->\n";
const END: &str = "<!-- Its end. -->\n";

/// An empty place on some server, each time another.
type Places = Arc<dyn Fn() -> BoxFuture<'static, Place> + Send + Sync>;

struct Column {
    name: &'static str,
    places: Places,
}

fn column<Made: Future<Output = Place> + Send + 'static>(
    name: &'static str,
    make: impl Fn() -> Made + Send + Sync + 'static,
) -> Column {
    Column { name, places: Arc::new(move || make().boxed()) }
}

/// s3rver is not among them: it ends at the first strange name.
fn columns() -> Vec<Column> {
    let memory = column("memory", async || Place::of(Arc::new(MemoryStorage::new())));
    if let Ok(url) = std::env::var("STRONGROOM_TEST_URL") {
        return vec![memory, column("the URL", move || std::future::ready(place(&url, Some(Vec::new()))))];
    }
    let folder = column("folder", async || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Place::of(Arc::new(FileStorage::new(folder.path()))).with_guard(folder)
    });
    let google = format!("gs://{}", moto::BUCKET);
    vec![
        memory,
        folder,
        column("S3: moto", async || place("s3://test", Some(s3::reach().expect("a server")))),
        column("S3: s3s-fs", s3s::place),
        column("Azure: Azurite", async || place("az://test", Some(azurite::reach().expect("a server")))),
        column("Google: our fake", gcs::fake),
        column("Google: moto", move || {
            std::future::ready(place(&google, Some(gcs::reach(&moto::url().expect("a server")))))
        }),
    ]
}

/// How many cases of a promise are kept, and how many there are that the backend makes.
#[derive(Clone, Copy, Default)]
struct Count {
    kept: usize,
    all: usize,
}

/// What a case is about: the number of a promise, and 0 for what the documentation says besides.
fn promise_of(case: &Case) -> usize {
    let number = case.name().strip_prefix("promise_").and_then(|rest| rest.split('_').next());
    number.map_or(0, |number| number.parse().expect("a number"))
}

/// Counts by promise. What is not kept is said on stderr.
async fn count(name: &str, places: &(impl AsyncFn() -> Place + Sync)) -> [Count; 11] {
    let mut counts = [Count::default(); 11];
    let cases = cases();
    let outcomes = stream::iter(&cases).map(|case| async move { (case, case.run(&places().await).await) });
    let mut outcomes = outcomes.buffered(AT_ONCE).boxed_local();
    while let Some((case, outcome)) = outcomes.next().await {
        let count = &mut counts[promise_of(case)];
        match outcome {
            Ok(Verdict::Kept) => (count.kept, count.all) = (count.kept + 1, count.all + 1),
            Ok(_) => {}
            Err(failure) => {
                count.all += 1;
                eprintln!("{name}: {}: {failure}", case.name());
            }
        }
    }
    counts
}

/// Whether a content store there takes nothing, because services that overwrite what should be new are no place for it.
async fn refuses(place: &Place) -> bool {
    let store =
        ContentStorage::create(place.open().await.expect("a bucket"), ContentConfig::default(), OpenOptions::default());
    let stored =
        store.await.expect("create").store_bytes(&Location::parse("a/b").expect("a location"), "a".into()).await;
    stored.is_err_and(|error| error.kind() == ErrorKind::Unsupported)
}

/// Whether what panics otherwise is kept.
async fn holds(work: impl Future<Output = ()> + Send + 'static) -> &'static str {
    let mut task = JoinSet::new();
    task.spawn(work);
    if task.join_next().await.is_some_and(|joined| joined.is_ok()) { "yes" } else { "**no**" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it makes the table of docs/cloud.md, of what the other tests try as well"]
async fn matrix() {
    let columns = columns();
    let mut rows: Vec<Vec<String>> = vec![Vec::new(); 2 * 11 + 3];
    for Column { name, places } in &columns {
        eprintln!("== {name}");
        let is_refused = refuses(&places().await).await;
        let options: fn() -> OpenOptions = match is_refused {
            false => OpenOptions::default,
            true => || OpenOptions::default().with_single_writer(true),
        };
        let stores = async || content_with(places().await, options);
        let counts = [count(name, &async || places().await).await, count(&format!("{name}, store"), &stores).await];
        for (number, Count { kept, all }) in counts.into_iter().flatten().enumerate() {
            let alone = if is_refused && number >= 11 { " \u{2020}" } else { "" };
            rows[number].push(if kept < all { format!("**{kept}/{all}**{alone}") } else { format!("{kept}{alone}") });
        }
        let [large, collected, bare, store] = [places().await, places().await, places().await, places().await];
        rows[22].push(holds(check_created_once(large)).await.into());
        rows[23].push(holds(check_collection(collected)).await.into());
        rows[24].push(holds(check_manager(bare, store)).await.into());
    }
    let table = table(&columns, &rows);
    println!("{table}");
    if std::env::var_os("UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cloud.md");
        let text = std::fs::read_to_string(&path).expect("the documentation");
        let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
        let (_, after) = rest.split_once(END).expect("the end of the table");
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("write");
    }
}

fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    const PROMISES: [&str; 11] = [
        "what else is documented",
        "1: whole objects or none",
        "2: durable",
        "3: seen at once",
        "4: created once",
        "5: what was stored is read",
        "6: absent is `Missing`",
        "7: no name for another",
        "8: prefixes are strings",
        "9: dropped at any time",
        "10: ranges",
    ];
    let order = (1..11).chain([0]);
    let mut lines: Vec<(String, usize)> = Vec::new();
    for (of, first) in [("backend", 0), ("content store", 11)] {
        lines.extend(order.clone().map(|promise| (format!("{of}, {}", PROMISES[promise]), first + promise)));
    }
    let besides = ["an object of more than 64 MiB is created once", "collection beside writers", "workflow units"];
    lines.extend(besides.iter().zip(22..).map(|(what, row)| (what.to_string(), row)));
    let mut text = String::from("| |");
    columns.iter().for_each(|column| write!(text, " {} |", column.name).expect("a string"));
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(columns.len())));
    for (what, row) in lines {
        writeln!(text, "| {what} | {} |", rows[row].join(" | ")).expect("a string");
    }
    text
}
