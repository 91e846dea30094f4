//! `strongroom stat`

use clap::Args;
use strongroom::{ObjectRef, Result};

use crate::args::AtArgs;
use crate::context::Context;
use crate::exit::{Exit, Tally};
use crate::format::{exactly, line, object_json, user_attributes};
use crate::lookup;

/// Print what is known of objects
///
/// All digests on record, the size, how the content is kept and in how many chunks, the version that put it there and when,
/// and what its file was like.
#[derive(Args, Debug)]
pub struct StatArgs {
    /// Which: locations, or b3: and a digest
    #[arg(required = true, value_name = "LOCATION")]
    locations: Vec<String>,
    #[command(flatten)]
    at: AtArgs,
}

pub async fn run(args: StatArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let mut tally = Tally::default();
    for text in &args.locations {
        match lookup::object(&store, text, args.at.as_deref()).await {
            Ok(object) => {
                context.output.result(|| describe(&object), || json(&object))?;
                tally.success();
            }
            Err(error) => tally.failure(&context.output, &error),
        }
    }
    Ok(tally.exit())
}

fn json(object: &ObjectRef) -> serde_json::Value {
    let mut map = object_json(object);
    map.insert("kept".into(), object.kept().as_str().into());
    map.insert("chunks".into(), object.chunk_count().into());
    map.into()
}

fn describe(object: &ObjectRef) -> String {
    let mut lines = vec![line("location    ", object.location().as_str())];
    let mut say = |what: &str, value: String| lines.push(format!("{what:<12}{value}"));
    say("size", object.size().to_string());
    say("digest", format!("b3:{}", object.digest()));
    let digests = object.digests();
    if let Some(md5) = digests.md5 {
        say("md5", md5.to_string());
    }
    if let Some(sha256) = digests.sha256 {
        say("sha256", sha256.to_string());
    }
    say("kept", object.kept().as_str().into());
    say("chunks", object.chunk_count().to_string());
    if !object.is_named() {
        return lines.join("\n");
    }
    say("version", object.version().to_string());
    if let Some(time) = object.stored_at() {
        say("stored", exactly(time));
    }
    if let Some(time) = object.attributes().modified() {
        say("modified", exactly(time));
    }
    if object.attributes().executable() {
        say("executable", "yes".into());
    }
    if object.attributes().symlink() {
        say("symlink", "yes".into());
    }
    for (key, value) in user_attributes(object.attributes()) {
        say(&format!("{key} "), value);
    }
    lines.join("\n")
}
