//! What a pool holds and does not need goes back to the kernel: first the pages of stacks, then the slabs.
//!
//! Time is the caller's: it ends a *period* now and then. A stack that was in the pool for a whole period was not
//! needed in it. Since the pool hands out what it was given last, those are the ones at the old end of the line, and one
//! number, the least length of the line during the period, says how many. Their pages are given back (such a stack is
//! *bare*) in steps that the caller sizes, with the pool unlocked meanwhile. A slab of which all stacks are bare is
//! unmapped, which frees its page tables and its address space as well; the pool's first slab stays.
#![expect(unsafe_code, reason = "unmaps slabs")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ptr::NonNull;

use super::pool::{FIRST_SLAB, StackPool, State};
use super::release::Release;
use super::slab::{Slab, Stack};

/// How many stacks are bared at a time: they are not to be had meanwhile.
const STEP: usize = 64;

/// What is left to give back of a [`StackPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surplus {
    /// Nothing.
    None,
    /// Something that was needed during the last period and may not be in the next: end that one and see.
    Later,
    /// Something that can be given back now.
    Now,
}

impl StackPool {
    /// Ends a period: what lay unused in the pool all the while is surplus from now on.
    ///
    /// Call it once in a second or so, if anything was [left](Surplus) or any stack has been given back since, and then
    /// [`release_surplus`](Self::release_surplus) until there is no more for now.
    pub fn end_period(&self) {
        let mut state = self.shared.state.lock();
        let State { free, surplus, least_free, .. } = &mut *state;
        surplus.extend(free.drain(..*least_free));
        *least_free = free.len();
    }

    /// Gives back the memory of a few surplus stacks, or a few slabs that are surplus altogether. Says what is left.
    ///
    /// One call takes a tenth of a millisecond or two. Stacks can be taken and given meanwhile.
    ///
    /// ```
    /// use abaca_asm::stack::{StackPool, Surplus};
    ///
    /// let pool = StackPool::new(64 * 1024);
    /// let stack = pool.take()?;
    /// pool.give(stack);
    /// // It was in use until just now.
    /// pool.end_period();
    /// assert_eq!(pool.release_surplus(), Surplus::Later);
    /// // Nobody has wanted it since.
    /// pool.end_period();
    /// assert_eq!(pool.release_surplus(), Surplus::None);
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    pub fn release_surplus(&self) -> Surplus {
        let mut bare: Vec<Stack> = Vec::new();
        let doomed = {
            let mut state = self.shared.state.lock();
            let rest = state.surplus.len().saturating_sub(STEP);
            bare.extend(state.surplus.drain(rest..));
            if bare.is_empty() { state.doomed.pop() } else { None }
        };
        if let Some(slab) = doomed {
            // SAFETY: it came from `Box::leak`; `doom` took it off the list with all handles of its stacks.
            drop(unsafe { Box::from_raw(slab.as_ptr()) });
        }
        // Neighbours in memory go with one range.
        bare.sort_unstable_by_key(|stack| stack.bottom().addr());
        let mut release = Release::new();
        bare.iter().for_each(|stack| release.add(stack));
        drop(release);
        let mut state = self.shared.state.lock();
        for stack in &bare {
            // SAFETY: slabs stay while a handle of theirs is left.
            unsafe { stack.home().as_ref() }.count_bare(1);
        }
        // No allocation: there is room for all stacks of the pool.
        state.bare.append(&mut bare);
        if state.surplus.is_empty() && state.doomed.is_empty() {
            state.doom();
        }
        if !state.surplus.is_empty() || !state.doomed.is_empty() {
            Surplus::Now
        } else if state.free.is_empty() {
            Surplus::None
        } else {
            Surplus::Later
        }
    }
}

impl State {
    /// Takes the slabs off the list whose stacks are all bare, and with them all handles of those stacks.
    fn doom(&mut self) {
        // SAFETY: slabs on the list are mapped, and what leaves it here is unmapped by `release_surplus` alone, later.
        let slab = |slab: &NonNull<Slab>| unsafe { slab.as_ref() };
        let last = self.slabs.last().copied();
        // Of the last slab some stacks may never have been handed out.
        let handed_out = |it: &NonNull<Slab>| if Some(*it) == last { self.fresh } else { slab(it).count() };
        let is_surplus = |it: &NonNull<Slab>| slab(it).bare() == handed_out(it);
        // The first one stays.
        if !self.slabs.iter().skip(1).any(is_surplus) {
            return;
        }
        let doomed = self.slabs.extract_if(1.., |it| is_surplus(it));
        self.doomed.extend(doomed);
        for it in &self.doomed {
            self.total -= slab(it).count();
            slab(it).doom();
        }
        let is_doomed = |stack: &mut Stack| slab(&stack.home()).is_doomed();
        // The pool's own handles are no use of a stack: they must not count as lost.
        self.bare.extract_if(.., is_doomed).for_each(mem::forget);
        let room = self.total.max(FIRST_SLAB);
        for list in [&mut self.free, &mut self.surplus, &mut self.bare] {
            list.shrink_to(room);
        }
        if self.slabs.last().copied() != last {
            // The one that is the last now is one of those that came before: all its stacks have been handed out.
            self.fresh = self.slabs.last().map_or(0, |last| slab(last).count());
            self.guarded = self.fresh;
        }
    }
}
