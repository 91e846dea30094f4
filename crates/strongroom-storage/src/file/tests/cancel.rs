//! Dropped futures leave nothing.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::poll_fn;
use futures::{FutureExt, stream};

use super::*;

const PIECES: usize = 3;

/// Large enough to be written by itself.
fn piece() -> Bytes {
    Bytes::from(vec![b'x'; 1 << 20])
}

/// A source that is not ready every other time it is asked.
fn hesitant() -> Source {
    let mut asked = 0;
    Source::stream(stream::poll_fn(move |context: &mut Context<'_>| {
        asked += 1;
        if asked % 2 == 1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready((asked <= 2 * PIECES).then(|| Ok(piece())))
    }))
}

/// Polls `future` up to `polls` times, each time when it asks for it, and drops it. Says whether it was done before.
async fn poll_up_to(future: impl Future<Output = Result<Stored>>, polls: usize) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.poll_unpin(context) {
            Poll::Ready(stored) => Poll::Ready(stored.is_ok()),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn a_store_that_is_dropped_at_any_await_leaves_the_old_object_or_the_new_one_and_nothing_else() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let options = [StoreOptions::default(), StoreOptions::create()];
    for (way, config) in ways() {
        for options in options {
            let content = piece().repeat(PIECES);
            let path_source = |bench: &Bench| Source::path(bench.outside("source", &content));
            let sources: [&dyn Fn(&Bench) -> Source; 3] =
                [&|_| hesitant(), &|_| Source::bytes(content.clone()), &path_source];
            for source in sources {
                for polls in 0.. {
                    let bench = Bench::with(FileConfig { sync: |_| Ok(()), ..config.clone() });
                    let running = runtime();
                    let done = running.block_on(async {
                        bench.store("old", "old").await;
                        poll_up_to(bench.storage.store(&at("new/object"), source(&bench), &options), polls).await
                    });
                    // Waits for the threads on which work had begun.
                    drop(running);
                    let tree = bench.tree();
                    let stored = tree.contains("new/object");
                    assert!(stored || !done, "{way}, {polls} polls");
                    let expected: &[&str] = if stored { &["new", "new/object", "old"] } else { &["old"] };
                    assert_eq!(tree, names(expected), "{way}, {polls} polls");
                    if stored {
                        let found = std::fs::read(bench.storage.root().join("new/object")).expect("read");
                        assert!(found == content, "{way}, {polls} polls: other content");
                    }
                    if done {
                        break;
                    }
                    assert!(polls < 100, "{way}: it never ends");
                }
            }
        }
    }
}
