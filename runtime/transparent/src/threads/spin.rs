//! pthread_spin_lock. A fiber that spins would keep the holder from running, if that is a fiber of the same worker: so it gives way.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::hint::spin_loop;

use abaca::hook;
use libc::{EBUSY, pthread_spinlock_t};

use crate::hooks::hooks;
use crate::own::own;

type Spin = *mut pthread_spinlock_t;

/// How often a fiber looks before it gives way: for less time than a switch takes.
const LOOKS: u32 = 20;

hooks! {
    /// pthread_spin_lock(3).
    fn pthread_spin_lock(lock: Spin) -> c_int, |_| -> c {
        loop {
            for _ in 0..LOOKS {
                // SAFETY: the caller's promise.
                match unsafe { own!(fn pthread_spin_trylock(Spin) -> c_int)(lock) } {
                    EBUSY => spin_loop(),
                    result => return result,
                }
            }
            hook::yield_now();
        }
    }
}
