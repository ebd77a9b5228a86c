//! The supply of a runtime's stacks: a pool of the default size, and one for each class of other sizes.
//!
//! The pools keep the stacks that they get back. Workers that rest [`sweep`](StackSupply::sweep) the pools, one worker at a
//! time.

use std::collections::BTreeMap;
use std::io;
#[cfg(feature = "own-tls")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abaca_asm::coroutine;
use abaca_asm::stack::{Stack, StackPool, Surplus, Usage};

use crate::cell::Header;
#[cfg(feature = "own-tls")]
use crate::os::{headroom, heap, storage};

/// How many stacks a worker takes from the pool at a time.
const REFILL: usize = 32;

/// How many blocks are made at a time: each takes some 0.7 us, and 20 if a thread makes it.
#[cfg(feature = "own-tls")]
const BLOCKS_AT_ONCE: usize = 4;

/// After how many new blocks the heap grows, for what their fibers will allocate: a thread of std's that serves a connection takes 1.6 KiB.
#[cfg(feature = "own-tls")]
const BLOCKS_A_GROWTH: usize = 32;

/// The smallest size, and class of sizes, unless storage of fibers' own needs a larger one. What std gives a thread at least, in which a
/// build without optimisation has room for its calls.
const LEAST_CLASS: usize = 16 * 1024;

/// How long memory lies unused before it counts as not needed.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct StackSupply {
    default: StackPool,
    /// The pools of other sizes, by class of size.
    sized: Mutex<BTreeMap<usize, Arc<StackPool>>>,
    sweep: Mutex<Sweep>,
    /// How many bytes of each stack a block of thread-local storage takes; 0 if fibers have none of their own.
    block_bytes: usize,
    /// How many blocks were made for stacks of the default size.
    #[cfg(feature = "own-tls")]
    blocks: AtomicUsize,
    #[cfg(feature = "own-tls")]
    promised: Promised,
    /// The smallest class of sizes.
    least_class: usize,
}

/// Stacks that were taken for fibers that have not started: the operating system may refuse others. Which of the fibers takes which does not
/// matter, as there is one for each.
#[cfg(feature = "own-tls")]
#[derive(Debug, Default)]
struct Promised {
    stacks: Mutex<Vec<(u32, Stack)>>,
    count: AtomicUsize,
}

#[cfg(feature = "own-tls")]
impl Promised {
    fn stacks(&self) -> MutexGuard<'_, Vec<(u32, Stack)>> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn take(&self, bytes: u32) -> Option<Stack> {
        let mut stacks = self.stacks();
        let index = stacks.iter().position(|(other, _)| *other == bytes)?;
        let (_, stack) = stacks.swap_remove(index);
        self.count.store(stacks.len(), Ordering::Relaxed);
        Some(stack)
    }
}

/// More than a pool and its place in the map take.
#[cfg(feature = "own-tls")]
const POOL_BYTES: usize = 4096;

#[derive(Debug, Default)]
struct Sweep {
    /// When the period ends, on the clock of the runtime.
    period_ends_ns: u64,
    is_under_way: bool,
}

/// The size of stacks for at least `bytes`: the next power of two, or one of three steps before it. Programs that use many
/// sizes then share few pools, and no stack is more than a quarter too large.
fn class_of(bytes: usize) -> usize {
    let bytes = bytes.max(LEAST_CLASS);
    let step = (1 << (bytes - 1).ilog2()) / 4;
    bytes.next_multiple_of(step)
}

/// Where the first frame on `stack` begins.
#[inline(always)]
pub(super) fn first_frame(stack: &Stack) -> *mut u8 {
    #[cfg(feature = "own-tls")]
    if let Some(block) = storage::block_of(stack) {
        return block.frames_end();
    }
    stack.top()
}

/// Gives the starting fiber the storage that lies with its stack, if there is some.
#[inline(always)]
pub(super) fn give_storage(fiber: &Header, stack: &Stack) {
    #[cfg(feature = "own-tls")]
    fiber.set_thread_pointer(storage::block_of(stack).map_or(std::ptr::null_mut(), storage::pointer_of));
    let _ = (fiber, stack);
}

impl StackSupply {
    /// A supply of stacks with at least `stack_bytes` by default.
    pub(crate) fn new(stack_bytes: usize) -> Self {
        Self::with_pool(StackPool::new(stack_bytes.max(LEAST_CLASS)), 0)
    }

    /// As [`new`](Self::new), with a block of thread-local storage above each stack, which takes so many bytes.
    #[cfg(feature = "own-tls")]
    pub(crate) fn with_blocks(stack_bytes: usize, needs: storage::Needs) -> Self {
        let block_bytes = needs.block_bytes;
        // Stacks end some hundred bytes before their memory does.
        let least = needs.least_stack_bytes + 4096;
        let default = storage::pool((stack_bytes.max(LEAST_CLASS) + block_bytes).max(least), block_bytes);
        Self { least_class: class_of(least), ..Self::with_pool(default, block_bytes) }
    }

    fn with_pool(default: StackPool, block_bytes: usize) -> Self {
        let (sized, sweep) = (Mutex::default(), Mutex::default());
        Self {
            default,
            sized,
            sweep,
            block_bytes,
            #[cfg(feature = "own-tls")]
            blocks: AtomicUsize::new(0),
            #[cfg(feature = "own-tls")]
            promised: Promised::default(),
            least_class: LEAST_CLASS,
        }
    }

    /// The usable bytes of a stack of the default size.
    #[cfg(feature = "own-tls")]
    pub(crate) fn default_bytes(&self) -> usize {
        self.default.stack_bytes() - self.block_bytes
    }

    /// Whether each stack has a block of thread-local storage.
    pub(crate) fn has_blocks(&self) -> bool {
        self.block_bytes != 0
    }

    /// What the stacks are used for, by their usable bytes; those of the default size first.
    pub(crate) fn usage(&self) -> Vec<(usize, Usage)> {
        let sized: Vec<_> = self.sized().values().cloned().collect();
        let pools = std::iter::once(&self.default).chain(sized.iter().map(Arc::as_ref));
        pools.map(|pool| (pool.stack_bytes() - self.block_bytes, pool.usage())).collect()
    }

    /// A stack of the default size.
    pub(super) fn take(&self) -> io::Result<Stack> {
        self.furnished(&self.default)
    }

    /// A stack of `pool`, with its block if it is to have one.
    fn furnished(&self, pool: &StackPool) -> io::Result<Stack> {
        let stack = pool.take()?;
        #[cfg(feature = "own-tls")]
        if let Err(error) = storage::furnish(&stack, self.block_bytes) {
            pool.give(stack);
            return Err(error);
        }
        Ok(stack)
    }

    /// Puts at least one stack of the default size into a worker's empty cache.
    pub(super) fn refill(&self, cache: &mut Vec<Stack>) -> io::Result<()> {
        #[cfg(feature = "own-tls")]
        if self.block_bytes != 0 {
            self.default.take_many(BLOCKS_AT_ONCE, cache)?;
            if cache.iter().any(|stack| storage::block_of(stack).is_none()) {
                // Others would be given back at once.
                return self.furnish_some(cache);
            }
            // Without more there are these.
            let _ = self.default.take_many(REFILL - BLOCKS_AT_ONCE, cache);
            return self.furnish_some(cache);
        }
        Ok(self.default.take_many(REFILL, cache)?)
    }

    /// Makes the blocks of some of the stacks in `cache`, and gives those back that have none then.
    #[cfg(feature = "own-tls")]
    fn furnish_some(&self, cache: &mut Vec<Stack>) -> io::Result<()> {
        let mut result = Ok(());
        let mut made = 0;
        let without = cache.extract_if(.., |stack| {
            if storage::block_of(stack).is_some() {
                return false;
            }
            if made < BLOCKS_AT_ONCE && result.is_ok() {
                made += 1;
                result = storage::furnish(stack, self.block_bytes);
            }
            storage::block_of(stack).is_none()
        });
        let without: Vec<_> = without.collect();
        if !without.is_empty() {
            self.default.give_many(without.into_iter());
        }
        // Relaxed: a count.
        let before = self.blocks.fetch_add(made, Ordering::Relaxed);
        if before / BLOCKS_A_GROWTH != (before + made) / BLOCKS_A_GROWTH {
            heap::grow();
        }
        if cache.is_empty() { result } else { Ok(()) }
    }

    /// Takes a stack for a fiber that will start later, and wants so many bytes, where 0 is the default size: so that it can. Whether there is one.
    #[cfg(feature = "own-tls")]
    pub(crate) fn promise(&self, bytes: u32) -> bool {
        // A size that nobody has asked for before brings a pool with it.
        if bytes != 0 && !headroom::has(POOL_BYTES) {
            return false;
        }
        let Ok(stack) = (if bytes == 0 { self.take() } else { self.take_sized(bytes) }) else { return false };
        let mut stacks = self.promised.stacks();
        if stacks.try_reserve(1).is_err() {
            drop(stacks);
            if bytes == 0 {
                self.default.give(stack);
            } else {
                self.give_sized(bytes, stack);
            }
            return false;
        }
        stacks.push((bytes, stack));
        // Relaxed: the queue by which the fiber comes orders it.
        self.promised.count.store(stacks.len(), Ordering::Relaxed);
        true
    }

    /// Whether there are addresses for one more stack of so many bytes, where 0 is the default size, without any new mapping.
    #[cfg(feature = "own-tls")]
    pub(crate) fn has_spare(&self, bytes: u32) -> bool {
        let usage = if bytes == 0 { self.default.usage() } else { self.pool_of(bytes).usage() };
        usage.mapped > usage.taken
    }

    /// A stack that was promised to a fiber that wants so many bytes, if there is one.
    #[inline(always)]
    pub(super) fn take_promised(&self, bytes: u32) -> Option<Stack> {
        #[cfg(feature = "own-tls")]
        if self.promised.count.load(Ordering::Relaxed) != 0 {
            return self.promised.take(bytes);
        }
        let _ = bytes;
        None
    }

    pub(super) fn give(&self, stacks: impl Iterator<Item = Stack>) {
        self.default.give_many(stacks);
    }

    /// A stack with at least `bytes` usable bytes.
    pub(super) fn take_sized(&self, bytes: u32) -> io::Result<Stack> {
        self.furnished(&self.pool_of(bytes))
    }

    /// Gives back a stack taken with the same `bytes`.
    pub(super) fn give_sized(&self, bytes: u32, stack: Stack) {
        self.pool_of(bytes).give(stack);
    }

    fn pool_of(&self, bytes: u32) -> Arc<StackPool> {
        let class = class_of(bytes as usize + self.block_bytes).max(self.least_class);
        Arc::clone(self.sized().entry(class).or_insert_with(|| Arc::new(self.new_pool(class))))
    }

    fn new_pool(&self, class: usize) -> StackPool {
        #[cfg(feature = "own-tls")]
        if self.block_bytes != 0 {
            return storage::pool(class, self.block_bytes);
        }
        StackPool::new(class)
    }

    fn sized(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<StackPool>>> {
        self.sized.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives some of the memory that was unused for a period back to the kernel: as much as takes a tenth of a millisecond.
    /// Returns whether there is more.
    ///
    /// This includes the stacks of coroutines: their pool belongs to the process, and nothing else sweeps it.
    pub(super) fn sweep(&self, now_ns: u64) -> Surplus {
        // Another worker is sweeping, and the caller should not wait for it.
        let Ok(mut sweep) = self.sweep.try_lock() else { return Surplus::Later };
        let sized: Vec<_> = self.sized().values().cloned().collect();
        let pools = || {
            let own = [&self.default, coroutine::default_pool()];
            own.into_iter().chain(sized.iter().map(Arc::as_ref))
        };
        if now_ns >= sweep.period_ends_ns {
            pools().for_each(StackPool::end_period);
            *sweep =
                Sweep { period_ends_ns: now_ns.saturating_add(PERIOD.as_nanos() as u64), is_under_way: true };
        }
        if !sweep.is_under_way {
            return Surplus::Later;
        }
        let mut rest = Surplus::None;
        for pool in pools() {
            rest = rest.max(pool.release_surplus());
            if rest == Surplus::Now {
                return rest;
            }
        }
        sweep.is_under_way = false;
        drop(sized);
        // No thread can be about to take from such a pool: it would hold a second `Arc`, made under the lock.
        let is_unused = |_: &usize, pool: &mut Arc<StackPool>| {
            Arc::strong_count(pool) == 1 && pool.allocated() == 0 && pool.release_surplus() == Surplus::None
        };
        let unused: Vec<_> = self.sized().extract_if(.., is_unused).collect();
        drop(unused);
        rest
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn classes_are_large_enough_and_waste_at_most_a_quarter() {
        let mut classes = Vec::new();
        let mut bytes = 1;
        while bytes < u32::MAX as usize {
            let class = class_of(bytes);
            assert!(class >= bytes && class.is_multiple_of(4096), "{bytes}: {class}");
            assert!(bytes < LEAST_CLASS || class <= bytes + bytes / 4, "{bytes}: {class}");
            assert_eq!(class_of(class), class);
            if classes.last() != Some(&class) {
                classes.push(class);
            }
            bytes += bytes / 97 + 1;
        }
        assert!(classes.len() < 80, "{}", classes.len());
        assert_eq!((class_of(64 * 1024), class_of(1 << 31)), (64 * 1024, 1 << 31));
        assert_eq!(class_of(u32::MAX as usize), 1 << 32);
    }

    #[test]
    fn an_unused_pool_is_freed_and_made_again_on_demand() {
        let supply = StackSupply::new(64 * 1024);
        let period = PERIOD.as_nanos() as u64;
        for round in 0..3 {
            let stacks = [300_000, 310_000, 1_000_000].map(|bytes| supply.take_sized(bytes).unwrap());
            assert_eq!(supply.sized().len(), 2, "two of them share a class");
            let mut now = round * 100 * period;
            let [a, b, c] = stacks;
            supply.give_sized(300_000, a);
            supply.give_sized(310_000, b);
            for _ in 0..2 {
                now += period;
                while supply.sweep(now) == Surplus::Now {}
            }
            assert_eq!(supply.sized().len(), 1, "one is in use");
            supply.give_sized(1_000_000, c);
            assert_eq!(supply.sweep(now), Surplus::Later, "the period has not ended");
            for _ in 0..2 {
                now += period;
                while supply.sweep(now) == Surplus::Now {}
            }
            assert_eq!(supply.sized().len(), 0);
        }
    }
}
