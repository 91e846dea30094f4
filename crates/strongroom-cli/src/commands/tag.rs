//! `strongroom tag`

use clap::Args;
use serde_json::{Value, json};
use strongroom::content::Tag;
use strongroom::{Error, ErrorKind, Namespace, Result, StoreMode, Version};

use crate::context::Context;
use crate::exit::Exit;
use crate::format::line;
use crate::lookup;

/// Keep a version of a namespace for ever, under a name
///
/// The root namespace is written `.`; of a namespace with an @ in its name, one more @ ends it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom tag run7/unit1 submitted        the newest version
  strongroom tag run7/unit1@3 first-try      version 3
  strongroom tag --list                      all tags
  strongroom tag --delete run7/unit1 first-try")]
pub struct TagArgs {
    /// Which namespace, and which version of it if not the newest
    #[arg(value_name = "NAMESPACE[@VERSION]", required_unless_present = "list")]
    namespace: Option<String>,
    /// The tag's name: one segment, not a number
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    name: Option<String>,
    /// Give the name to this version also if another has it
    #[arg(short, long)]
    force: bool,
    /// List the tags, of one namespace if it is named
    #[arg(short, long, conflicts_with_all = ["force", "delete"])]
    list: bool,
    /// Remove the tag; its version may then be collected as others are
    #[arg(short, long, conflicts_with = "force")]
    delete: bool,
}

pub async fn run(args: TagArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let namespace = args.namespace.as_deref().map(lookup::namespace_at).transpose()?;
    let (namespace, at, name) = match (namespace, args.name) {
        (namespace, None) => {
            let only = namespace.map(|(namespace, _)| namespace);
            return list(store.tags().await?, only.as_ref(), context);
        }
        (Some((namespace, at)), Some(name)) => (namespace, at, name),
        (None, Some(name)) => return Err(Error::new(ErrorKind::Invalid, "tag", name, "name a namespace too")),
    };
    if args.delete {
        store.untag(&namespace, &name).await?;
        context.output.json_result(|| json!({ "tag": name, "namespace": namespace.as_str(), "deleted": true }))?;
        return Ok(Exit::Done);
    }
    let version = lookup::snapshot(&store, &namespace, at).await?.version();
    let mode = if args.force { StoreMode::Overwrite } else { StoreMode::Create };
    store.tag(&namespace, version, &name, mode).await?;
    context.output.json_result(|| tag_json(&name, &namespace, version))?;
    if !context.output.is_json() {
        context.output.note(&format!("version {version} of {} has the tag {name}", lookup::shown(&namespace)));
    }
    Ok(Exit::Done)
}

fn list(tags: Vec<Tag>, only: Option<&Namespace>, context: &Context) -> Result<Exit> {
    for tag in tags.iter().filter(|tag| only.is_none_or(|only| *only == tag.namespace)) {
        let text = || line(&format!("{}\t", tag.name), &format!("{}@{}", lookup::shown(&tag.namespace), tag.version));
        context.output.result(text, || tag_json(&tag.name, &tag.namespace, tag.version))?;
    }
    Ok(Exit::Done)
}

fn tag_json(name: &str, namespace: &Namespace, version: Version) -> Value {
    json!({ "tag": name, "namespace": namespace.as_str(), "version": version.get() })
}
