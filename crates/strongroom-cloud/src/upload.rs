//! Storing: small objects by one request, large ones in parts beside each other.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{iter, try_unfold};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error as ClientError, GetOptions, MultipartUpload, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use strongroom_storage::{
    Error, ErrorKind, Hasher, Host, Location, Result, Source, StoreMode, StoreOptions, Stored, SystemHost, unblock,
};

use crate::error;
use crate::requests::Watch;
use crate::storage::ObjectStorage;

/// What is replaced is sent by one request up to this size, in bytes.
const SINGLE_BYTES: usize = 8 << 20;
/// What must be new as well, up to this one: in parts it would take a copy at the end.
const SINGLE_NEW_BYTES: usize = 64 << 20;
/// The digest of less than this is computed at once.
const SMALL_BYTES: usize = 128 << 10;
/// The size of the first parts, in bytes. Services take 10,000 at most.
const PART_BYTES: usize = 8 << 20;
/// After so many parts they become twice as large.
const PARTS_OF_A_SIZE: usize = 1000;
/// How many parts are under way at once.
const AT_ONCE: usize = 8;
/// The metadata by which a writer knows what it has created itself. Azure takes no hyphens in such names, and some proxies no underscores.
const WRITER: &str = "strongroomwriter";

pub(crate) async fn store(
    storage: &ObjectStorage,
    location: &Location,
    source: Source,
    options: &StoreOptions,
) -> Result<Stored> {
    storage.check_writable("store")?;
    let path = storage.path("store", location)?;
    let mut hasher = Hasher::new(options.digests);
    let mut size = 0;
    let mut stream = source.into_stream().await?.inspect_ok(|piece| {
        hasher.update(piece);
        size += piece.len() as u64;
    });
    let single = if options.mode == StoreMode::Create { SINGLE_NEW_BYTES } else { SINGLE_BYTES };
    let (mut begin, mut begun) = (Vec::new(), 0);
    while begun <= single {
        let Some(piece) = stream.try_next().await? else { break };
        begun += piece.len();
        begin.push(piece);
    }
    match (begun > single, options.mode) {
        (false, StoreMode::Create) => create(storage, &path, location, PutPayload::from_iter(begin)).await?,
        (false, _) => replace(storage, &path, location, PutPayload::from_iter(begin)).await?,
        (true, mode) => {
            let whole = iter(begin).map(Ok).chain(stream);
            if mode == StoreMode::Create {
                let unfinished = storage.unfinished(&token()?)?;
                send_parts(storage, &unfinished, location, whole).await?;
                let copied = copy_new(storage, &unfinished, &path, location).await;
                // What is left is in nobody's way.
                storage.service.objects.delete(&unfinished).await.unwrap_or_default();
                copied?;
            } else {
                send_parts(storage, &path, location, whole).await?;
            }
        }
    }
    Ok(Stored::new(location.clone(), size, hasher.finish()))
}

/// 32 digits that nobody else has.
fn token() -> Result<String> {
    let mut bytes = [0; 16];
    SystemHost::new().fill_random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Creates an object if there is none. Where an answer is lost, the object says who has created it.
async fn create(storage: &ObjectStorage, path: &Path, location: &Location, payload: PutPayload) -> Result<()> {
    let (host, token) = (SystemHost::new(), token()?);
    let begun = host.monotonic();
    // Another's client may send it again by itself.
    let mut may_be_own = storage.service.requests.is_none();
    let mut failed = 0;
    loop {
        let watch = Watch::once();
        let mut options = PutOptions { mode: PutMode::Create, attributes: written_by(&token), ..PutOptions::default() };
        options.extensions.insert(watch.clone());
        let error = match put(storage, path, payload.clone(), options).await? {
            Ok(()) => return Ok(()),
            Err(ClientError::AlreadyExists { .. } | ClientError::Precondition { .. }) => {
                // Also the first time: who stands between may have sent it twice.
                let is_own = writer(storage, path, location).await?.is_some_and(|writer| writer == token);
                return if is_own { Ok(()) } else { Err(Error::already_exists("store", location)) };
            }
            Err(error) => error::of_storing(location, error),
        };
        may_be_own |= watch.was_sent() && error.kind() == ErrorKind::Unavailable;
        let is_last = error.kind() != ErrorKind::Unavailable || !storage.retries.pause(&host, begun, failed).await?;
        if is_last {
            return Err(if may_be_own { error.with_outcome_unknown() } else { error });
        }
        failed += 1;
    }
}

/// Replaces an object, or creates it.
async fn replace(storage: &ObjectStorage, path: &Path, location: &Location, payload: PutPayload) -> Result<()> {
    let watch = Watch::default();
    let mut options = PutOptions::default();
    options.extensions.insert(watch.clone());
    put(storage, path, payload, options).await?.map_err(|error| {
        let error = error::of_storing(location, error);
        let is_known = storage.service.requests.is_some();
        let may_have_happened = match error.kind() {
            ErrorKind::Unavailable => watch.was_sent() || !is_known,
            // That is an answer to the last time it was sent.
            _ => watch.sent() > 1,
        };
        if may_have_happened { error.with_outcome_unknown() } else { error }
    })
}

/// What an object says of who has written it.
fn written_by(token: &str) -> Attributes {
    Attributes::from_iter([(Attribute::Metadata(WRITER.into()), token.to_string())])
}

/// Who has written the object, if it says so.
async fn writer(storage: &ObjectStorage, path: &Path, location: &Location) -> Result<Option<String>> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    match storage.service.objects.get_opts(path, options).await {
        Ok(found) => Ok(found.attributes.get(&Attribute::Metadata(WRITER.into())).map(|writer| writer.to_string())),
        Err(ClientError::NotFound { .. }) => {
            let detail = "an object was there and is gone again; look whether it is to be stored yet";
            Err(Error::new(ErrorKind::Unavailable, "store", location, detail).with_outcome_unknown())
        }
        Err(error) => Err(error::of_reading("store", location, error).with_outcome_unknown()),
    }
}

/// Gives an object a name if nothing has it.
///
/// The client may send it twice, and a copy does not say whose it is: what is not older than `from` may be the first of two.
async fn copy_new(storage: &ObjectStorage, from: &Path, to: &Path, location: &Location) -> Result<()> {
    let options = CopyOptions { mode: CopyMode::Create, ..CopyOptions::default() };
    match storage.service.objects.copy_opts(from, to, options).await {
        Ok(()) => Ok(()),
        Err(ClientError::AlreadyExists { .. } | ClientError::Precondition { .. }) => {
            let [from, to] = [storage.service.objects.head(from), storage.service.objects.head(to)];
            let (from, to) = futures::try_join!(from, to).map_err(|error| error::of_the_end(location, error))?;
            let error = Error::already_exists("store", location);
            Err(if from.last_modified <= to.last_modified { error.with_outcome_unknown() } else { error })
        }
        Err(error) => Err(error::of_the_end(location, error)),
    }
}

/// Sends an object in parts. It is there when all of them are, and nothing before.
async fn send_parts(
    storage: &ObjectStorage,
    path: &Path,
    location: &Location,
    stream: impl Stream<Item = Result<Bytes>> + Send + Unpin,
) -> Result<()> {
    let token = token()?;
    let options = PutMultipartOptions { attributes: written_by(&token), ..PutMultipartOptions::default() };
    let upload = storage.service.objects.put_multipart_opts(path, options).await;
    let mut upload = upload.map_err(|error| error::of_storing(location, error))?;
    let sent = send(&mut *upload, location, stream).await;
    if let Err(error) = sent {
        // Nothing of it was seen by anybody. What is left of it, rules of the bucket take away.
        upload.abort().await.unwrap_or_default();
        return Err(error);
    }
    match upload.complete().await {
        Ok(_) => Ok(()),
        // Some services know nothing of an upload that is complete, also if the answer to that was lost.
        Err(ClientError::NotFound { .. }) if writer(storage, path, location).await? == Some(token) => Ok(()),
        Err(error) => Err(error::of_the_end(location, error)),
    }
}

/// Sends parts while more of them are read.
async fn send(
    upload: &mut dyn MultipartUpload,
    location: &Location,
    stream: impl Stream<Item = Result<Bytes>> + Send + Unpin,
) -> Result<()> {
    let failed = |error| error::of_reading("store", location, error);
    let sent = parts(stream).map_ok(|part| {
        let sent = upload.put_part(part);
        async move { begun_elsewhere(sent).await?.map_err(failed) }
    });
    sent.try_buffer_unordered(AT_ONCE).try_collect().await
}

async fn put(
    storage: &ObjectStorage,
    path: &Path,
    payload: PutPayload,
    options: PutOptions,
) -> Result<std::result::Result<(), ClientError>> {
    let (objects, path) = (Arc::clone(&storage.service.objects), path.clone());
    let is_small = payload.content_length() < SMALL_BYTES;
    let put = async move { objects.put_opts(&path, payload, options).await.map(drop) };
    if is_small { Ok(put.await) } else { begun_elsewhere(put.boxed()).await }
}

/// Asks a request for the first time on a thread where that may take its time: it begins with the digest of all that it sends, by which
/// it is signed.
async fn begun_elsewhere<T: Send + 'static>(mut request: BoxFuture<'static, T>) -> Result<T> {
    let begun = unblock(move || {
        let polled = request.poll_unpin(&mut Context::from_waker(Waker::noop()));
        Ok((polled, request))
    });
    match begun.await? {
        (Poll::Ready(outcome), _) => Ok(outcome),
        (Poll::Pending, request) => Ok(request.await),
    }
}

/// What is to be sent, in the pieces in which it is sent.
fn parts(stream: impl Stream<Item = Result<Bytes>> + Unpin) -> impl Stream<Item = Result<PutPayload>> {
    try_unfold((stream, Bytes::new(), 0), |(mut stream, mut piece, count)| async move {
        let size = PART_BYTES << (count / PARTS_OF_A_SIZE).min(16);
        let (mut part, mut missing) = (Vec::new(), size);
        while missing > 0 {
            if piece.is_empty() {
                let Some(next) = stream.try_next().await? else { break };
                piece = next;
            }
            let taken = piece.split_to(piece.len().min(missing));
            missing -= taken.len();
            part.push(taken);
        }
        Ok((missing < size).then(|| (PutPayload::from_iter(part), (stream, piece, count + 1))))
    })
}
