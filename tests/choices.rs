//! Random choices that can be repeated: a test prints its seed, and `ABACA_SEED` repeats it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// A small generator of choices: xorshift.
#[derive(Debug)]
pub struct Choices(u64);

impl Choices {
    /// The seed of this run, printed for the record.
    pub fn seed() -> u64 {
        let seed = std::env::var("ABACA_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("ABACA_SEED={seed}");
        seed
    }

    /// The choices of one of the streams of a test.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self((seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// True once in `times`, about.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// How long to wait before giving up: so short that it often is as long as the wait itself.
    pub fn patience(&mut self) -> Duration {
        Duration::from_micros(self.below(50))
    }
}
