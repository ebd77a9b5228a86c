//! Threads, locks and sleeps.

mod acquire;
mod barrier;
mod c11;
mod condition;
mod futex;
mod mutex;
mod observed;
mod once;
mod rwlock;
mod semaphore;
mod sleep;
mod spin;
mod until;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    barrier::HOOKS,
    c11::HOOKS,
    condition::HOOKS,
    futex::HOOKS,
    mutex::HOOKS,
    once::HOOKS,
    rwlock::HOOKS,
    semaphore::HOOKS,
    sleep::HOOKS,
    spin::HOOKS,
];
