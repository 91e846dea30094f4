//! The local cache.

use std::sync::Arc;

use strongroom::ExternalStorage;

/// The local cache, unless there is to be none or no folder is known for it.
pub fn storage() -> Option<Arc<dyn ExternalStorage>> {
    strongroom::open_storage(strongroom::cache_folder()?.to_str()?).ok()
}
