//! The list of all stacks of the process, to find the stack or guard in which an address lies.
//!
//! Every slab is in the list from its mapping to its end. A signal handler may look: it tries the lock a bounded number
//! of times, and finds nothing if it does not get it.
//!
//! A fork(2) may catch the list locked by another thread. So each change of it is one store, and a copy of the process finds it whole, and opens
//! the lock.
#![expect(unsafe_code, reason = "looks at slabs through the pointers in the list")]

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::slab::Slab;
use crate::lock::{Held, Lock};
use crate::os;

/// The link to the next slab of the list. Changed only while the list is locked.
pub(super) type Link = AtomicPtr<Slab>;

/// The first slab of the list. A static, since a signal handler knows the address of a fault, and no pool.
static FIRST: Link = Link::new(null_mut());

/// The lock of the list.
static LOCK: Lock<()> = Lock::new(());

extern "C" fn open_in_copy() {
    LOCK.open();
}

/// The slabs, in no order.
fn slabs<'a>(_locked: &'a Held<'_, ()>) -> impl Iterator<Item = &'a Slab> {
    let mut at = &FIRST;
    core::iter::from_fn(move || {
        // Acquire: pairs with the Release in `enter`, in a copy of the process.
        // SAFETY: slabs in the list are alive, and stay so while it is locked.
        let slab = unsafe { at.load(Ordering::Acquire).as_ref() }?;
        at = slab.link();
        Some(slab)
    })
}

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
        let Some(locked) = LOCK.try_lock() else {
            os::yield_thread();
            continue;
        };
        return slabs(&locked).find_map(|slab| overrun_in(slab, address));
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
    slabs(&LOCK.lock()).find_map(|slab| {
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
    let mut found = Vec::new();
    for slab in slabs(&LOCK.lock()) {
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
    let locked = LOCK.lock();
    let mut found = slabs(&locked)
        .filter_map(|slab| slab.find(top - 1).map(|(_, within)| within + 1 - slab.shape().guard_bytes));
    found.next()
}

/// Adds a slab that has just been mapped to the list.
///
/// # Safety
///
/// The slab stays at its address until it is dropped, which [removes](remove) it.
pub(super) unsafe fn enter(slab: NonNull<Slab>) {
    static IS_FORK_WATCHED: AtomicBool = AtomicBool::new(false);
    // Relaxed, here and below: who does not see it has it watched twice.
    if !IS_FORK_WATCHED.load(Ordering::Relaxed) {
        // SAFETY: the handler is a function of ours, and writes an atomic. If there is no memory for it, copies do without.
        unsafe { libc::pthread_atfork(None, None, Some(open_in_copy)) };
        IS_FORK_WATCHED.store(true, Ordering::Relaxed);
    }
    let _locked = LOCK.lock();
    // SAFETY: the caller's promise.
    unsafe { slab.as_ref() }.link().store(FIRST.load(Ordering::Relaxed), Ordering::Relaxed);
    // Release: pairs with the Acquire in `slabs`.
    FIRST.store(slab.as_ptr(), Ordering::Release);
}

/// Takes out the slab, if it is in the list.
pub(super) fn remove(slab: &Slab) {
    let locked = LOCK.lock();
    let before = |it: &&Link| core::ptr::eq(it.load(Ordering::Relaxed), slab);
    let mut links = core::iter::once(&FIRST).chain(slabs(&locked).map(Slab::link));
    if let Some(link) = links.find(before) {
        // Release: as above.
        link.store(slab.link().load(Ordering::Relaxed), Ordering::Release);
    }
}
