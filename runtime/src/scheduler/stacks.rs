//! Where a runtime's stacks come from: a pool of the default size, and one for each other size asked for.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use abaca_asm::stack::{Stack, StackPool};

/// How many stacks a worker takes from the pool at a time.
const REFILL: usize = 32;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct StackSupply {
    default: StackPool,
    sized: Mutex<HashMap<u32, Arc<StackPool>>>,
}

impl StackSupply {
    pub(crate) fn new(default: StackPool) -> Self {
        Self { default, sized: Mutex::new(HashMap::new()) }
    }

    /// Puts at least one stack of the default size into a worker's empty cache.
    pub(super) fn refill(&self, cache: &mut Vec<Stack>) -> io::Result<()> {
        Ok(self.default.take_many(REFILL, cache)?)
    }

    pub(super) fn give(&self, stacks: impl Iterator<Item = Stack>) {
        self.default.give_many(stacks);
    }

    /// A stack with at least `bytes` usable bytes.
    pub(super) fn take_sized(&self, bytes: u32) -> io::Result<Stack> {
        Ok(self.pool_of(bytes).take()?)
    }

    /// Gives back a stack taken with the same `bytes`.
    pub(super) fn give_sized(&self, bytes: u32, stack: Stack) {
        self.pool_of(bytes).give(stack);
    }

    fn pool_of(&self, bytes: u32) -> Arc<StackPool> {
        let mut sized = self.sized.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sized.entry(bytes).or_insert_with(|| Arc::new(StackPool::new(bytes as usize))))
    }
}
