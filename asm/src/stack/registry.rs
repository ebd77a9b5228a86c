//! Where all stacks of the process lie: for whoever has an address and wants to know whose guard it is.
//!
//! Every slab is in the list from its mapping to its end. A signal handler may ask: it tries the lock, a bounded number
//! of times, and goes without an answer if it does not get it.
#![expect(unsafe_code, reason = "looks at slabs through the pointers in the list")]

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::slab::Slab;
use crate::lock::Lock;
use crate::os;

/// A slab in the list. Each is alive, since it leaves the list before it ends.
struct Entered(NonNull<Slab>);

// SAFETY: a slab is immutable but for atomics, as argued for `Stack`.
unsafe impl Send for Entered {}

/// A static, since a fault is the thread's business and knows no pool.
static SLABS: Lock<Vec<Entered>> = Lock::new(Vec::new());

/// How often a signal handler tries. Who has the lock needs well under a microsecond, once it runs.
const ATTEMPTS: usize = 1000;

/// What [`overrun_at`] finds: a stack below whose end something was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrun {
    /// The addresses of the guard.
    pub guard: Range<usize>,
    /// What the stack has above that, in bytes.
    pub stack_bytes: usize,
    /// The stack's [owner word](super::Stack::owner); null for a coroutine's stack.
    pub owner: *mut (),
}

/// The stack in whose guard `address` lies, if it is one of any pool's.
///
/// It may be called in a signal handler, to tell an overflow from any other fault. Once in a blue moon, when another
/// thread maps stacks and is held up in the middle of it, the answer is `None` for an address that is in a guard.
///
/// ```
/// use abaca_asm::stack::{StackPool, overrun_at};
///
/// let pool = StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let overrun = overrun_at(stack.bottom().addr() - 1).expect("this is the guard's last byte");
/// assert_eq!((overrun.guard, overrun.stack_bytes), (stack.guard(), 64 * 1024));
/// assert_eq!(overrun_at(stack.bottom().addr()), None);
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub fn overrun_at(address: usize) -> Option<Overrun> {
    for _ in 0..ATTEMPTS {
        let Some(slabs) = SLABS.try_lock() else {
            os::yield_thread();
            continue;
        };
        // SAFETY: what is in the list is alive, and stays so while the list is locked.
        return slabs.iter().find_map(|slab| overrun_in(unsafe { slab.0.as_ref() }, address));
    }
    None
}

fn overrun_in(slab: &Slab, address: usize) -> Option<Overrun> {
    let shape = slab.shape();
    let (index, within) = slab.find(address)?;
    let lowest = address - within;
    (within < shape.guard_bytes).then(|| Overrun {
        guard: lowest..lowest + shape.guard_bytes,
        stack_bytes: shape.usable_bytes,
        // Acquire: pairs with whatever release store the owner made of the pointer.
        owner: slab.owners()[index].load(Ordering::Acquire),
    })
}

/// How many usable bytes the stack has below `top`, if it is one of any pool's.
#[cfg(abaca_asan)]
pub(crate) fn bytes_below(top: usize) -> Option<usize> {
    let slabs = SLABS.lock();
    // SAFETY: as in `overrun_at`.
    let mut found = slabs.iter().filter_map(|slab| {
        let slab = unsafe { slab.0.as_ref() };
        slab.find(top - 1).map(|(_, within)| within + 1 - slab.shape().guard_bytes)
    });
    found.next()
}

/// Enters a slab that has just been mapped.
///
/// # Safety
///
/// It stays where it is until it is dropped, which [removes](remove) it.
pub(super) unsafe fn enter(slab: NonNull<Slab>) {
    SLABS.lock().push(Entered(slab));
}

/// Takes out the slab that has this base.
pub(super) fn remove(base: NonNull<u8>) {
    let mut slabs = SLABS.lock();
    // SAFETY: as in `overrun_at`.
    if let Some(index) = slabs.iter().position(|slab| unsafe { slab.0.as_ref() }.lowest(0) == base) {
        slabs.swap_remove(index);
    }
}
