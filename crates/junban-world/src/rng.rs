//! Random numbers from a seed. Each entity has a stream of its own, so a change at one entity does not change the
//! others.
//!
//! A stream is SplitMix64, and it starts at a hash of its name. It is not for cryptography.

use std::fmt::Write as _;

/// One stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The stream of the entity called `name` under `seed`.
    pub fn stream(seed: u64, name: &str) -> Self {
        let mut h = seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            h = (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut rng = Self(h);
        rng.u64();
        rng
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.u64() % n }
    }

    /// True in `per_mille` of 1,000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// A UUID in the form of version 4.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.u64(), self.u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 50) & 0x3fff,
            b & 0xffff_ffff_ffff
        )
    }

    /// `n` lower-case letters and digits, as the API server appends them to generated names.
    pub fn suffix(&mut self, n: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut out = String::new();
        for _ in 0..n {
            let at = self.below(LETTERS.len() as u64) as usize;
            let _ = out.write_char(char::from(LETTERS[at]));
        }
        out
    }
}

/// A range of milliseconds. Each duration in it, both ends included, is equally likely to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub min: u64,
    pub max: u64,
}

impl Span {
    /// From `min` to `max` milliseconds, both included.
    pub const fn ms(min: u64, max: u64) -> Self {
        Self { min, max }
    }

    /// From `min` to `max` seconds, both included.
    pub const fn secs(min: u64, max: u64) -> Self {
        Self {
            min: min * 1000,
            max: max * 1000,
        }
    }

    pub fn draw(self, rng: &mut Rng) -> u64 {
        self.min + rng.below(self.max.saturating_sub(self.min) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_differ_by_name_and_seed() {
        let mut a = Rng::stream(1, "node-1");
        let mut b = Rng::stream(1, "node-1");
        let mut c = Rng::stream(1, "node-2");
        let mut d = Rng::stream(2, "node-1");
        let first = a.u64();
        assert_eq!(first, b.u64());
        assert_ne!(first, c.u64());
        assert_ne!(first, d.u64());
        assert_ne!(a.uuid(), a.uuid());
    }

    #[test]
    fn a_span_draws_durations_within_its_range() {
        let mut rng = Rng::stream(7, "span");
        for _ in 0..1000 {
            let v = Span::ms(5, 9).draw(&mut rng);
            assert!((5..=9).contains(&v));
        }
        assert_eq!(Span::ms(4, 4).draw(&mut rng), 4);
    }
}
