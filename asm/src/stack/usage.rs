//! What a pool's stacks are used for.

use super::StackPool;

/// How many stacks of a pool there are, by what they are used for; see [`StackPool::usage`].
///
/// ```
/// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
/// let (first, second) = (pool.take()?, pool.take()?);
/// pool.give(first);
/// let usage = pool.usage();
/// assert_eq!((usage.taken, usage.free, usage.bare), (1, 1, 0));
/// assert!(usage.mapped >= 2);
/// # pool.give(second);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The stacks for which there is address space.
    pub mapped: usize,
    /// The stacks that are handed out, including those that were dropped instead of given back.
    pub taken: usize,
    /// The stacks that were given back and still have memory.
    pub free: usize,
    /// The stacks that were given back and have no memory any more.
    pub bare: usize,
}

impl StackPool {
    /// What the pool's stacks are used for at this moment. Those that are mapped and neither taken, free nor bare were never used.
    pub fn usage(&self) -> Usage {
        let state = self.shared.state.lock();
        Usage {
            mapped: state.total,
            taken: state.taken,
            free: state.free.len() + state.surplus.len(),
            bare: state.bare.len(),
        }
    }
}
