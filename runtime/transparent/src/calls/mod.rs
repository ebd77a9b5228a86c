//! Calls of libc that can block within, where no hook sees it: they run on another thread, or the fiber waits before.

mod addresses;
mod aliases;
mod children;
mod elsewhere;
mod entries;
mod file;
mod formats;
pub(crate) mod kick;
mod lists;
mod loading;
mod names;
mod puts;
mod queues;
mod scans;
mod shell;
mod sink;
mod stdio;
mod stream;
mod variadic;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    aliases::HOOKS,
    addresses::HOOKS,
    children::HOOKS,
    formats::HOOKS,
    lists::HOOKS,
    loading::HOOKS,
    names::HOOKS,
    puts::HOOKS,
    queues::HOOKS,
    scans::HOOKS,
    shell::HOOKS,
    stdio::HOOKS,
    variadic::HOOKS,
];
