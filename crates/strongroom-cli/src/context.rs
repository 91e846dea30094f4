//! What every verb needs: which store is meant, and where to print.

use strongroom::{ContentConfig, ContentStorage, Error, OpenOptions, Result, Sharing};

use crate::args::Cli;
use crate::cache;
use crate::exit::Exit;
use crate::output::{Output, is_closed_pipe};

/// The store that is meant when none is named.
const DEFAULT_STORE: &str = "./.strongroom";

/// The circumstances of one call.
#[derive(Debug)]
pub struct Context {
    /// Where to print.
    pub output: Output,
    store: Option<String>,
    cache_content: u64,
    single_writer: bool,
}

impl Context {
    /// Those that the options name.
    pub fn new(cli: &Cli) -> Self {
        // A variable that is set to nothing is one that is not set.
        let store = cli.store.clone().filter(|store| !store.is_empty());
        Self {
            output: Output::new(cli.json, cli.quiet),
            store,
            cache_content: cli.cache_content.unwrap_or_default(),
            single_writer: cli.single_writer,
        }
    }

    /// Where the store is.
    pub fn url(&self) -> &str {
        self.store.as_deref().unwrap_or(DEFAULT_STORE)
    }

    /// Opens the store.
    ///
    /// # Errors
    /// Those of [`strongroom::open_with`].
    pub async fn open(&self) -> Result<ContentStorage> {
        strongroom::open_with(self.url(), self.options()).await
    }

    /// Opens the store at `url`, for verbs about more than one.
    ///
    /// # Errors
    /// As for [`open`](Self::open); where there is none, the error names the verb that makes one.
    pub async fn open_at(&self, url: &str) -> Result<ContentStorage> {
        strongroom::open_with(url, self.options()).await.map_err(|error| match error.is_missing() {
            true => {
                let detail = format!("there is no store; make one with `strongroom --store {url} init`");
                Error::new(error.kind(), "open", url, detail).with_source(error)
            }
            false => error,
        })
    }

    /// Opens the store; makes it if none was named and the one in this folder is not there yet.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_to_put(&self) -> Result<ContentStorage> {
        match self.open().await {
            Err(error) if error.is_missing() && self.store.is_none() => {
                let store = self.create(ContentConfig::default()).await?;
                self.output.note(&format!("made a store in {DEFAULT_STORE}"));
                Ok(store)
            }
            opened => opened,
        }
    }

    /// Makes the store, or opens the one that is there.
    ///
    /// # Errors
    /// Those of [`strongroom::create_with`].
    pub async fn create(&self, config: ContentConfig) -> Result<ContentStorage> {
        strongroom::create_with(self.url(), config, self.options()).await
    }

    /// Shares the folder that the store is in, or will be.
    ///
    /// # Errors
    /// Those of [`strongroom::share_storage`].
    pub async fn share(&self, sharing: Sharing) -> Result<()> {
        strongroom::share_storage(self.url(), sharing).await
    }

    fn options(&self) -> OpenOptions {
        let options = OpenOptions::default()
            .with_author(author())
            .with_content_cache(self.cache_content)
            .with_single_writer(self.single_writer);
        match cache::storage() {
            Some(cache) => options.with_cache(cache),
            None => options,
        }
    }

    /// Ends the call: what waits is printed, and an error is said.
    pub fn end(&self, ended: Result<Exit>) -> Exit {
        match ended.and_then(|exit| self.output.flush().map(|()| exit)) {
            Ok(exit) => exit,
            Err(error) => self.fail(&error),
        }
    }

    /// Says an error, unless it is that nobody listens any more.
    pub fn fail(&self, error: &Error) -> Exit {
        if is_closed_pipe(error) {
            return Exit::Done;
        }
        // What came before it is of use.
        let _unheard = self.output.flush();
        self.output.error(error);
        Exit::from(error)
    }
}

/// Who commits: user@host.
fn author() -> String {
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    let machine = rustix::system::uname();
    format!("{user}@{}", machine.nodename().to_string_lossy())
}
