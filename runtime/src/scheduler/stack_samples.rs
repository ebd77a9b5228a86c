//! Stacks at the ends of turns, as far as the flight recorder keeps them: of one turn in so many, the words of the fiber's stack and the
//! registers with which they can be walked.
//!
//! Nothing is walked here. A fiber that parks may be anywhere, in the program's allocator as well, and its stack may be small: so this
//! neither allocates nor calls anything. Whoever reads a recording walks the copies (`observe/flight/stacks.rs`).
//!
//! Rejected: to walk each stack, a microsecond for each turn; a hash of what is at hand (the depth, the reason, the spawn site), which
//! is the same for two calls of one function; to walk one in so many here, which takes tables, memory, and some KiB of stack.

#![expect(unsafe_code, reason = "reads registers and the stack of the running fiber")]

use std::cell::Cell;
use std::ops::Range;
use std::ptr;

use crate::cell::Header;
use crate::queue::EventRing;

/// The words of a sample: 4 KiB, and 16 in a debug build, whose frames are larger. Those of the stack come after the first [`BEFORE`].
const WORDS: usize = if cfg!(debug_assertions) { 2048 } else { 512 };

/// When the turn ended, the fiber's address, the three registers, and the number of the words that were copied.
const BEFORE: usize = 6;

/// Whether the registers and the stack can be read. AddressSanitizer would report what lies between variables, and ThreadSanitizer what
/// wakers write meanwhile.
const IS_KNOWN: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))
    && !cfg!(any(abaca_asan, abaca_tsan))
    && cfg!(feature = "backtrace");

/// A worker's samples.
pub(crate) struct StackSamples {
    /// How many turns are left until the next sample.
    left: Cell<u32>,
    one_in: u32,
    /// The state of the generator that spreads the samples, so that no rhythm of the program is in step with them.
    random: Cell<u32>,
    /// `None` if no stack is sampled.
    ring: Option<EventRing<WORDS>>,
}

impl StackSamples {
    /// Samples one turn in `one_in`, and keeps so many samples; none if that is 0.
    pub(super) fn new(one_in: u32, samples: usize) -> Self {
        let ring = (IS_KNOWN && one_in > 0).then(|| EventRing::new(samples));
        // A gap is up to twice as long, and is a number of the same size.
        Self { left: Cell::new(1), one_in: one_in.min(1 << 31), random: Cell::new(1), ring }
    }

    /// Whether the turn that ends now is to be sampled.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        let left = self.left.get().wrapping_sub(1);
        self.left.set(left);
        left == 0
    }

    /// Keeps the stack of the fiber, whose turn ends at `now`, and begins the next gap. The fiber is the caller.
    #[cold]
    #[inline(never)]
    pub(super) fn keep(&self, fiber: &Header, now: u64) {
        let Some(ring) = &self.ring else { return };
        self.left.set(self.next_gap());
        let [pc, sp, fp] = registers();
        // Not on a coroutine's stack, nor on the thread's.
        let Some(top) =
            fiber.stack_range().filter(|(guard, top)| (guard.end..*top).contains(&sp)).map(|it| it.1)
        else {
            return;
        };
        let count = ((top - sp) / size_of::<u64>()).min(WORDS - BEFORE);
        let first = ptr::with_exposed_provenance::<u64>(sp);
        // SAFETY: the words are those of the caller's own stack from its stack pointer to below the top, which is mapped. Somebody who
        // wakes the caller may write to one just then: what is seen of it is shown, and nothing else is done with it.
        let word = |number| unsafe { first.add(number).read_volatile() };
        let fiber = ptr::from_ref(fiber).addr() as u64;
        let before: [u64; BEFORE] = [now, fiber, pc as u64, sp as u64, fp as u64, count as u64];
        ring.write(before, count, word);
    }

    /// How many turns are left until the next sample, for those who do not ask whether it [is due](Self::is_due). `None` if there is none.
    pub(super) fn gap(&self) -> Option<u32> {
        self.ring.as_ref().map(|_| self.left.get())
    }

    /// From 1 to twice the mean.
    fn next_gap(&self) -> u32 {
        let random = self.random.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random.set(random);
        let widest = self.one_in.saturating_mul(2) - 1;
        1 + ((u64::from(random) * u64::from(widest)) >> 32) as u32
    }

    /// The addresses of the samples; none if there are none.
    pub(crate) fn addresses(&self) -> Range<usize> {
        self.ring.as_ref().map_or(0..0, EventRing::addresses)
    }

    /// The samples that are there, from any thread.
    pub(crate) fn snapshot(&self) -> Vec<StackSample> {
        let words = self.ring.as_ref().map(|ring| ring.snapshot_words().1).unwrap_or_default();
        words.chunks_exact(WORDS).map(|words| StackSample(words.into())).collect()
    }
}

/// A copied stack.
pub(crate) struct StackSample(Box<[u64]>);

impl StackSample {
    /// When the turn ended.
    pub(crate) fn ticks(&self) -> u64 {
        self.0[0]
    }

    /// The program counter, the stack pointer and the frame pointer of the innermost frame.
    pub(crate) fn registers(&self) -> [usize; 3] {
        [2, 3, 4].map(|word| self.0[word] as usize)
    }

    /// The word that was at this address of the stack.
    pub(crate) fn word(&self, address: usize) -> Option<usize> {
        let words = &self.0[BEFORE..BEFORE + (self.0[5] as usize).min(WORDS - BEFORE)];
        let at = address.wrapping_sub(self.registers()[1]);
        let is_aligned = at.is_multiple_of(size_of::<u64>());
        words.get(at / size_of::<u64>()).filter(|_| is_aligned).map(|word| *word as usize)
    }
}

/// The program counter, the stack pointer and the frame pointer, of one moment in the function into which this is compiled.
#[inline(always)]
fn registers() -> [usize; 3] {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
    {
        let (pc, sp, fp);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads registers.
        unsafe {
            std::arch::asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) pc, out(reg) sp, out(reg) fp,
                options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: reads registers.
        unsafe {
            std::arch::asm!("adr {}, .", "mov {}, sp", "mov {}, x29", out(reg) pc, out(reg) sp, out(reg) fp,
                options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "riscv64")]
        // SAFETY: reads registers.
        unsafe {
            std::arch::asm!("auipc {}, 0", "mv {}, sp", "mv {}, s0", out(reg) pc, out(reg) sp, out(reg) fp,
                options(nomem, nostack, preserves_flags));
        }
        [pc, sp, fp]
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    [0; 3]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_one_in_so_many_on_average_and_none_is_sampled_if_none_is_wanted() {
        for one_in in [1, 2, 64, 1000] {
            let samples = StackSamples::new(one_in, 2);
            let sum: u64 = (0..10_000).map(|_| u64::from(samples.next_gap())).sum();
            let mean = sum as f64 / 10_000.0;
            assert!((mean / f64::from(one_in) - 1.0).abs() < 0.05, "{mean} for {one_in}");
        }
        let rare = StackSamples::new(u32::MAX, 2);
        assert!((0..10_000).any(|_| rare.next_gap() > 1 << 31), "the largest number is one as well");
        assert!(StackSamples::new(0, 2).ring.is_none());
    }
}
