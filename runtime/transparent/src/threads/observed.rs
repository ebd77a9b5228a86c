//! What libc writes into its objects for an attribute, observed instead of assumed.

#![expect(unsafe_code, reason = "reads objects that libc has initialised")]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of one word of an object that tell an attribute.
pub(crate) struct Observed {
    /// Not yet known: 0. Else the word's index, above it the mask, above that 1.
    state: AtomicU64,
}

const KNOWN: u64 = 1 << 63;
/// The object is the same with the attribute and without.
const NOTHING: u64 = KNOWN | 0xff;

impl Observed {
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU64::new(0) }
    }

    /// Whether `object` has the attribute. `init` initialises an object, with or without it.
    ///
    /// # Safety
    ///
    /// The object is initialised. `init` initialises what it is given, which is zeroed, and which needs no end.
    #[inline]
    pub(crate) unsafe fn is_in<T>(&self, object: *const T, init: impl Fn(*mut T, bool)) -> bool {
        // Relaxed: each value that is stored says all.
        let mut state = self.state.load(Ordering::Relaxed);
        if state == 0 {
            // SAFETY: the caller's promise.
            state = unsafe { Self::observe(init) };
            self.state.store(state, Ordering::Relaxed);
        }
        if state == NOTHING {
            return false;
        }
        // SAFETY: the word is within the object; libc changes it by atomic operations, if at all.
        let word = unsafe { object.cast::<u32>().add((state & 0xff) as usize).read_volatile() };
        word & (state >> 8) as u32 != 0
    }

    #[cold]
    unsafe fn observe<T>(init: impl Fn(*mut T, bool)) -> u64 {
        let mut pair = [const { MaybeUninit::<T>::zeroed() }; 2];
        init(pair[0].as_mut_ptr(), false);
        init(pair[1].as_mut_ptr(), true);
        for index in 0..size_of::<T>() / 4 {
            // SAFETY: within the object, all of which was zeroed before it was initialised.
            let word = |object: &MaybeUninit<T>| unsafe { object.as_ptr().cast::<u32>().add(index).read() };
            let mask = word(&pair[1]) & !word(&pair[0]);
            if mask != 0 {
                return KNOWN | u64::from(mask) << 8 | index as u64;
            }
        }
        NOTHING
    }
}
