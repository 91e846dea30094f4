//! Checkpoints of a model that is trained further, in the shape of safetensors: a header in JSON, then tensors of 32-bit numbers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::version_path;
use crate::data::Noise;

const LAYERS: u64 = 16;
const TENSORS: u64 = 4;

/// A layer's name and state of training.
type Layer = (u64, u64);

pub fn make(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let tensor_bytes = size / LAYERS / TENSORS / 4 * 4;
    let first: Vec<Layer> = (0..LAYERS).map(|layer| (layer, 0)).collect();
    let mut trained = first.clone();
    for layer in &mut trained[(LAYERS - LAYERS / 4) as usize..] {
        layer.1 = 1;
    }
    let mut one = trained.clone();
    one[LAYERS as usize / 2].1 = 2;
    let mut grown = one.clone();
    grown.insert(LAYERS as usize / 4, (LAYERS, 0));
    let note = r#""__metadata__":{"step":"200","note":"one layer trained further"},"#;
    let versions = [(first, ""), (trained, ""), (one, note), (grown, note)];
    let write = |(version, (layers, note)): (usize, (Vec<Layer>, &str))| {
        let path = version_path(folder, version as u64);
        write(&path, &layers, note, tensor_bytes)?;
        Ok(path)
    };
    versions.into_iter().enumerate().map(write).collect()
}

fn write(path: &Path, layers: &[Layer], note: &str, tensor_bytes: u64) -> Result<()> {
    let mut entries = Vec::new();
    for (index, (name, _)) in layers.iter().enumerate() {
        for tensor in 0..TENSORS {
            let start = (index as u64 * TENSORS + tensor) * tensor_bytes;
            let (end, numbers) = (start + tensor_bytes, tensor_bytes / 4);
            entries.push(format!(
                r#""model.layers.{name}.{tensor}.weight":{{"dtype":"F32","shape":[{numbers}],"data_offsets":[{start},{end}]}}"#
            ));
        }
    }
    let mut header = format!("{{{note}{}}}", entries.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut writer = BufWriter::new(File::create(path)?);
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(header.as_bytes())?;
    for (name, training) in layers {
        let mut noise = Noise::new(41 + name * 1000 + training);
        for _ in 0..TENSORS * tensor_bytes / 4 {
            writer.write_all(&weight(&mut noise).to_le_bytes())?;
        }
    }
    writer.flush()?;
    Ok(())
}

/// A number around 0 as weights are: sign and mantissa are noise, of two magnitudes the larger is twice as likely.
fn weight(noise: &mut Noise) -> f32 {
    let bits = noise.next();
    let exponent = 121 - u64::from((bits | 1 << 20).trailing_zeros());
    f32::from_bits(((bits >> 63 << 31) | (exponent << 23) | (bits >> 40 & 0x7F_FFFF)) as u32)
}
