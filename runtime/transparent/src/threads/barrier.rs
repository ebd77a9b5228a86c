//! pthread_barrier_*, but for those that processes share, which are libc's alone.
//!
//! libc's barrier waits inside of libc, so this is another one, in the same memory: plain threads and fibers wait in the table.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicU32, Ordering};

use abaca::hook::{self, Sleep, Slept};
use libc::{
    PTHREAD_BARRIER_SERIAL_THREAD, PTHREAD_PROCESS_PRIVATE, pthread_barrier_t, pthread_barrierattr_t,
};

use super::acquire::beside;
use crate::enter::enter;
use crate::hooks::hooks;
use crate::own::own;

type Barrier = *mut pthread_barrier_t;
type Attributes = *const pthread_barrierattr_t;

/// A barrier of ours. The numbers change under the lock of its place in the table.
#[repr(C)]
struct Private {
    count: c_uint,
    arrived: AtomicU32,
    round: AtomicU32,
    /// How many are in a wait. Who ends the barrier waits for them, as in libc.
    inside: AtomicU32,
    /// libc's barriers end before this.
    unused: [u32; 3],
    /// Tells it from one of libc's.
    mark: u32,
}

const MARK: u32 = 0xabac_aba2;

const _: () = assert!(size_of::<Private>() <= size_of::<pthread_barrier_t>());
const _: () = assert!(align_of::<Private>() <= align_of::<pthread_barrier_t>());

hooks! {
    /// pthread_barrier_init(3).
    fn pthread_barrier_init(barrier: Barrier, attributes: Attributes, count: c_uint) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            (*barrier.cast::<Private>()).mark = 0;
            let result = own!(fn pthread_barrier_init(Barrier, Attributes, c_uint) -> c_int)(barrier, attributes, count);
            let mut sharing = PTHREAD_PROCESS_PRIVATE;
            if !attributes.is_null() {
                libc::pthread_barrierattr_getpshared(attributes, &mut sharing);
            }
            if result == 0 && sharing == PTHREAD_PROCESS_PRIVATE {
                let [arrived, round, inside] = [const { AtomicU32::new(0) }; 3];
                barrier.cast::<Private>().write(Private { count, arrived, round, inside, unused: [0; 3], mark: MARK });
            }
            result
        }
    }

    /// pthread_barrier_destroy(3).
    fn pthread_barrier_destroy(barrier: Barrier) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if !is_private(barrier) {
                return own!(fn pthread_barrier_destroy(Barrier) -> c_int)(barrier);
            }
            // Acquire: pairs with the Release of who leaves. Those are woken, or in handlers.
            while (*barrier.cast::<Private>()).inside.load(Ordering::Acquire) != 0 {
                let _within = enter();
                hook::yield_now();
            }
            (*barrier.cast::<Private>()).mark = 0;
            0
        }
    }

    /// pthread_barrier_wait(3).
    fn pthread_barrier_wait(barrier: Barrier) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if !is_private(barrier) {
                return own!(fn pthread_barrier_wait(Barrier) -> c_int)(barrier);
            }
            wait(barrier.cast())
        }
    }
}

unsafe fn is_private(barrier: Barrier) -> bool {
    // SAFETY: the barrier's memory is initialised, and the mark does not change while it is used.
    unsafe { (*barrier.cast::<Private>()).mark == MARK }
}

/// The bit of a round: whoever comes for the next one is not woken with this one's.
fn bit(round: c_uint) -> u32 {
    1 << (round % 32)
}

/// # Safety
///
/// It is a barrier of ours, whose memory is there until nobody is inside.
unsafe fn wait(barrier: *mut Private) -> c_int {
    let within = enter();
    let address = beside(barrier);
    // SAFETY: the caller's promise: the caller is about to be inside, or is.
    let barrier = unsafe { &*barrier };
    // Who waits must say its bit before it can look at the round under the lock, so it looks again. Relaxed, all: the lock orders them.
    let mut round = barrier.round.load(Ordering::Relaxed);
    loop {
        let mut is_last = false;
        let mut is_another = false;
        let sleep =
            Sleep { address, bits: bit(round), deadline: None, is_cancellable: false, is_overtaken: false };
        let arrive = || {
            let now = barrier.round.load(Ordering::Relaxed);
            is_another = now != round;
            if is_another {
                round = now;
                return false;
            }
            barrier.inside.fetch_add(1, Ordering::Relaxed);
            let arrived = barrier.arrived.load(Ordering::Relaxed) + 1;
            is_last = arrived == barrier.count;
            barrier.arrived.store(if is_last { 0 } else { arrived }, Ordering::Relaxed);
            if is_last {
                barrier.round.store(round.wrapping_add(1), Ordering::Relaxed);
            }
            !is_last
        };
        let mut slept = hook::sleep_or_handle_at(sleep, arrive, || ());
        if is_another {
            continue;
        }
        if is_last {
            hook::wake_at(address, bit(round), usize::MAX);
        }
        // Handlers have run: the caller has come, and waits for the others.
        while matches!(slept, Slept::Handled | Slept::Interrupted) {
            let stay = || barrier.round.load(Ordering::Relaxed) == round;
            slept = hook::sleep_or_handle_at(sleep, stay, || ());
        }
        // Release: pairs with the Acquire of who ends the barrier.
        barrier.inside.fetch_sub(1, Ordering::Release);
        drop(within);
        return if is_last { PTHREAD_BARRIER_SERIAL_THREAD } else { 0 };
    }
}
