//! Calls of libc that can block within, where no hook sees it: they run on another thread, or the fiber waits before.

mod addresses;
mod aliases;
mod asynchronous;
pub(crate) mod attempts;
mod children;
mod elsewhere;
mod entries;
mod entry;
mod file;
mod flushes;
mod formats;
pub(crate) mod kick;
mod lists;
mod loading;
mod names;
mod programs;
mod puts;
mod queues;
mod resolver;
mod scans;
mod services;
mod shell;
mod sink;
mod stdio;
mod stream;
mod told;
mod variadic;
mod walks;
mod wide;
mod wide_reads;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    aliases::HOOKS,
    addresses::HOOKS,
    asynchronous::HOOKS,
    children::HOOKS,
    flushes::HOOKS,
    formats::HOOKS,
    lists::HOOKS,
    loading::HOOKS,
    names::HOOKS,
    programs::HOOKS,
    puts::HOOKS,
    queues::HOOKS,
    scans::HOOKS,
    services::HOOKS,
    shell::HOOKS,
    stdio::HOOKS,
    told::HOOKS,
    variadic::HOOKS,
    walks::HOOKS,
    wide::HOOKS,
    wide_reads::HOOKS,
];
