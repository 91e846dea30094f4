//! `strongroom digest`

use clap::Args;
use futures::TryStreamExt;
use strongroom::{
    ByteRange, ContentStorage, DigestSet, Digests, Error, ErrorKind, Hasher, ObjectRef, Result, StoreMode, unblock,
};

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
    let known = object.digests();
    let mut wanted = DigestSet::NONE;
    (wanted.md5, wanted.sha256) = (args.md5, args.sha256);
    let wanted = wanted.without(&known);
    if wanted.is_empty() {
        return Ok((object, known));
    }
    let mut hasher = Hasher::new(wanted);
    let mut stream = object.load(ByteRange::All).await?.into_stream();
    while let Some(bytes) = stream.try_next().await? {
        hasher = unblock(move || {
            hasher.update(&bytes);
            Ok(hasher)
        })
        .await?;
    }
    let digests = known.or(hasher.finish());
    if args.add {
        let mut batch = store.batch().with_message("digests added");
        batch.link(object.location().clone(), object.clone().with_digests(&digests), StoreMode::Overwrite);
        batch.commit().await?;
    }
    Ok((object, digests))
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
