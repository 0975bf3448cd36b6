//! Where chance comes from: a seed, or the bytes of a fuzzer.

use std::time::Duration;

/// A source of decisions. The same source makes the same world.
pub trait Choices {
    /// A number less than `n`, which is at least 1. A source that has run dry answers 0 for ever:
    /// the calm choice.
    fn below(&mut self, n: u64) -> u64;
}

/// Decisions out of a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// From this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Choices for Seeded {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % n.max(1)
    }
}

/// Decisions out of a fuzzer's input, as few bytes each as will do.
#[derive(Clone, Debug)]
pub struct Recorded<'a>(&'a [u8]);

impl<'a> Recorded<'a> {
    /// From these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Choices for Recorded<'_> {
    fn below(&mut self, n: u64) -> u64 {
        let width = match n {
            0..=1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 8,
        };
        let (now, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        now.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)) % n
    }
}

/// The calm choice, always: nothing fails, nothing is late, everything moves in one piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calm;

impl Choices for Calm {
    fn below(&mut self, _: u64) -> u64 {
        0
    }
}

/// What the simulation asks of a source.
pub(crate) struct Dice<'c>(pub(crate) &'c mut dyn Choices);

impl std::fmt::Debug for Dice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

impl Dice<'_> {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.below(n.max(1))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) + percent >= 100
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// How many of `most` (at least 1) go in one piece: mostly all or many, sometimes one.
    pub(crate) fn share(&mut self, most: usize) -> usize {
        match self.below(8) {
            0..=2 => most,
            3 => 1,
            _ => most - self.index(most),
        }
    }

    /// Up to `most`; nothing in most cases.
    pub(crate) fn delay(&mut self, most: Duration) -> Duration {
        match self.below(4) {
            3 => Duration::from_micros(self.below(most.as_micros() as u64)),
            _ => Duration::ZERO,
        }
    }
}

/// Bytes that belong to this number alone.
pub(crate) fn bytes(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut at = 0;
    while bytes.len() < len {
        bytes.extend_from_slice(
            &mix(number.wrapping_mul(0x1_0000_0001).wrapping_add(at)).to_le_bytes(),
        );
        at += 1;
    }
    bytes.truncate(len);
    bytes
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
