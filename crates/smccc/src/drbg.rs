//! Random numbers from a seed, where the CPU has none of its own.

use crate::trng::Entropy;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use core::fmt;

/// A generator seeded by the board (the device tree's `rng-seed`). Each output replaces the key, so
/// that a key that leaks tells nothing about earlier outputs.
pub struct Drbg {
    key: [u8; KEY_BYTES],
}

/// Size of ChaCha20's key in bytes.
const KEY_BYTES: usize = 32;

/// The seed is too short to make keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortSeed {
    /// How many bytes it has.
    pub bytes: usize,
}

impl fmt::Display for ShortSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a seed of {} bytes, {KEY_BYTES} are needed", self.bytes)
    }
}

impl core::error::Error for ShortSeed {}

impl Drbg {
    /// Makes a generator from a seed of at least 32 random bytes; all of them count. The caller
    /// erases the seed where it came from.
    ///
    /// # Errors
    /// [`ShortSeed`] if the seed is shorter.
    pub fn from_seed(seed: &[u8]) -> Result<Self, ShortSeed> {
        if seed.len() < KEY_BYTES {
            return Err(ShortSeed { bytes: seed.len() });
        }
        let mut drbg = Self {
            key: [0; KEY_BYTES],
        };
        for chunk in seed.chunks(KEY_BYTES) {
            drbg.mix(chunk);
        }
        Ok(drbg)
    }

    /// Mixes up to 32 bytes into the key; more are ignored. Never makes it worse.
    pub fn mix(&mut self, bytes: &[u8]) {
        for (key, byte) in self.key.iter_mut().zip(bytes) {
            *key ^= byte;
        }
        let _: [u8; 0] = self.output();
    }

    /// Fills `bytes`, in one go: much cheaper than word by word.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(bytes);
    }

    /// Makes a generator for another owner, such as a VM, which then knows nothing of this one and
    /// needs no lock.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { key: self.output() }
    }

    /// Returns fresh bytes and replaces the key.
    fn output<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl Entropy for Drbg {
    fn random(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.output()))
    }
}

impl fmt::Debug for Drbg {
    /// Writes the type's name only: the key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drbg")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::collections::HashSet;

    #[test]
    fn a_seed_of_fewer_than_256_bits_is_refused() {
        for bytes in 0..32 {
            let error = Drbg::from_seed(&[1; 32][..bytes]).err();
            assert_eq!(error, Some(ShortSeed { bytes }));
        }
        assert!(Drbg::from_seed(&[1; 32]).is_ok());
    }

    #[test]
    fn every_byte_of_the_seed_counts() {
        let first = |seed: &[u8]| Drbg::from_seed(seed).expect("long enough").random();
        let plain = first(&[1; 65]);
        for index in 0..65 {
            let mut seed = [1; 65];
            seed[index] = 2;
            assert_ne!(first(&seed), plain, "{index}");
        }
        assert_eq!(first(&[1; 65]), plain);
    }

    #[test]
    fn outputs_and_forks_do_not_repeat() {
        let mut drbg = Drbg::from_seed(&[7; 32]).expect("long enough");
        let mut fork = drbg.fork();
        let mut other = drbg.fork();
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            for source in [&mut drbg, &mut fork, &mut other] {
                assert!(seen.insert(source.random()));
            }
        }
    }

    #[test]
    fn about_half_of_the_bits_are_set() {
        let mut drbg = Drbg::from_seed(&[7; 32]).expect("long enough");
        let ones: u32 = (0..1000)
            .filter_map(|_| drbg.random())
            .map(u64::count_ones)
            .sum();
        assert!((31_000..33_000).contains(&ones), "{ones}");
    }
}
