//! Options, in Python's words.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use strongroom::{ContentConfig, PutOptions, StoreOptions};

use crate::convert;

/// How something is put, in Python's words.
#[derive(FromPyObject)]
pub struct Putting {
    #[pyo3(item)]
    mode: String,
    #[pyo3(item)]
    durable: bool,
    #[pyo3(item)]
    digests: Vec<String>,
    #[pyo3(item)]
    layout: Option<String>,
    #[pyo3(item)]
    attributes: Option<BTreeMap<String, Vec<u8>>>,
}

impl Putting {
    /// For content stores.
    pub fn options(self) -> PyResult<PutOptions> {
        let options = PutOptions::default()
            .with_mode(convert::mode(&self.mode)?)
            .with_digests(convert::digest_set(&self.digests)?)
            .with_attributes(convert::attributes(self.attributes)?);
        Ok(match self.layout {
            Some(layout) => options.with_layout(convert::layout(&layout)?),
            None => options,
        })
    }

    /// For all storages, where it says nothing that only content stores know.
    pub fn plain(&self) -> PyResult<Option<StoreOptions>> {
        let mode = convert::mode(&self.mode)?;
        let options = StoreOptions::default()
            .with_mode(mode)
            .with_durability(convert::durability(self.durable))
            .with_digests(convert::digest_set(&self.digests)?);
        Ok((self.layout.is_none() && self.attributes.is_none()).then_some(options))
    }
}

/// What a store is made with, in Python's words.
#[derive(FromPyObject)]
pub struct Config {
    #[pyo3(item)]
    layout: String,
    #[pyo3(item)]
    compression: String,
    #[pyo3(item)]
    digests: Vec<String>,
    #[pyo3(item)]
    grace: f64,
}

impl Config {
    pub fn read(self) -> PyResult<ContentConfig> {
        Ok(ContentConfig::default()
            .with_layout(convert::layout(&self.layout)?)
            .with_compression(convert::compression(&self.compression)?)
            .with_digests(convert::digest_set(&self.digests)?)
            .with_grace(convert::duration(self.grace)?))
    }
}
