//! Checkpoints: the state of a fluid as bytes, from which it goes on exactly as it would have.

use crate::fluid::{State, Vector};

const MAGIC: &[u8; 8] = b"LJCHK\0\0\x01";

/// The state as bytes: magic, step, edge, number of atoms, positions, velocities, positions of the list; little-endian.
pub fn write(state: &State) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(state.step.to_le_bytes());
    bytes.extend(state.edge.to_le_bytes());
    bytes.extend((state.positions.len() as u64).to_le_bytes());
    for vectors in [&state.positions, &state.velocities, &state.listed_at] {
        for component in vectors.as_flattened() {
            bytes.extend(component.to_le_bytes());
        }
    }
    bytes
}

/// The state in the bytes of a checkpoint, if they are one.
pub fn read(bytes: &[u8]) -> Option<State> {
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let mut words = rest.chunks_exact(8).map(|word| word.try_into().unwrap_or_default());
    let step = u64::from_le_bytes(words.next()?);
    let edge = f64::from_le_bytes(words.next()?);
    let atoms = usize::try_from(u64::from_le_bytes(words.next()?)).ok()?;
    if magic != MAGIC || words.len() != atoms.checked_mul(9)? || rest.len() % 8 != 0 {
        return None;
    }
    let mut vector = || -> Option<Vector> {
        let mut component = || words.next().map(f64::from_le_bytes);
        Some([component()?, component()?, component()?])
    };
    let mut vectors = || (0..atoms).map(|_| vector()).collect::<Option<Vec<_>>>();
    Some(State { step, edge, positions: vectors()?, velocities: vectors()?, listed_at: vectors()? })
}
