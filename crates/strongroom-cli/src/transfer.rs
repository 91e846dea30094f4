//! Names that move without their bytes: what `cp`, `mv` and `restore` have in common.

use std::collections::{HashMap, HashSet};

use clap::Args;
use futures::TryStreamExt;
use serde_json::json;
use strongroom::{ContentStorage, Error, Location, Namespace, ObjectRef, Result, StoreMode};

use crate::lookup;
use crate::output::Output;

/// An object and the name that it is to have.
#[derive(Debug)]
pub struct Transfer {
    /// The object.
    pub from: ObjectRef,
    /// Where it goes.
    pub to: Location,
}

/// What `cp` and `mv` are told alike, besides SOURCE and DEST.
#[derive(Args, Debug)]
pub struct TransferArgs {
    /// All objects below SOURCE
    #[arg(short, long)]
    pub recursive: bool,
    /// Replace nothing: fail if the name is taken
    #[arg(long)]
    new: bool,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
}

impl TransferArgs {
    /// How the transfers are made; with `remove`, the names that objects had go away.
    pub fn into_options(self, remove: bool) -> TransferOptions {
        let mode = if self.new { StoreMode::Create } else { StoreMode::Overwrite };
        TransferOptions { mode, remove, message: self.message }
    }
}

/// How transfers are made.
#[derive(Debug)]
pub struct TransferOptions {
    /// What to do where there is something already.
    pub mode: StoreMode,
    /// Whether the names that objects had go away.
    pub remove: bool,
    /// What the history says.
    pub message: String,
}

/// What `cp SOURCE DEST` is about: one object, or with `recursive` all below a name.
///
/// # Errors
/// `Missing` if there is nothing; `Invalid` if one of them is no location.
pub async fn plan(
    store: &ContentStorage,
    source: &str,
    dest: &str,
    recursive: bool,
    at: Option<&str>,
) -> Result<Vec<Transfer>> {
    if !recursive {
        let from = lookup::object(store, source, at).await?;
        let to = lookup::target_for(dest, from.location().file_name())?;
        return Ok(vec![Transfer { from, to }]);
    }
    let source = lookup::target(source)?;
    let dest = lookup::target_for(dest, source.file_name())?;
    let prefix = lookup::below(&source);
    let mut transfers = Vec::new();
    let mut objects = lookup::objects(store, &prefix, at).await?;
    while let Some(from) = objects.try_next().await? {
        let to = dest.join(&from.location().as_str()[prefix.len()..])?;
        transfers.push(Transfer { from, to });
    }
    if transfers.is_empty() {
        return Err(lookup::nothing_below(&source));
    }
    Ok(transfers)
}

/// Makes the transfers. Those in one namespace appear together.
///
/// When a name is removed from one namespace and put into another, it is put first: a crash between leaves both. A name goes
/// only while it stands for what was found under it.
///
/// # Errors
/// `AlreadyExists` if something is in the way, `Changed` if a name that is to go stands for another object by now; then nothing
/// was done, or where [`may_have_happened`](Error::may_have_happened) says so, the new names came.
pub async fn transfer(
    store: &ContentStorage,
    transfers: Vec<Transfer>,
    options: &TransferOptions,
    output: &Output,
) -> Result<()> {
    let mut batch = store.batch().with_message(options.message.as_str());
    let mut removals = store.batch().with_message(options.message.as_str());
    let mut leaving: HashMap<&Location, &ObjectRef> = HashMap::new();
    if options.remove {
        leaving.extend(transfers.iter().map(|transfer| (transfer.from.location(), &transfer.from)));
        let kept: HashSet<&Location> = transfers.iter().map(|transfer| &transfer.to).collect();
        let receiving: HashSet<Namespace> = kept.iter().map(|to| Namespace::of(to)).collect();
        for Transfer { from, .. } in &transfers {
            let location = from.location();
            if kept.contains(location) {
                continue;
            }
            // Together with what is put, where that is in the same namespace and in no other.
            let together = receiving.len() == 1 && receiving.contains(&Namespace::of(location));
            (if together { &mut batch } else { &mut removals }).remove_found(from);
        }
    }
    for Transfer { from, to } in &transfers {
        match leaving.get(to) {
            Some(stays) if stays.location() == from.location() => {}
            Some(replaced) if options.mode == StoreMode::Overwrite => {
                batch.replace_found(replaced, from.clone());
            }
            _ => {
                batch.link(to.clone(), from.clone(), options.mode);
            }
        }
    }
    batch.commit().await?;
    // The new names are there.
    removals.commit().await.map_err(Error::with_outcome_unknown)?;
    for Transfer { from, to } in &transfers {
        output.json_result(|| {
            json!({
                "from": from.location().as_str(),
                "location": to.as_str(),
                "digest": format!("b3:{}", from.digest()),
                "size": from.size(),
            })
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
