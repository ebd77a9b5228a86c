//! A worker's timers: a hierarchical timing wheel with constant-time insert and cancel.
//!
//! Time is cut into **ticks** of [`TICK_NS`]. A deadline is rounded up to a tick, so a timer is never early, and
//! late by less than one tick plus the time until its owner calls [`Wheel::expire`].
//!
//! A tick is a number in base 64, with one digit for each **level**, the least significant for level 0. `elapsed` is the
//! wheel's own time. Compare a timer's tick with `elapsed`, most significant digit first: the first digit that differs
//! gives the timer's level, and the value of that digit in the tick gives its **slot** there. With three digits and
//! `elapsed` at `05.17.30`:
//!
//! ```text
//! tick       level  slot     due in
//! 05.17.42     0     42          12 ticks: level 0 is exact, one tick a slot
//! 05.18.00     1     18          34 ticks
//! 05.60.11     1     60       2,733 ticks
//! 06.00.00     2      6       2,978 ticks
//! ```
//!
//! Three things follow, and the code rests on them:
//! - Every occupied slot of a level lies above that level's digit of `elapsed`, so the first one is the lowest set
//!   bit of the level's bitmap, without wrap-around; and all timers of a level are due before any of the level above.
//! - While `elapsed` moves towards the first occupied slot, no timer's level or slot changes. Hence they need not be
//!   stored: `cancel` computes them again.
//! - When `elapsed` reaches the start of a slot above level 0, that slot's timers **cascade**: they move to the levels below
//!   (at most once for each level, and nearly all timeouts are cancelled before). Timers of the same tick stay in the
//!   order in which they were inserted.
//!
//! Rejected: a heap (a timeout that is cancelled, the common case, costs two rounds of `log n` cache misses); a wheel that fires
//! distant deadlines with the coarseness of their level (a sleep of a second would be late by 16 ms); links in the timers
//! themselves, on the stacks of fibers (a storm of sleeps spent a fifth of its time waiting for them: see `nodes.rs`).

#![expect(unsafe_code, reason = "a wheel follows pointers to timers that it does not own")]

mod sleep;

use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};

use sleep::Sleep;

use super::Entry;
use super::nodes::{Node, Nodes};
use crate::os::peek;
use crate::queue::Ring;

const TICK_BITS: u32 = 13;
/// The length of a tick in nanoseconds: 8.2 us, a fifth of the time that it takes to wake an idle core. A sleep of up to two seconds
/// cascades at most three times.
pub(super) const TICK_NS: u64 = 1 << TICK_BITS;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Enough levels for every deadline. Rounding up can carry into one bit more than the time itself has.
const LEVELS: usize = (u64::BITS - TICK_BITS + 1).div_ceil(SLOT_BITS) as usize;

/// See the module's documentation. One thread owns it.
pub(crate) struct Wheel {
    /// All ticks up to this one have been fired.
    elapsed: Cell<u64>,
    /// The earliest tick that an insert may take: after the end of the `expire` that is under way, or after `elapsed`. So a
    /// callback that inserts a timer which is already due cannot keep `expire` from ending.
    earliest: Cell<u64>,
    sleep: Sleep,
    /// Bit `n` is set while level `n` holds a timer.
    levels_in_use: Cell<u16>,
    nodes: Nodes,
    levels: [Level; LEVELS],
}

struct Level {
    /// Bit `n` is set while slot `n` holds a timer.
    slots_in_use: Cell<u64>,
    /// The timers of each slot, oldest first.
    slots: [Ring<Node>; SLOTS],
}

#[derive(Clone, Copy)]
struct Position {
    level: usize,
    slot: usize,
}

impl Wheel {
    /// An empty wheel whose time is `now_ns`.
    pub(crate) fn new(now_ns: u64) -> Self {
        let elapsed = now_ns >> TICK_BITS;
        Self {
            elapsed: Cell::new(elapsed),
            earliest: Cell::new(elapsed + 1),
            sleep: Sleep::new(),
            levels_in_use: Cell::new(0),
            nodes: Nodes::new(),
            levels: std::array::from_fn(|_| Level {
                slots_in_use: Cell::new(0),
                slots: [const { Ring::new() }; SLOTS],
            }),
        }
    }

    /// Whether there are no timers.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.levels_in_use.get() == 0
    }

    /// Adds `entry`, due at `deadline_ns`. A deadline that has passed is due at the next tick. A deadline within the last tick
    /// before `u64::MAX` never comes.
    ///
    /// # Safety
    /// `entry` is in no wheel. Until it is cancelled or handed to the callback of `expire` it stays valid and where it
    /// is, and only this wheel's thread uses it.
    #[inline]
    pub(crate) unsafe fn insert(&self, entry: &Entry, deadline_ns: u64) {
        debug_assert!(!entry.is_linked(), "a timer is inserted twice");
        let tick = deadline_ns.div_ceil(TICK_NS);
        let tick = tick.max(self.earliest.get());
        let node = self.nodes.take(entry);
        entry.node.set(node.as_ptr());
        // SAFETY: the nodes' promise, and the caller's if the node is the entry's.
        unsafe {
            node.as_ref().tick.set(tick);
            node.as_ref().entry.set(entry);
            self.link(node, tick);
        }
    }

    /// Removes `entry`. Does nothing if it is in no wheel.
    ///
    /// # Safety
    /// If `entry` is in a wheel, then it is in this one.
    #[inline]
    pub(crate) unsafe fn cancel(&self, entry: &Entry) {
        if let Some(node) = NonNull::new(entry.node.get().cast_mut()) {
            // SAFETY: it is linked, by this function's contract into this wheel, which took the node for this entry.
            unsafe {
                self.unlink(node);
                self.release(node, entry);
            }
        }
    }

    /// When to call [`expire`](Self::expire) next, in nanoseconds; `None` without timers. Never later than the first
    /// timer. It may be earlier if that timer is not due soon and not alone in its slot; `expire` then brings it closer.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let (position, start) = self.first_slot()?;
        let slot = self.slot(position);
        let first = slot.first()?;
        // A single sleeper on an idle worker is the common case; it should be woken once.
        // SAFETY: `first` is in the slot.
        let is_alone = unsafe { slot.after(first) }.is_none();
        // SAFETY: a node in a slot is valid.
        let tick = if is_alone { unsafe { first.as_ref() }.tick.get() } else { start };
        Some(tick.saturating_mul(TICK_NS))
    }

    /// Whether a wheel of another thread has no deadline, at some moment. `None` if the kernel does not let the process read its own
    /// memory this way.
    pub(crate) fn peek_is_empty(this: *const Self) -> Option<bool> {
        let copy = peek::value(this)?;
        // SAFETY: as in `peek_first`. The copy is not dropped.
        Some(unsafe { copy.assume_init_ref() }.is_empty())
    }

    /// The first deadline of a wheel of another thread. If that thread uses it meanwhile, the result may be any time. `None` also
    /// if the kernel does not let the process read its own memory this way.
    pub(crate) fn peek_first(this: *const Self) -> Option<u64> {
        // The copy is numbers, and addresses that are not followed. Such a copy is not dropped.
        let wheel = peek::value(this)?;
        // SAFETY: as above.
        let wheel = unsafe { wheel.assume_init_ref() };
        let level = wheel.levels.get(wheel.levels_in_use.get().trailing_zeros() as usize)?;
        let slot = level.slots.get(level.slots_in_use.get().trailing_zeros() as usize)?;
        let start = slot.first()?.as_ptr().cast_const();
        let mut next = start;
        let mut first = None;
        for _ in 0..SLOTS {
            let copy = peek::value(next)?;
            // SAFETY: as above.
            let copy = unsafe { copy.assume_init_ref() };
            first = Some(first.map_or(copy.tick.get(), |tick: u64| tick.min(copy.tick.get())));
            next = copy.links.next();
            if ptr::eq(next, start) {
                break;
            }
        }
        first.map(|tick| tick.saturating_mul(TICK_NS))
    }

    /// Moves the wheel's time to `now_ns` and passes each timer that is due to `fire`, ordered by tick, and within a tick in the
    /// order of the inserts. The timer is in no wheel when `fire` gets it. A time before the wheel's own does nothing.
    ///
    /// `fire` may cancel, and may insert (a timer that it inserts is never due within this call). It must not call `expire`. `prepare`
    /// is called before for some of the timers, and only looks: what `fire` touches can be prefetched.
    #[inline]
    pub(crate) fn expire(
        &self,
        now_ns: u64,
        prepare: impl Fn(NonNull<Entry>),
        mut fire: impl FnMut(NonNull<Entry>),
    ) {
        let now = now_ns >> TICK_BITS;
        if now <= self.elapsed.get() {
            return;
        }
        self.earliest.set(self.earliest.get().max(now + 1));
        self.prefetch_due(now, &prepare);
        while let Some((position, start)) = self.first_slot().filter(|&(_, start)| start <= now) {
            self.elapsed.set(start);
            if position.level == 0 {
                while let Some(entry) = self.pop(position) {
                    fire(entry);
                }
            } else {
                self.cascade(position);
                self.prefetch_due(now, &prepare);
            }
        }
        self.elapsed.set(now);
    }

    /// Prefetches the first timer of each tick of level 0 that is due, if there are several: they are far apart, and each would be
    /// waited for. Then it calls `prepare` for each.
    #[inline]
    fn prefetch_due(&self, now: u64, prepare: impl Fn(NonNull<Entry>)) {
        let in_use = self.levels[0].slots_in_use.get();
        if in_use & in_use.wrapping_sub(1) == 0 {
            return;
        }
        let is_within_round = now >> SLOT_BITS == self.elapsed.get() >> SLOT_BITS;
        let last = if is_within_round { now as usize % SLOTS } else { SLOTS - 1 };
        let due = in_use & u64::MAX >> (SLOTS - 1 - last);
        // What the timer belongs to is in a frame above.
        let prefetch =
            |entry: NonNull<Entry>, line| abaca_asm::prefetch(entry.as_ptr().wrapping_byte_add(line));
        self.each_first(due, |entry| [0, 64, 128].into_iter().for_each(|line| prefetch(entry, line)));
        self.each_first(due, prepare);
    }

    /// Calls `f` for the first timer of each of these `slots` of level 0, if it has one.
    #[inline]
    fn each_first(&self, mut slots: u64, f: impl Fn(NonNull<Entry>)) {
        while slots != 0 {
            let first = self.levels[0].slots[slots.trailing_zeros() as usize].first();
            // SAFETY: a node in a slot is valid.
            let entry = first.and_then(|node| NonNull::new(unsafe { node.as_ref() }.entry.get().cast_mut()));
            entry.into_iter().for_each(&f);
            slots &= slots - 1;
        }
    }

    /// The slot that is due first, and its first tick.
    #[inline]
    fn first_slot(&self) -> Option<(Position, u64)> {
        if self.is_empty() {
            return None;
        }
        let level = self.levels_in_use.get().trailing_zeros() as usize;
        let slot = self.levels[level].slots_in_use.get().trailing_zeros() as usize;
        let shift = SLOT_BITS * level as u32;
        let above = u64::MAX << (shift + SLOT_BITS);
        Some((Position { level, slot }, self.elapsed.get() & above | (slot as u64) << shift))
    }

    /// The slot for a timer of `tick`.
    #[inline]
    fn position(&self, tick: u64) -> Position {
        // The lowest bit makes a tick that is now, which differs in no digit, one of level 0.
        let highest_difference = ((self.elapsed.get() ^ tick) | 1).ilog2();
        let level = highest_difference / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        Position { level: level as usize, slot }
    }

    #[inline]
    fn slot(&self, position: Position) -> &Ring<Node> {
        &self.levels[position.level].slots[position.slot]
    }

    /// Puts `node` last into the slot of its tick.
    ///
    /// # Safety
    /// The node is in no slot, and stays valid and where it is until it has been taken out.
    #[inline]
    unsafe fn link(&self, node: NonNull<Node>, tick: u64) {
        let position = self.position(tick);
        let slot = self.slot(position);
        if slot.is_empty() {
            let level = &self.levels[position.level];
            level.slots_in_use.set(level.slots_in_use.get() | 1 << position.slot);
            self.levels_in_use.set(self.levels_in_use.get() | 1 << position.level);
        }
        // SAFETY: the caller's promise.
        unsafe { slot.push_back(node) };
    }

    /// Takes `node` out of its slot.
    ///
    /// # Safety
    /// `node` is in this wheel.
    #[inline]
    unsafe fn unlink(&self, node: NonNull<Node>) {
        // SAFETY: a node in a slot is valid.
        let position = self.position(unsafe { node.as_ref() }.tick.get());
        let slot = self.slot(position);
        // SAFETY: a node of this wheel is in the slot of its tick.
        unsafe { slot.unlink(node) };
        if slot.is_empty() {
            self.mark_empty(position);
        }
    }

    /// Parts `entry` from its node, which has been taken out of its slot.
    ///
    /// # Safety
    /// The node was taken from `self.nodes` for this entry.
    #[inline]
    unsafe fn release(&self, node: NonNull<Node>, entry: &Entry) {
        entry.node.set(ptr::null());
        // SAFETY: the caller's promise; the entry does not know the node any more, so it is given once.
        unsafe { self.nodes.give(node, entry) };
    }

    /// Takes the first timer out of the slot at `position`.
    #[inline]
    fn pop(&self, position: Position) -> Option<NonNull<Entry>> {
        let slot = self.slot(position);
        let node = slot.pop_front()?;
        if slot.is_empty() {
            self.mark_empty(position);
        }
        // SAFETY: the node was in a slot, so it is valid, and so is its timer by the contract of `insert`, which took the node for it.
        unsafe {
            let entry = &*node.as_ref().entry.get();
            self.release(node, entry);
            Some(NonNull::from(entry))
        }
    }

    #[inline]
    fn mark_empty(&self, position: Position) {
        let level = &self.levels[position.level];
        level.slots_in_use.set(level.slots_in_use.get() & !(1 << position.slot));
        if level.slots_in_use.get() == 0 {
            self.levels_in_use.set(self.levels_in_use.get() & !(1 << position.level));
        }
    }

    /// Moves the timers of a slot, whose start `elapsed` has reached, to the levels below.
    fn cascade(&self, position: Position) {
        let rest = self.slot(position).take();
        self.mark_empty(position);
        while let Some(node) = rest.pop_front() {
            // SAFETY: the node was in a slot, so it is valid until it is given back; and it is in no slot now.
            unsafe { self.link(node, node.as_ref().tick.get()) };
        }
    }

    /// Gives the memory of many timers back, if there are none now.
    pub(crate) fn give_memory_back(&self) {
        if self.is_empty() {
            // SAFETY: without timers all nodes have been given back.
            unsafe { self.nodes.free_all() };
        }
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("elapsed_ns", &(self.elapsed.get() << TICK_BITS))
            .field("next_deadline_ns", &self.next_deadline())
            .finish()
    }
}
