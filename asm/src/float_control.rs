//! The control words of floating point: how results are rounded, what traps, and how denormal numbers are taken; and, where they are in the same
//! register, the flags, which tell what has happened.
//!
//! They are the thread's. A scheduler whose fibers are to be threads keeps them apart: it looks at [`FloatControl::word`] at each switch, and
//! exchanges the whole if that is not the usual one.

#![expect(unsafe_code, reason = "instructions that the language has no word for")]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
use core::arch::asm;

/// The bits that are flags: what has happened, not how to compute. aarch64 has them elsewhere.
const FLAGS: u32 = if cfg!(target_arch = "x86_64") {
    0x3f
} else if cfg!(target_arch = "riscv64") {
    0x1f
} else {
    0
};

/// The exceptions in x87's words: a flag of the status tells that one has happened, and the same bit of the control word keeps it from trapping.
#[cfg(target_arch = "x86_64")]
const EXCEPTIONS: u16 = 0x3f;

/// See the module's documentation. Of an architecture that this crate has no switch for, it is empty.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatControl {
    /// `MXCSR`, `FPCR`, or `fcsr`.
    word: u32,
    /// The control word of x87; else 0.
    x87: u16,
}

impl FloatControl {
    /// The word of the calling thread that tells whether its control words are usual ones: `MXCSR`, `FPCR`, or `fcsr`. The x87
    /// control word is not looked at: `fesetround` changes both.
    #[inline(always)]
    #[must_use]
    pub fn word() -> u32 {
        #[cfg(target_arch = "x86_64")]
        {
            let mut all = 0_u32;
            // SAFETY: writes the local.
            unsafe {
                asm!("stmxcsr [{}]", in(reg) &raw mut all, options(nostack, preserves_flags));
            }
            all
        }
        #[cfg(target_arch = "aarch64")]
        {
            let word: u64;
            // SAFETY: reads a register.
            unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
            word as u32
        }
        #[cfg(target_arch = "riscv64")]
        {
            let word: u64;
            // SAFETY: reads a register.
            unsafe { asm!("frcsr {}", out(reg) word, options(nomem, nostack, preserves_flags)) };
            word as u32
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        0
    }

    /// The calling thread's.
    #[must_use]
    pub fn current() -> Self {
        #[cfg(target_arch = "x86_64")]
        let x87 = {
            let mut word = 0_u16;
            // SAFETY: writes the local.
            unsafe { asm!("fnstcw [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
            word
        };
        #[cfg(not(target_arch = "x86_64"))]
        let x87 = 0;
        Self { word: Self::word(), x87 }
    }

    /// What [`word`](Self::word) would say of a thread that has these.
    #[inline(always)]
    #[must_use]
    pub const fn as_word(self) -> u32 {
        self.word
    }

    /// The same without flags.
    #[must_use]
    pub const fn without_flags(self) -> Self {
        Self { word: self.word & !FLAGS, ..self }
    }

    /// Makes them the calling thread's, which has those of `now`. Flags of x87 that would trap by these words go: its next instruction would trap by
    /// what somebody else has computed. (`MXCSR`'s flags trap nobody.)
    ///
    /// # Safety
    ///
    /// They are the ones with which the code that runs next was left, or is to begin. Rust code assumes the usual ones, so others are those of
    /// foreign code, which has set them itself.
    pub unsafe fn set_after(self, now: Self) {
        #[cfg(target_arch = "x86_64")]
        {
            let Self { word, x87 } = self;
            // SAFETY: the caller's promise. No reserved bit is set: the words came out of the same registers.
            unsafe {
                asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags, readonly));
                if x87 != now.x87 {
                    let status: u16;
                    asm!("fnstsw ax", out("ax") status, options(nomem, nostack, preserves_flags));
                    if status & !x87 & EXCEPTIONS != 0 {
                        asm!("fnclex", options(nomem, nostack));
                    }
                    asm!("fldcw [{}]", in(reg) &raw const x87, options(nostack, preserves_flags, readonly));
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = now;
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the caller's promise.
        unsafe {
            asm!("msr fpcr, {}", in(reg) u64::from(self.word), options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "riscv64")]
        // SAFETY: the caller's promise.
        unsafe {
            asm!("fscsr {}", in(reg) u64::from(self.word), options(nomem, nostack, preserves_flags));
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    use core::arch::asm;

    use super::FloatControl;

    unsafe extern "C" {
        fn fesetround(mode: i32) -> i32;
        fn fegetround() -> i32;
    }

    /// `FE_UPWARD`.
    const UPWARD: i32 = if cfg!(target_arch = "x86_64") {
        0x800
    } else if cfg!(target_arch = "aarch64") {
        0x40_0000
    } else {
        3
    };

    #[test]
    fn words_that_are_set_are_those_that_were_read() {
        let usual = FloatControl::current();
        assert_eq!(usual.as_word(), FloatControl::word());
        // SAFETY: no Rust code computes with numbers before the usual words are back.
        let (upward, mode, back) = unsafe {
            fesetround(UPWARD);
            let upward = FloatControl::current();
            usual.set_after(upward);
            let back = fegetround();
            upward.set_after(usual);
            let mode = fegetround();
            usual.set_after(upward);
            (upward, mode, back)
        };
        assert_eq!((mode, back), (UPWARD, 0));
        assert_ne!(upward.as_word(), usual.as_word());
        assert_eq!(FloatControl::current(), usual);
    }

    #[test]
    #[cfg(not(target_arch = "aarch64"))]
    fn flags_are_set_with_the_words_and_left_out() {
        let before = FloatControl::current();
        let none = before.without_flags();
        // SAFETY: flags change nothing of what is computed.
        let (raised, cleared) = unsafe {
            none.set_after(before);
            std::hint::black_box(std::hint::black_box(1.0) / std::hint::black_box(3.0));
            let raised = FloatControl::current();
            none.set_after(raised);
            let cleared = FloatControl::current();
            before.set_after(cleared);
            (raised, cleared)
        };
        assert_ne!(raised, none);
        assert_eq!((raised.without_flags(), cleared), (none, none));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn words_that_trap_do_not_trap_by_what_others_have_computed() {
        const DIVISIONS_BY_ZERO: u16 = 4;
        let usual = FloatControl::current();
        let traps = FloatControl { x87: usual.x87 & !DIVISIONS_BY_ZERO, ..usual };
        // SAFETY: the registers of x87 are empty before and after; the usual words are back before Rust code computes with numbers.
        unsafe {
            asm!("fld1", "fldz", "fdivp st(1), st", "fstp st(0)", out("st(0)") _, out("st(1)") _, options(nostack));
            traps.set_after(usual);
            asm!("fld1", "fstp st(0)", "fwait", out("st(0)") _, options(nostack));
            usual.set_after(traps);
        }
    }
}
