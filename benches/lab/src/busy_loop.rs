//! Work for a CPU: a loop whose length in time is known, the same for every model.
//!
//! It is calibrated once, by whoever starts the models, and handed to them as a number: so the work is the same
//! number of iterations everywhere, also when the machine was busy while a model started.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The calibrated loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BusyLoop {
    /// Iterations of the loop that take a microsecond on an idle CPU of this machine.
    pub iterations_per_us: f64,
}

/// Iterations of one trial of the calibration: about a millisecond.
const TRIAL: u64 = 1 << 20;

impl BusyLoop {
    /// Measures how fast the loop is here. Takes about 20 ms; interruptions do not matter, since the fastest of many
    /// trials counts.
    #[must_use]
    pub fn calibrate() -> Self {
        let trial = || {
            let began = Instant::now();
            turn(TRIAL);
            began.elapsed()
        };
        let fastest = (0..16).map(|_| trial()).min().expect("there are trials");
        Self { iterations_per_us: TRIAL as f64 / (fastest.as_secs_f64() * 1e6) }
    }

    /// Keeps the CPU busy for about `cpu`.
    pub fn spend(self, cpu: Duration) {
        turn((cpu.as_secs_f64() * 1e6 * self.iterations_per_us) as u64);
    }
}

/// A chain of dependent operations, which no compiler and no CPU shortens.
fn turn(iterations: u64) {
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..iterations {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibrated_loop_has_a_speed() {
        let busy_loop = BusyLoop::calibrate();
        assert!(busy_loop.iterations_per_us > 1.0, "{busy_loop:?}");
        busy_loop.spend(Duration::from_micros(10));
    }
}
