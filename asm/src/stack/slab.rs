//! One mapping that holds many stacks, and the handle of a stack in it.
//!
//! A slab is immutable except for atomics, so the accessors of [`Stack`] compute and lock nothing. It
//! stays at its address until its pool unmaps it, which the pool does only when no handle is left (see
//! `pool.rs`).
#![expect(unsafe_code, reason = "owns mapped memory and reaches it through raw pointers")]

use alloc::boxed::Box;
#[cfg(abaca_valgrind)]
use alloc::vec::Vec;
use core::mem::offset_of;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::error::StackError;
use super::fixture::Fixture;
use super::guard::Guard;
use super::memory::{room_for, words};
use super::registry;
use crate::os;

/// How many different places inside a page the tops of a slab's stacks have.
///
/// A fiber touches the end of its stack at each switch. If all stacks began at the same place of a
/// page, they would compete for the same sets of the first-level cache, which are chosen by the address inside
/// the page. Measured in rings of fibers that do nothing else, on a Zen 3 core, in ns per switch with one
/// place, with eight and with sixteen: 16 fibers 7.8, 5.0 and 5.0; 32 fibers 7.4, 4.5 and 4.5; 64 fibers
/// 7.3, 7.0 and 4.9; from 128 to 1000 fibers no difference. Sixteen places would cost twice as much of the
/// one page that a resting fiber has. A power of two.
const COLOURS: usize = 8;

/// The distance between two of these places in bytes: a cache line.
const COLOUR_BYTES: usize = 64;

/// What the frames of a fiber may take that waits for something; those of one that receives from a channel take less.
const RESTING_BYTES: usize = 800;

/// The sizes of the stacks of one pool, in bytes. All are multiples of the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The memory that a stack can use.
    pub(super) usable_bytes: usize,
    /// The guard below it, which faults.
    pub(super) guard_bytes: usize,
    /// Their sum, which is an odd number of pages.
    pub(super) stride_bytes: usize,
    /// How many different places inside a page the tops have.
    colours: usize,
}

impl Shape {
    /// The sizes for stacks of at least `stack_bytes`. If that is too large, the largest possible ones, which no kernel can
    /// map.
    pub(super) fn for_stack(stack_bytes: usize) -> Self {
        let page = os::page_bytes();
        let most = (usize::MAX >> 2) / page * page;
        let usable_bytes = stack_bytes.clamp(1, most).next_multiple_of(page);
        let pages = usable_bytes / page + Guard::BYTES.div_ceil(page);
        // An odd number of pages apart: the page that evens it out goes to the guard.
        let pages = pages | 1;
        let stride_bytes = pages * page;
        Self { usable_bytes, guard_bytes: stride_bytes - usable_bytes, stride_bytes, colours: COLOURS }
    }

    /// The same for stacks with a fixture of so many bytes. If that shares its page with the frames of a fiber that rests, the tops
    /// do not take the fiber to a second page.
    pub(super) fn with_fixture(self, bytes: usize) -> Self {
        let fits = |colours: usize| bytes + RESTING_BYTES + (colours - 1) * COLOUR_BYTES <= os::page_bytes();
        let mut colours = self.colours;
        while colours > 1 && fits(1) && !fits(colours) {
            colours /= 2;
        }
        Self { colours, ..self }
    }
}

/// Many stacks in one mapping.
pub(super) struct Slab {
    base: NonNull<u8>,
    shape: Shape,
    /// The address of the state of its pool, which identifies the pool.
    pool: *const (),
    /// One word per stack, for its owner.
    owners: Box<[AtomicPtr<()>]>,
    /// What lies at the top of the stacks, if something does; null where it has not been made yet.
    fixtures: Option<(Fixture, Box<[AtomicPtr<()>]>)>,
    /// How many handles were dropped instead of given back.
    lost: AtomicUsize,
    /// How many of its stacks the pool holds without a page in them. Changed only while the pool is locked.
    bare: AtomicUsize,
    /// Of the registry.
    link: registry::Link,
    /// The ids of the stacks that valgrind knows.
    #[cfg(abaca_valgrind)]
    registered: crate::lock::Lock<Vec<usize>>,
}

impl Slab {
    /// The most stacks in a slab.
    pub(super) const MOST: usize = 1024;

    /// The count of bare stacks in a slab that is about to be unmapped.
    const RETIRED: usize = usize::MAX;

    /// Maps room for `count` stacks, none of them guarded yet.
    pub(super) fn map(
        shape: Shape,
        count: usize,
        pool: *const (),
        fixture: Option<Fixture>,
    ) -> Result<Box<Self>, StackError> {
        let owners = words(count)?;
        let fixtures = match fixture {
            Some(fixture) => Some((fixture, words(count)?)),
            None => None,
        };
        let bytes = shape.stride_bytes.saturating_mul(count);
        let memory = room_for::<Self>()?;
        let base = os::map(bytes).map_err(|errno| StackError::new("mmap", bytes, errno))?;
        let slab = Self {
            base,
            shape,
            pool,
            owners,
            fixtures,
            lost: AtomicUsize::new(0),
            bare: AtomicUsize::new(0),
            link: registry::Link::default(),
            #[cfg(abaca_valgrind)]
            registered: crate::lock::Lock::new(Vec::new()),
        };
        Ok(memory.fill(slab))
    }

    pub(super) fn link(&self) -> &registry::Link {
        &self.link
    }

    /// How many stacks the slab has.
    pub(super) fn count(&self) -> usize {
        self.owners.len()
    }

    /// The lowest address of stack `index`, where its guard begins.
    pub(super) fn lowest(&self, index: usize) -> NonNull<u8> {
        debug_assert!(index < self.count(), "the slab has this stack");
        // SAFETY: the mapping is `count` strides long.
        unsafe { self.base.add(index * self.shape.stride_bytes) }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// The index of the stack in which `address` lies, and its distance from the lowest address of that stack.
    pub(super) fn find(&self, address: usize) -> Option<(usize, usize)> {
        let offset = address.checked_sub(self.base.addr().get())?;
        let (index, within) = (offset / self.shape.stride_bytes, offset % self.shape.stride_bytes);
        (index < self.count()).then_some((index, within))
    }

    pub(super) fn owners(&self) -> &[AtomicPtr<()>] {
        &self.owners
    }

    /// Counts one more, or one less, of its stacks without a page. The caller has locked the pool.
    pub(super) fn count_bare(&self, change: isize) {
        // Relaxed: the pool's lock orders it.
        self.bare.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    }

    /// How many of its stacks the pool holds without a page in them.
    pub(super) fn bare(&self) -> usize {
        self.bare.load(Ordering::Relaxed)
    }

    /// Marks the slab as no longer part of its pool. The caller has locked the pool.
    pub(super) fn retire(&self) {
        self.bare.store(Self::RETIRED, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.bare.load(Ordering::Relaxed) == Self::RETIRED
    }

    /// How many handles were dropped instead of given back.
    pub(super) fn lost(&self) -> usize {
        // Acquire: pairs with the Release in `Stack::drop`: all uses of a handle before it was lost are
        // over.
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        if let Some((fixture, words)) = &self.fixtures {
            // Acquire: pairs with the Release of whoever made the fixture.
            let made = words.iter().filter_map(|word| NonNull::new(word.load(Ordering::Acquire)));
            // SAFETY: the pool drops a slab only when no handle is left, so nobody uses its stacks; each fixture is removed once.
            made.for_each(|it| unsafe { (fixture.remove)(it) });
        }
        #[cfg(abaca_valgrind)]
        self.registered.get_mut().drain(..).for_each(crate::valgrind::deregister_stack);
        registry::remove(self);
        // SAFETY: the range was mapped by `map`, and its pool drops a slab only when no handle is left.
        unsafe { os::unmap(self.base, self.shape.stride_bytes * self.count()) };
    }
}

/// The handle of one guarded stack. Its owner may use the memory.
///
/// Give it back to its pool with [`StackPool::give`](super::StackPool::give). A handle that is dropped
/// instead is lost: its memory stays mapped until the pool is dropped, and is not handed out again.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use abaca_asm::stack::StackPool;
///
/// let pool = StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// assert!(stack.bottom() < stack.top());
/// assert_eq!(stack.guard().end, stack.bottom().addr());
///
/// // The owner of the stack can be found through the stack, and from an address in its guard.
/// let mut owner = 7_u32;
/// stack.owner().store((&raw mut owner).cast(), Ordering::Release);
///
/// stack.release_below(4096);
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub struct Stack {
    slab: NonNull<Slab>,
    index: u32,
}

const _: () = assert!(size_of::<Stack>() == 16);

// SAFETY: a handle is an address and a number. The slab behind it is immutable except for atomics.
unsafe impl Send for Stack {}
// SAFETY: as above; a shared handle offers nothing else.
unsafe impl Sync for Stack {}

impl Stack {
    /// Where a debugger finds a stack, in bytes: in a handle the slab's address and the index (4 bytes) of the stack in it; in the slab the
    /// address of its first stack, and how far its stacks are apart. The stack is at the upper end of what it has of that.
    pub const LAYOUT: [usize; 4] = [
        offset_of!(Self, slab),
        offset_of!(Self, index),
        offset_of!(Slab, base),
        offset_of!(Slab, shape) + offset_of!(Shape, stride_bytes),
    ];

    /// # Safety
    ///
    /// The stack has its guard, no other handle of it exists, and the slab stays until its pool has forgotten this handle or
    /// counted it as lost.
    pub(super) unsafe fn new(slab: NonNull<Slab>, index: usize) -> Self {
        let index = u32::try_from(index).expect("a slab has at most 1024 stacks");
        let stack = Self { slab, index };
        #[cfg(abaca_valgrind)]
        stack.slab().registered.lock().push(crate::valgrind::register_stack(stack.bottom(), stack.top()));
        stack
    }

    /// Tells valgrind that the memory is about to be used again.
    #[cfg(abaca_valgrind)]
    pub(crate) fn renew(&self) {
        crate::valgrind::allow_writing_below(self.top(), self.top().addr() - self.bottom().addr());
    }

    fn slab(&self) -> &Slab {
        // SAFETY: the contract of `Stack::new`: the slab outlives the handle.
        unsafe { self.slab.as_ref() }
    }

    pub(super) fn pool(&self) -> *const () {
        self.slab().pool
    }

    fn lowest(&self) -> NonNull<u8> {
        self.slab().lowest(self.index as usize)
    }

    /// The beginning of its usable memory, and its size in bytes.
    pub(super) fn usable(&self) -> (NonNull<u8>, usize) {
        let Shape { usable_bytes, guard_bytes, .. } = self.slab().shape;
        // SAFETY: a stack is one stride long, and its guard is shorter.
        (unsafe { self.lowest().add(guard_bytes) }, usable_bytes)
    }

    /// The slab that the stack is part of.
    pub(super) fn home(&self) -> NonNull<Slab> {
        self.slab
    }

    /// Where the stack begins: the highest address that [`prepare`](crate::prepare) may be given. A
    /// multiple of 64.
    ///
    /// It lies up to 448 bytes below the end of the last page, at a different distance for neighbouring
    /// stacks, so that their hot ends do not compete for the same part of the cache.
    pub fn top(&self) -> *mut u8 {
        let colour = (self.index as usize & (self.slab().shape.colours - 1)) * COLOUR_BYTES;
        // SAFETY: a stack is one stride long, and a stride is longer than all colours.
        unsafe { self.lowest().add(self.slab().shape.stride_bytes - colour) }.as_ptr()
    }

    /// The lowest address that may be used. The guard ends here.
    pub fn bottom(&self) -> *mut u8 {
        self.usable().0.as_ptr()
    }

    /// The addresses that fault, directly below [`bottom`](Self::bottom).
    pub fn guard(&self) -> Range<usize> {
        self.lowest().as_ptr().addr()..self.bottom().addr()
    }

    /// A word in which the owner of the stack can store anything. It is null when the stack is taken.
    ///
    /// It lies outside the stack, so reading it touches no stack memory. It takes no lock and can be used
    /// in a signal handler.
    pub fn owner(&self) -> &AtomicPtr<()> {
        &self.slab().owners[self.index as usize]
    }

    /// The word for the stack's [`Fixture`]: null until the owner of the handle has made it. It stays when the stack is given
    /// back. `None` if the pool has no fixtures.
    pub fn fixture(&self) -> Option<&AtomicPtr<()>> {
        let (_, words) = self.slab().fixtures.as_ref()?;
        Some(&words[self.index as usize])
    }

    /// The beginning of its usable memory, and the bytes of it that hold nothing when nobody uses the stack: all pages, without
    /// those of its fixture.
    pub(super) fn unused(&self) -> (NonNull<u8>, usize) {
        let (bottom, bytes) = self.usable();
        let Some((fixture, words)) = &self.slab().fixtures else { return (bottom, bytes) };
        // Relaxed: the caller has the handle, through which the fixture was made.
        if words[self.index as usize].load(Ordering::Relaxed).is_null() {
            return (bottom, bytes);
        }
        let kept = self.top().addr().saturating_sub(fixture.bytes) & !(os::page_bytes() - 1);
        (bottom, kept.saturating_sub(bottom.addr().get()))
    }

    /// Releases the memory of the stack to the kernel, except the topmost `keep_bytes` below
    /// [`top`](Self::top), rounded up to whole pages. The released memory reads as zero. The stack and its
    /// guard stay as they are.
    ///
    /// This costs a system call, and a page fault for each page that is used again. It pays for stacks that
    /// were touched deeply and will not be for a while.
    pub fn release_below(&self, keep_bytes: usize) {
        let kept = self.top().addr().saturating_sub(keep_bytes) & !(os::page_bytes() - 1);
        let (bottom, unused) = self.unused();
        let bytes = kept.saturating_sub(bottom.addr().get()).min(unused);
        if bytes == 0 {
            return;
        }
        // SAFETY: the range is usable memory of this stack. By the contract of `prepare`, nothing but the owner of this
        // handle uses it.
        unsafe { os::discard(bottom, bytes) };
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `Slab::lost`. The pool forgets the handles that are given
        // back, so this one was dropped by its owner.
        self.slab().lost.fetch_add(1, Ordering::Release);
    }
}

impl core::fmt::Debug for Stack {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Stack").field("bottom", &self.bottom()).field("top", &self.top()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tops_have_as_many_places_as_leave_a_fixture_and_a_resting_fiber_one_page() {
        let page = os::page_bytes();
        let colours = |bytes| Shape::for_stack(64 * 1024).with_fixture(bytes).colours;
        assert_eq!(colours(0), COLOURS);
        assert_eq!(colours(page - RESTING_BYTES - 7 * COLOUR_BYTES), COLOURS);
        assert_eq!(colours(page - RESTING_BYTES - 7 * COLOUR_BYTES + 1), 4);
        assert_eq!(colours(page - RESTING_BYTES), 1);
        // They take two pages in any case.
        assert_eq!(colours(page - RESTING_BYTES + 1), COLOURS);
        assert_eq!(colours(2 * page), COLOURS);
    }
}
