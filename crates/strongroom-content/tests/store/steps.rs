//! Everything that changes a store, as steps that follow each other: what is done to them all is said once.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use strongroom_content::{CollectOptions, ContentStorage, Layout, PutOptions, Version};
use strongroom_storage::{DigestSet, Digests, ExternalStorage, Result, StoreMode, StoreOptions};

use crate::collector::{all_content, publish_list};
use crate::support::{Backend, Step, at, files, layout, namespace, noise, open, put};
use crate::sync::{sync_changes, sync_first};

fn nothing(_: &Backend) -> BoxFuture<'_, ()> {
    async {}.boxed()
}

/// A collector's list that names all content, as if all of it lay in packs and files that are to be merged.
fn list_all_content(backend: &Backend) -> BoxFuture<'_, ()> {
    async move {
        publish_list(backend, &all_content(backend).await).await;
    }
    .boxed()
}

/// So many names that a namespace has several live runs.
fn fill_a_namespace(backend: &Backend) -> BoxFuture<'_, ()> {
    async move {
        let store = open(backend).await;
        for round in 0..7 {
            let mut batch = store.batch();
            for n in 0..if round == 0 { 400 } else { 3 } {
                let name = at(&format!("many/{:03}", n * 7 + round));
                batch.put(name, noise(5000 + n * 7 + round, 200), PutOptions::default());
            }
            batch.commit().await.expect("commit");
        }
    }
    .boxed()
}

/// An index file, and so many packs in none that the next one is merged with it.
fn fill_index_files(backend: &Backend) -> BoxFuture<'_, ()> {
    async move {
        let store = open(backend).await;
        while files(backend, "index/").await.is_empty() {
            put(&store, "packs/any", noise(rounds(backend).await, 300), PutOptions::default()).await.expect("put");
        }
        for _ in 0..64 {
            put(&store, "packs/any", noise(rounds(backend).await, 300), PutOptions::default()).await.expect("put");
        }
    }
    .boxed()
}

/// Another number for each pack.
async fn rounds(backend: &Backend) -> u64 {
    70_000 + files(backend, "packs/").await.len() as u64
}

/// In this order on one store, whose chunks are small.
pub const STEPS: &[Step] = &[
    Step {
        name: "store the first object",
        prepare: nothing,
        work: |store| async { store.store_bytes(&at("a/inline"), "tiny".into()).await.map(drop) }.boxed(),
    },
    Step {
        name: "replace an object",
        prepare: nothing,
        work: |store| async { store.store_bytes(&at("a/inline"), noise(1, 5000)).await.map(drop) }.boxed(),
    },
    Step {
        name: "store a batch of all kinds in several namespaces",
        prepare: nothing,
        work: |store| {
            async {
                let mut batch = store.batch().with_message("all kinds");
                batch
                    .put(at("root.bin"), noise(2, 3000), PutOptions::default())
                    .put(at("a/chunked"), noise(3, 30_000), layout(Layout::Chunked))
                    .put(at("a/inline"), "tiny again", PutOptions::default())
                    .put(at("dag/unit/many-chunks"), noise(4, 120_000), layout(Layout::Chunked))
                    .put(at("dag/unit/sub/whole"), noise(5, 50_000), layout(Layout::Whole))
                    .put(at("dag/unit/empty"), "", PutOptions::default());
                batch.commit().await.map(drop)
            }
            .boxed()
        },
    },
    Step {
        name: "store an object that must be new",
        prepare: nothing,
        work: |store| {
            async { store.store(&at("a/new"), noise(6, 300).into(), &StoreOptions::create()).await.map(drop) }.boxed()
        },
    },
    Step {
        name: "tag a version",
        prepare: nothing,
        work: |store| {
            async { store.tag(&namespace("a"), Version::new(2), "second", StoreMode::Create).await.map(drop) }.boxed()
        },
    },
    Step {
        name: "copy names",
        prepare: nothing,
        work: |store| {
            async {
                let mut batch = store.batch();
                for name in ["sub/whole", "many-chunks", "empty"] {
                    let object = store.find(&at(&format!("dag/unit/{name}"))).await?;
                    batch.link(at(&format!("copy/of/{name}")), object, StoreMode::Overwrite);
                }
                batch.commit().await.map(drop)
            }
            .boxed()
        },
    },
    Step {
        name: "delete an object",
        prepare: nothing,
        work: |store| async { store.delete(&at("dag/unit/many-chunks")).await }.boxed(),
    },
    Step {
        name: "delete objects of several namespaces",
        prepare: nothing,
        work: |store| async { store.delete_all(&["a/new", "a/chunked", "root.bin", "absent/x"].map(at)).await }.boxed(),
    },
    Step {
        name: "restore what was replaced",
        prepare: nothing,
        work: |store| {
            async {
                let mut batch = store.batch();
                let version = store.snapshot_at(&namespace("a"), Version::new(2)).await?;
                batch.link(at("a/inline"), version.find(&at("a/inline")).await?, StoreMode::Overwrite);
                batch.commit().await.map(drop)
            }
            .boxed()
        },
    },
    Step {
        name: "move what was found",
        prepare: nothing,
        work: |store| {
            async {
                let (from, over) =
                    (store.find(&at("copy/of/empty")).await?, store.find(&at("copy/of/sub/whole")).await?);
                let mut batch = store.batch();
                batch.link(at("copy/of/moved"), from.clone(), StoreMode::Create).remove_found(&from);
                batch.replace_found(&over, over.clone().with_digests(&Digests::of(&noise(5, 50_000), DigestSet::ALL)));
                batch.commit().await.map(drop)
            }
            .boxed()
        },
    },
    Step {
        name: "copy what a collector is about to remove",
        prepare: list_all_content,
        work: |store| {
            async {
                let mut batch = store.batch();
                for name in ["sub/whole", "many-chunks"] {
                    let object = store.find(&at(&format!("copy/of/{name}"))).await?;
                    batch.link(at(&format!("moved/{name}")), object, StoreMode::Overwrite);
                }
                batch.commit().await.map(drop)
            }
            .boxed()
        },
    },
    Step {
        name: "tag a version whose content a collector is about to remove",
        prepare: list_all_content,
        work: |store| {
            async { store.tag(&namespace("a"), Version::new(3), "third", StoreMode::Overwrite).await.map(drop) }.boxed()
        },
    },
    Step {
        name: "remove a tag",
        prepare: nothing,
        work: |store| async { store.untag(&namespace("a"), "second").await }.boxed(),
    },
    Step {
        name: "commit to a large namespace",
        prepare: fill_a_namespace,
        work: |store| async { put(store, "many/000", noise(7, 700), PutOptions::default()).await }.boxed(),
    },
    Step {
        name: "merge index files",
        prepare: fill_index_files,
        work: |store| async { store.store_bytes(&at("a/last"), noise(80, 500)).await.map(drop) }.boxed(),
    },
];

/// Objects of each kind, some of which share packs with what is removed, and small packs enough to be merged.
fn store_and_remove(backend: &Backend) -> BoxFuture<'_, ()> {
    async move {
        let store = open(backend).await;
        let mut batch = store.batch();
        batch
            .put(at("a/goes"), noise(1, 3000), PutOptions::default())
            .put(at("a/stays"), noise(2, 1000), PutOptions::default())
            .put(at("a/chunked"), noise(3, 90_000), layout(Layout::Chunked))
            .put(at("b/whole"), noise(4, 30_000), layout(Layout::Whole))
            .put(at("b/other"), noise(5, 30_000), layout(Layout::Whole));
        batch.commit().await.expect("commit");
        for n in 0..16 {
            put(&store, "a/again", noise(10 + n, 400), PutOptions::default()).await.expect("put");
        }
        store.tag(&namespace("a"), Version::new(5), "fifth", StoreMode::Overwrite).await.expect("tag");
        store.delete_all(&["a/goes", "b/other"].map(at)).await.expect("delete");
        let marker = at(&format!("gc/{:032x}.session", 3));
        backend.store_bytes(&marker, "session\n".into()).await.expect("a writer that has died");
    }
    .boxed()
}

/// Takes everything away that can go.
fn collect(store: &ContentStorage) -> BoxFuture<'_, Result<()>> {
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
    store.collect(options).map_ok(drop).boxed()
}

/// Collections, in this order on one store.
pub const COLLECTIONS: &[Step] = &[
    Step { name: "collect", prepare: store_and_remove, work: collect },
    Step { name: "finish what another collector has listed", prepare: list_all_content, work: collect },
];

/// Synchronizations, in this order on one store.
pub const SYNCS: &[Step] = &[
    Step { name: "sync into an empty store", prepare: nothing, work: sync_first },
    Step { name: "sync changes while a collector is at work", prepare: list_all_content, work: sync_changes },
];
