//! Threads, locks and sleeps.

mod acquire;
mod aliases;
mod alternate;
mod asked;
mod asks;
mod attending;
mod attributes;
mod barrier;
mod begin;
mod borrowed;
mod by_number;
mod c11;
mod cancel;
mod condition;
mod create;
mod defaults;
mod details;
pub(crate) mod faults;
mod flags;
mod frames;
mod futex;
pub(crate) mod given;
pub(crate) mod handlers;
mod identity;
mod join;
#[cfg(target_arch = "x86_64")]
mod jumps;
pub(crate) mod listening;
pub(crate) mod masks;
mod mutex;
mod number;
mod observed;
mod old_signals;
mod once;
mod pending;
mod preference;
mod priorities;
mod queued;
mod record;
pub(crate) mod relay;
mod runtime;
mod rwlock;
mod search;
mod semaphore;
mod sends;
mod shared_wait;
mod signal_fd;
mod signals;
mod sleep;
mod spin;
pub(crate) mod thread_waits;
mod timers;
pub(crate) mod uncontended;
pub(crate) mod until;
mod waiting;

pub(crate) use acquire::{beside, wake_fairly};
pub(crate) use asks::owned_by_caller;
pub(crate) use borrowed::own_notes;
pub(crate) use cancel::{
    CancellationPoint, ends_with_hook, in_clean_up, test as test_cancellation, wait_at_point,
};
pub use create::{as_kernel_threads, threads_are_fibers};

use crate::table::Hook;

pub(crate) use attending::attend;
pub(crate) use identity::{await_others, became_thread};

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    aliases::HOOKS,
    alternate::HOOKS,
    asks::HOOKS,
    attributes::HOOKS,
    barrier::HOOKS,
    by_number::HOOKS,
    c11::HOOKS,
    cancel::HOOKS,
    cancel::TESTS,
    condition::HOOKS,
    create::HOOKS,
    futex::HOOKS,
    handlers::HOOKS,
    identity::EXITS,
    identity::HOOKS,
    join::HOOKS,
    #[cfg(target_arch = "x86_64")]
    jumps::HOOKS,
    masks::HOOKS,
    sends::HOOKS,
    mutex::HOOKS,
    number::HOOKS,
    old_signals::HOOKS,
    once::HOOKS,
    priorities::HOOKS,
    rwlock::HOOKS,
    semaphore::HOOKS,
    signal_fd::HOOKS,
    signals::HOOKS,
    sleep::HOOKS,
    spin::HOOKS,
    timers::HOOKS,
];
