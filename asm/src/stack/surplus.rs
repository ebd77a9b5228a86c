//! Releasing the memory that a pool holds and does not need: first the pages of stacks, then the slabs.
//!
//! The caller measures time: it ends a *period* now and then. A stack that was in the pool for a whole period was not needed in
//! it. The pool hands out the stack that it was given last, so these stacks are at the old end of the free list, and one
//! number, the least length of the list during the period, says how many they are. Their pages are released (such a stack is
//! *bare*) in small steps, with the pool unlocked meanwhile. A slab whose stacks are all bare is *retired*, and then unmapped,
//! which frees its page tables and its address space as well. The pool's first slab stays.
#![expect(unsafe_code, reason = "unmaps slabs")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ptr::NonNull;

use super::pool::{FIRST_SLAB, StackPool, State};
use super::release::Release;
use super::slab::{Slab, Stack};

/// How many stacks lose their pages at a time. They cannot be taken meanwhile.
const STEP: usize = 64;

/// The rest that a [`StackPool`] has to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surplus {
    /// Nothing.
    None,
    /// Stacks that were needed during the last period and may not be needed in the next: end that period, and see.
    Later,
    /// Stacks or slabs that can be released now.
    Now,
}

impl StackPool {
    /// Ends a period: the stacks that lay unused in the pool all the time are surplus from now on.
    ///
    /// Call it once in a second or so, if anything was [left](Surplus) or any stack has been given back since. Then call
    /// [`release_surplus`](Self::release_surplus) until it no longer returns [`Surplus::Now`].
    pub fn end_period(&self) {
        let mut state = self.shared.state.lock();
        let State { free, surplus, least_free, .. } = &mut *state;
        surplus.extend(free.drain(..*least_free));
        *least_free = free.len();
    }

    /// Releases the memory of a few surplus stacks, or a slab whose stacks are all surplus. Returns what is left.
    ///
    /// One call takes one or two tenths of a millisecond. Stacks can be taken and given meanwhile.
    ///
    /// ```
    /// use abaca_asm::stack::{StackPool, Surplus};
    ///
    /// let pool = StackPool::new(64 * 1024);
    /// let stack = pool.take()?;
    /// pool.give(stack);
    /// // The stack was in use until just now.
    /// pool.end_period();
    /// assert_eq!(pool.release_surplus(), Surplus::Later);
    /// // Nobody has taken it since.
    /// pool.end_period();
    /// assert_eq!(pool.release_surplus(), Surplus::None);
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    pub fn release_surplus(&self) -> Surplus {
        let mut bare: Vec<Stack> = Vec::new();
        let retired = {
            let mut state = self.shared.state.lock();
            let rest = state.surplus.len().saturating_sub(STEP);
            bare.extend(state.surplus.drain(rest..));
            if bare.is_empty() { state.retired.pop() } else { None }
        };
        if let Some(slab) = retired {
            // SAFETY: it came from `Box::leak`; `retire` took it off the list with all handles of its stacks.
            drop(unsafe { Box::from_raw(slab.as_ptr()) });
        }
        // Neighbours in memory make one range.
        bare.sort_unstable_by_key(|stack| stack.bottom().addr());
        let mut release = Release::new();
        bare.iter().for_each(|stack| release.add(stack));
        drop(release);
        let mut state = self.shared.state.lock();
        for stack in &bare {
            // SAFETY: slabs stay while a handle of theirs is left.
            unsafe { stack.home().as_ref() }.count_bare(1);
        }
        // This allocates nothing: there is room for all stacks of the pool.
        state.bare.append(&mut bare);
        if state.surplus.is_empty() && state.retired.is_empty() {
            state.retire();
        }
        if !state.surplus.is_empty() || !state.retired.is_empty() {
            Surplus::Now
        } else if state.free.is_empty() {
            Surplus::None
        } else {
            Surplus::Later
        }
    }
}

impl State {
    /// Takes the slabs whose stacks are all bare off the list, with all handles of those stacks.
    fn retire(&mut self) {
        // SAFETY: slabs on the list are mapped, and a slab that leaves it here is unmapped only by `release_surplus`, later.
        let slab = |slab: &NonNull<Slab>| unsafe { slab.as_ref() };
        let last = self.slabs.last().copied();
        // Some stacks of the last slab may never have been handed out.
        let handed_out = |it: &NonNull<Slab>| if Some(*it) == last { self.fresh } else { slab(it).count() };
        let is_surplus = |it: &NonNull<Slab>| slab(it).bare() == handed_out(it);
        // The first slab stays.
        if !self.slabs.iter().skip(1).any(is_surplus) {
            return;
        }
        let retired = self.slabs.extract_if(1.., |it| is_surplus(it));
        self.retired.extend(retired);
        for it in &self.retired {
            self.total -= slab(it).count();
            slab(it).retire();
        }
        let is_retired = |stack: &mut Stack| slab(&stack.home()).is_retired();
        // The pool's own handles do not use a stack: they must not count as lost.
        self.bare.extract_if(.., is_retired).for_each(mem::forget);
        let room = self.total.max(FIRST_SLAB);
        for list in [&mut self.free, &mut self.surplus, &mut self.bare] {
            list.shrink_to(room);
        }
        if self.slabs.last().copied() != last {
            // The slab that is now the last one is older: all its stacks have been handed out.
            self.fresh = self.slabs.last().map_or(0, |last| slab(last).count());
            self.guarded = self.fresh;
        }
    }
}
