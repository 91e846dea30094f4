//! Bytes in the making. Where each integer stands is remembered, so that it can be forged before the checksum is made.

use arbitrary::{Result, Unstructured};

/// An encoder that knows where its integers are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    /// Where each integer begins, and how many bytes it has.
    integers: Vec<(usize, usize)>,
}

impl Draft {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.integer(value.into(), 1)
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.integer(value.into(), 2)
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.integer(value.into(), 4)
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.integer(value, 8)
    }

    fn integer(&mut self, value: u64, width: usize) -> &mut Self {
        self.integers.push((self.bytes.len(), width));
        self.raw(&value.to_le_bytes()[..width])
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length in 16 bits before them.
    pub(crate) fn short(&mut self, bytes: &[u8]) -> &mut Self {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).raw(bytes)
    }

    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        let start = self.bytes.len();
        self.integers.extend(other.integers.iter().map(|(at, width)| (start + at, *width)));
        self.raw(&other.bytes)
    }

    /// In some cases gives one or two integers another value, mostly one at an edge, or spoils the bytes.
    pub(crate) fn forge(mut self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        match u.int_in_range(0..=31)? {
            0..=24 => {}
            25..=30 => {
                for _ in 0..u.int_in_range(1..=2)? {
                    self.forge_integer(u)?;
                }
            }
            _ => spoil(u, &mut self.bytes)?,
        }
        Ok(self.bytes)
    }

    fn forge_integer(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.integers.is_empty() {
            return Ok(());
        }
        let (at, width) = *u.choose(&self.integers)?;
        let field = &mut self.bytes[at..at + width];
        let mut value = [0; 8];
        value[..width].copy_from_slice(field);
        let forged = edge(u, u64::from_le_bytes(value))?;
        field.copy_from_slice(&forged.to_le_bytes()[..width]);
        Ok(())
    }
}

/// A number at an edge, or close to `value`.
pub(crate) fn edge(u: &mut Unstructured<'_>, value: u64) -> Result<u64> {
    const EDGES: [u64; 15] = [
        0,
        1,
        7,
        8,
        u8::MAX as u64,
        u16::MAX as u64,
        1 << 20,
        1 << 26,
        (1 << 26) + 1,
        i32::MAX as u64,
        u32::MAX as u64,
        (1 << 40) - 1,
        1 << 40,
        i64::MAX as u64,
        u64::MAX,
    ];
    Ok(match u.int_in_range(0..=7)? {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value.wrapping_mul(2),
        3 => u.arbitrary()?,
        _ => *u.choose(&EDGES)?,
    })
}

/// Changes a bit, cuts, repeats or leaves out a part, or adds something.
pub(crate) fn spoil(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    let at = u.int_in_range(0..=bytes.len())?;
    match u.int_in_range(0..=4)? {
        0 if at < bytes.len() => bytes[at] ^= 1 << u.int_in_range(0..=7)?,
        1 => bytes.truncate(at),
        2 => {
            let part = bytes[at..].to_vec();
            bytes.extend_from_slice(&part);
        }
        3 => {
            let end = u.int_in_range(at..=bytes.len().min(at + 64))?;
            bytes.drain(at..end);
        }
        _ => {
            let more: Vec<u8> = u.arbitrary()?;
            bytes.splice(at..at, more);
        }
    }
    Ok(())
}

/// True in `of` cases once, and never when the input is used up.
pub(crate) fn rarely(u: &mut Unstructured<'_>, of: u8) -> Result<bool> {
    Ok(u.int_in_range(1..=of)? == of)
}
