//! The list of all stacks of the process, to find the stack or guard in which an address lies.
//!
//! Every slab is in the list from its mapping to its end. A signal handler may look: it tries the lock a bounded number
//! of times, and finds nothing if it does not get it.
#![expect(unsafe_code, reason = "looks at slabs through the pointers in the list")]

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::slab::Slab;
use crate::lock::Lock;
use crate::os;

/// A slab in the list. It is alive, since it leaves the list before it ends.
struct Entered(NonNull<Slab>);

// SAFETY: a slab is immutable but for atomics, as argued for `Stack`.
unsafe impl Send for Entered {}

/// A static, since a signal handler knows the address of a fault, and no pool.
static SLABS: Lock<Vec<Entered>> = Lock::new(Vec::new());

/// How often a signal handler tries the lock. Its holder needs well under a microsecond, once it runs.
const ATTEMPTS: usize = 1000;

/// The result of [`overrun_at`]: a stack whose guard was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrun {
    /// The addresses of the guard.
    pub guard: Range<usize>,
    /// The usable bytes of the stack, which lie above the guard.
    pub stack_bytes: usize,
    /// The stack's [owner word](super::Stack::owner); null for a coroutine's stack.
    pub owner: *mut (),
}

/// Finds the stack, of any pool, in whose guard `address` lies.
///
/// It may be called in a signal handler, to tell an overflow from any other fault. In rare cases, if another
/// thread is preempted while it maps stacks, it returns `None` for an address that is in a guard.
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
        // SAFETY: slabs in the list are alive, and stay so while the list is locked.
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

/// Finds the stack, of any pool, in which `address` lies. Returns where its usable memory begins, and how many bytes that has.
pub(super) fn usable_at(address: usize) -> Option<(NonNull<u8>, usize)> {
    let slabs = SLABS.lock();
    slabs.iter().find_map(|slab| {
        // SAFETY: as in `overrun_at`.
        let slab = unsafe { slab.0.as_ref() };
        let (index, _) = slab.find(address)?;
        let shape = slab.shape();
        // SAFETY: a stack is one stride long, and its guard is shorter.
        Some((unsafe { slab.lowest(index).add(shape.guard_bytes) }, shape.usable_bytes))
    })
}

/// A stack of any pool, in use or free: its lowest usable address, its end, and its owner's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The lowest usable address.
    pub bottom: usize,
    /// The end of its usable memory.
    pub end: usize,
    /// What its [owner](super::Stack::owner) has stored last, which may be long ago; 0 if nobody has.
    pub owner: usize,
}

/// The stacks of all pools of the process, in use or free, at some moment; for those who look at the process's memory.
///
/// ```
/// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let bottom = stack.bottom() as usize;
/// assert!(abaca_asm::stack::places().iter().any(|place| place.bottom == bottom));
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub fn places() -> Vec<Place> {
    let slabs = SLABS.lock();
    let mut found = Vec::new();
    for slab in slabs.iter() {
        // SAFETY: as in `overrun_at`.
        let slab = unsafe { slab.0.as_ref() };
        let shape = slab.shape();
        for (index, owner) in slab.owners().iter().enumerate() {
            let bottom = slab.lowest(index).addr().get() + shape.guard_bytes;
            let owner = owner.load(Ordering::Acquire).addr();
            found.push(Place { bottom, end: bottom + shape.usable_bytes, owner });
        }
    }
    found
}

/// The lowest usable address, and the end, of the stack in which `address` lies, of any pool; its guard counts as part of it. `None` if
/// there is none there. It takes a lock that is held for short, and looks at one slab after the other.
///
/// ```
/// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let (bottom, end) = abaca_asm::stack::bounds_at(stack.top() as usize - 1).unwrap();
/// assert!(bottom == stack.bottom() as usize && end >= stack.top() as usize);
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub fn bounds_at(address: usize) -> Option<(usize, usize)> {
    let (bottom, bytes) = usable_at(address)?;
    let bottom = bottom.addr().get();
    Some((bottom, bottom + bytes))
}

/// The usable bytes below `top` of the stack, of any pool, in which that lies.
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

/// Adds a slab that has just been mapped to the list.
///
/// # Safety
///
/// The slab stays at its address until it is dropped, which [removes](remove) it.
///
/// # Errors
///
/// * There is no memory for that: it is not on the list.
pub(super) unsafe fn enter(slab: NonNull<Slab>) -> Result<(), TryReserveError> {
    let mut slabs = SLABS.lock();
    slabs.try_reserve(1)?;
    slabs.push(Entered(slab));
    Ok(())
}

/// Takes out the slab that has this base.
pub(super) fn remove(base: NonNull<u8>) {
    let mut slabs = SLABS.lock();
    // SAFETY: as in `overrun_at`.
    if let Some(index) = slabs.iter().position(|slab| unsafe { slab.0.as_ref() }.lowest(0) == base) {
        slabs.swap_remove(index);
    }
}
