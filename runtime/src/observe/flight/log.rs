//! A copied log of turns, and the names of fibers in it.
//!
//! A fiber stays on its worker, so its address and the worker are its name, and no two logs need an order in time. A roaming
//! fiber's name is its address alone.

/// What was copied of a worker's log.
pub(super) struct Log {
    /// The worker's index.
    pub(super) worker: usize,
    pub(super) records: Vec<[u64; 2]>,
    /// The number of records before those.
    pub(super) before: u64,
    /// The turns that the monitor has seen standing, by the numbers of records before.
    pub(super) standstills: Vec<(u64, [u64; 2])>,
    /// When the runtime was built, if no record is missing.
    pub(super) since: Option<u64>,
    /// When the records were copied.
    pub(super) copied: u64,
    /// Since when the worker slept then, if it did.
    pub(super) asleep: Option<u64>,
    /// The address of the fiber that ran then; 0 if none did.
    pub(super) current: u64,
    /// Whether fibers have storage of their own, and so each a sum of what it has moved.
    pub(super) has_own_sums: bool,
}

/// Above these bits, the name of a fiber that stays on its worker tells the worker.
const WORKER: u32 = 48;

/// The name of a fiber that stays on this worker.
pub(super) fn name_of_fiber(worker: usize, address: u64) -> u64 {
    address ^ (worker as u64 + 1) << WORKER
}

/// Whether this is the name of a fiber that stays on its worker.
pub(super) fn is_name(name: u64) -> bool {
    name >> WORKER != 0
}

/// The address of the fiber with this name.
pub(super) fn address_of_name(name: u64) -> u64 {
    name & ((1 << WORKER) - 1)
}
