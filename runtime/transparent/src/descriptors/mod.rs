//! Descriptors: an attempt that does not wait, and then the fiber waits for an event.

mod accept;
mod aliases;
mod broken;
mod connect;
pub(crate) mod control;
mod copy;
mod disk;
mod epoll;
pub(crate) mod fifo;
mod files;
pub(crate) mod kind;
mod messages;
mod mode;
pub(crate) mod numbers;
mod offset;
mod options;
pub(crate) mod pause;
pub(crate) mod poll;
pub(crate) mod read;
mod receive;
mod rights;
pub(crate) mod second;
mod select;
mod send;
mod shut;
pub(crate) mod terminals;
mod told;
mod vectors;
pub(crate) mod wishes;
pub(crate) mod write;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[
    numbers::HOOKS,
    aliases::HOOKS,
    accept::HOOKS,
    connect::HOOKS,
    control::HOOKS,
    copy::HOOKS,
    disk::HOOKS,
    epoll::HOOKS,
    files::HOOKS,
    messages::HOOKS,
    offset::HOOKS,
    options::HOOKS,
    poll::HOOKS,
    read::HOOKS,
    receive::HOOKS,
    select::HOOKS,
    send::HOOKS,
    shut::HOOKS,
    terminals::HOOKS,
    write::HOOKS,
];
