//! Results by what they were made from, kept beside the files that they speak of.

use std::collections::BTreeMap;

use serde_json::json;
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, Location, Result};

use crate::namespace::Namespace;
use crate::result::UnitSuccess;
use crate::storages::{StorageName, Storages};
use crate::unit::Unit;

/// Where the result of `unit` for just these inputs is: `dag/unit.results/<digest>.json`.
///
/// The digest is that of the unit's name and inputs, and of the results and files of the units before it.
pub(crate) fn location(dag: &str, unit: &Unit, before: &BTreeMap<String, UnitSuccess>) -> Result<Location> {
    let before: BTreeMap<_, _> = before
        .iter()
        .map(|(name, success)| (name, json!([success.value, success.shared, success.permanent])))
        .collect();
    let made_from = json!({ "unit": unit.name, "inputs": unit.inputs, "after": before });
    let digest = Digest::of(made_from.to_string().as_bytes());
    Namespace::new(dag, &format!("{}.results", unit.name))?.location(&format!("{digest}.json"))
}

/// The result at `location`, if it can be read and its permanent files are as they were.
///
/// # Errors
/// What is the matter with a result that is there and can't be used.
pub(crate) async fn load(storages: &Storages, location: &Location) -> Result<Option<UnitSuccess>> {
    let storage = storages.get(&StorageName::permanent())?;
    let bytes = match storage.load_bytes(location, ByteRange::All).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let success: UnitSuccess = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("this is not the result of a unit: {error}");
        Error::new(ErrorKind::Invalid, "read result", location, detail).with_source(error)
    })?;
    success.permanent.verify_records(storages).await?;
    Ok(Some(success))
}

/// Keeps a result at `location`.
pub(crate) async fn store(storages: &Storages, location: &Location, success: &UnitSuccess) -> Result<()> {
    let json = serde_json::to_vec_pretty(success)
        .map_err(|error| Error::new(ErrorKind::Internal, "keep result", location, &error).with_source(error))?;
    storages.get(&StorageName::permanent())?.store_bytes(location, json.into()).await?;
    Ok(())
}
