//! What is stored: noise, which can't be compressed, and text, which can.

use bytes::Bytes;
use strongroom::{Location, Source};

/// Pseudo-random numbers (xorshift64*, Vigna 2016): fast, and the same in every run.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
    }

    /// Puts items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

/// Lines of numbers, as a simulation prints them.
pub struct Text {
    noise: Noise,
    step: u64,
    line: Vec<u8>,
}

impl Text {
    pub fn new() -> Self {
        Self::seeded(Noise::new(2))
    }

    /// The same with other numbers.
    pub fn seeded(noise: Noise) -> Self {
        Self { noise, step: 0, line: Vec::new() }
    }

    pub fn fill(&mut self, buffer: &mut [u8]) {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.line.is_empty() {
                let energy = self.noise.next() % 1_000_000;
                self.line = format!("{:>10}   -1{:06}.25   {:>3}.150   ok\n", self.step, energy, 300 + energy % 10)
                    .into_bytes();
                self.step += 1;
            }
            let length = self.line.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&self.line[..length]);
            self.line.drain(..length);
            filled += length;
        }
    }
}

/// Many small objects, all different.
pub struct Objects {
    all: Bytes,
    size: usize,
}

impl Objects {
    pub fn new(count: usize, size: u64) -> Self {
        let size = size as usize;
        let mut all = vec![0; count * size];
        Noise::new(3).fill(&mut all);
        Self { all: all.into(), size }
    }

    pub fn all(&self) -> &[u8] {
        &self.all
    }

    pub fn get(&self, index: usize) -> Bytes {
        self.all.slice(index * self.size..(index + 1) * self.size)
    }

    pub fn source(&self, index: usize) -> Source {
        Source::bytes(self.get(index))
    }
}

/// An object that is hardly larger than one that is kept with its name.
pub fn tiny(index: usize) -> Bytes {
    let mut bytes = vec![0; 260];
    Noise::new(index as u64 + 100).fill(&mut bytes);
    bytes.into()
}

/// The location of a small object in a namespace.
pub fn location(namespace: usize, index: usize) -> Location {
    Location::parse(&format!("bench/{namespace}/object-{index}")).expect("a location")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..1000).collect();
        Noise::new(7).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
    }

    #[test]
    fn text_goes_on_where_it_was() {
        let (mut whole, mut parts) = (vec![0; 300], vec![0; 300]);
        Text::new().fill(&mut whole);
        let mut text = Text::new();
        parts.chunks_mut(7).for_each(|part| text.fill(part));
        assert_eq!(whole, parts);
    }
}
