//! Spin locks. On a fiber, one that spins for long keeps the holder from running, if that is a fiber of the same worker: so it gives way. If
//! that has not helped for long, it sleeps, and who releases the lock lets it run: a holder that takes it again at once, and waits with it, would
//! keep it out for ever.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::hint::spin_loop;
use std::time::{Duration, Instant};

use abaca::hook::{self, Overtaken, Sleep};
use libc::{EBUSY, pthread_spinlock_t};

use super::acquire::{ONE_KIND, beside, wake_fairly};
use crate::hooks::hooks;
use crate::own::own;

type Spin = *mut pthread_spinlock_t;

/// How often a fiber looks before it gives way: for less time than a switch takes.
const LOOKS: u32 = 20;

/// How long it sleeps. To release the lock is a store, behind which the look for sleepers may miss one; and another process may have it.
const PAUSE: Duration = Duration::from_micros(500);

hooks! {
    /// pthread_spin_lock(3).
    fn pthread_spin_lock(lock: Spin) -> c_int, |_| -> c {
        // SAFETY: the caller's promise.
        let attempt = || unsafe { own!(fn pthread_spin_trylock(Spin) -> c_int)(lock) };
        let mut overtaken = Overtaken::NOT;
        loop {
            for _ in 0..LOOKS {
                match attempt() {
                    EBUSY => spin_loop(),
                    result => return result,
                }
            }
            if !overtaken.again() {
                hook::yield_now();
                continue;
            }
            let mut result = EBUSY;
            let stay = || {
                result = attempt();
                result == EBUSY
            };
            let deadline = Some(Instant::now() + PAUSE);
            let address = beside(lock);
            let sleep = Sleep { address, bits: ONE_KIND, deadline, is_cancellable: false, is_overtaken: true };
            hook::sleep_at(sleep, stay, || ());
            if result != EBUSY {
                return result;
            }
        }
    }

    /// pthread_spin_unlock(3).
    fn pthread_spin_unlock(lock: Spin) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn pthread_spin_unlock(Spin) -> c_int)(lock) };
        let address = beside(lock);
        if hook::has_sleepers(address) {
            wake_fairly(address, || hook::wake_at(address, ONE_KIND, 1));
        }
        result
    }
}
