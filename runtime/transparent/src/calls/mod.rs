//! Calls of libc that can block within, where no hook sees it: they run on another thread, or the fiber waits before.

mod addresses;
mod aliases;
mod children;
mod elsewhere;
mod entries;
pub(crate) mod kick;
mod lists;
mod loading;
mod names;
mod queues;
mod shell;
mod stdio;
mod stream;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    aliases::HOOKS,
    addresses::HOOKS,
    children::HOOKS,
    lists::HOOKS,
    loading::HOOKS,
    names::HOOKS,
    queues::HOOKS,
    shell::HOOKS,
    stdio::HOOKS,
];
