//! `strongroom digest`

use clap::Args;
use strongroom::{ContentStorage, DigestSet, Digests, Error, ErrorKind, ObjectRef, Result};

use crate::context::Context;
use crate::exit::{Exit, Tally};
use crate::format::{digests_json, line};
use crate::lookup;

/// Print digests of objects, as b3sum, md5sum and sha256sum do
///
/// BLAKE3 unless others are asked for. Those that are not on record are computed by reading the content; --add puts them on
/// record.
#[derive(Args, Debug)]
pub struct DigestArgs {
    /// Which: locations, or b3: and a digest
    #[arg(required = true, value_name = "LOCATION")]
    locations: Vec<String>,
    /// The BLAKE3
    #[arg(long)]
    blake3: bool,
    /// The MD5
    #[arg(long)]
    md5: bool,
    /// The SHA-256
    #[arg(long)]
    sha256: bool,
    /// Keep what was computed with the object
    #[arg(long)]
    add: bool,
}

pub async fn run(args: DigestArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let mut tally = Tally::default();
    for text in &args.locations {
        match digests(&store, text, &args).await {
            Ok((object, digests)) => {
                print(&object, &digests, &args, context)?;
                tally.success();
            }
            Err(error) => tally.failure(&context.output, &error),
        }
    }
    Ok(tally.exit())
}

async fn digests(store: &ContentStorage, text: &str, args: &DigestArgs) -> Result<(ObjectRef, Digests)> {
    let object = lookup::object(store, text, None).await?;
    if args.add && !object.is_named() {
        let detail = "digests are kept with a name; name a location, or leave out --add";
        return Err(Error::new(ErrorKind::Invalid, "digest", text, detail));
    }
    let mut wanted = DigestSet::NONE;
    (wanted.md5, wanted.sha256) = (args.md5, args.sha256);
    let on_record = wanted.without(&object.digests()).is_empty();
    let digests = object.compute_digests(wanted).await?;
    if args.add && !on_record {
        keep(store, &object, &digests).await?;
    }
    Ok((object, digests))
}

/// Puts `digests` on record with `object`, if that is still what its name stands for.
async fn keep(store: &ContentStorage, object: &ObjectRef, digests: &Digests) -> Result<()> {
    let mut batch = store.batch().with_message("digests added");
    batch.replace_found(object, object.clone().with_digests(digests));
    batch.commit().await.map(drop)
}

fn print(object: &ObjectRef, digests: &Digests, args: &DigestArgs, context: &Context) -> Result<()> {
    let location = object.location().as_str();
    let blake3 = args.blake3 || !(args.md5 || args.sha256);
    let shown = [
        digests.blake3.filter(|_| blake3).map(|digest| digest.to_string()),
        digests.md5.filter(|_| args.md5).map(|digest| digest.to_string()),
        digests.sha256.filter(|_| args.sha256).map(|digest| digest.to_string()),
    ];
    let text = || {
        let lines: Vec<String> = shown.iter().flatten().map(|digest| line(&format!("{digest}  "), location)).collect();
        lines.join("\n")
    };
    context.output.result(text, || {
        let mut map = digests_json(digests);
        map.insert("location".into(), location.into());
        map.into()
    })
}

#[cfg(test)]
mod tests {
    use strongroom::{ByteRange, ContentConfig, ExternalStorage, Location};

    use super::*;

    #[tokio::test]
    async fn digests_are_not_added_to_what_came_meanwhile() {
        let url = "memory://digests-added";
        let store = strongroom::create(url, ContentConfig::default()).await.expect("create");
        let location = Location::parse("a/b").expect("a location");
        store.store_bytes(&location, "old".into()).await.expect("store");
        let object = store.find(&location).await.expect("find");
        let other = strongroom::open(url).await.expect("another handle");
        other.store_bytes(&location, "newer".into()).await.expect("store");
        let digests = Digests::of(b"old", DigestSet::ALL);
        let error = keep(&store, &object, &digests).await.expect_err("it changed");
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Changed, "a/b"));
        let bytes = other.load_bytes(&location, ByteRange::All).await.expect("load");
        assert_eq!(bytes, "newer");
    }
}
