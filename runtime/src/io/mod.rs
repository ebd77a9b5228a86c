//! Layer 8: waiting for descriptors. [`Pollable`] makes anything that epoll can watch block only its fiber.
//!
//! [`copy_bidirectional`] is what a proxy does, and [`copy_fd`] copies inside of the kernel.
//!
//! The traits and adapters of [`std::io`] work with everything in this crate and are re-exported.

mod bidirectional;
mod descriptor;
mod kernel_copy;
mod pollable;
#[cfg(feature = "hyper")]
mod task;

pub use std::io::{
    BufRead, BufReader, BufWriter, Cursor, Empty, Error, ErrorKind, IoSlice, IoSliceMut, LineWriter, Read,
    Repeat, Result, Seek, SeekFrom, Sink, Write, copy, empty, repeat, sink,
};

pub use bidirectional::{Duplex, copy_bidirectional};
pub(crate) use descriptor::{Descriptor, Kind};
pub use kernel_copy::{CopyEnd, copy_fd};
pub(crate) use kernel_copy::{End, sealed::Sealed};
pub use pollable::Pollable;
#[cfg(feature = "hyper")]
pub(crate) use task::Arm;
