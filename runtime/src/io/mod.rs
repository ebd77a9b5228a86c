//! Waiting for descriptors. [`Pollable`] makes anything that epoll can watch block only its fiber.
//!
//! [`copy_bidirectional`] is what a proxy does, and [`copy_fd`] copies inside of the kernel.
//!
//! The traits and adapters of [`std::io`] work with everything in this crate and are re-exported.

mod awaiting;
mod bidirectional;
mod closing;
mod descriptor;
mod idle;
mod kernel_copy;
mod line;
mod mode;
mod notifiers;
mod pipe;
mod pollable;
mod preview;
mod priority;
mod settings;
pub(crate) mod shared_file;
mod shut;
mod stdio;
#[cfg(feature = "hyper")]
mod task;

mod waited;

pub use std::io::{
    BufRead, BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, ErrorKind, IntoInnerError, IoSlice,
    IoSliceMut, IsTerminal, LineWriter, Lines, Read, Repeat, Result, Seek, SeekFrom, Sink, Split, Take,
    Write, WriterPanicked, copy, empty, read_to_string, repeat, sink,
};

pub use bidirectional::{Duplex, copy_bidirectional};
pub(crate) use descriptor::{Descriptor, Kind};
pub(crate) use idle::Idle;
pub use kernel_copy::{CopyEnd, copy_fd};
pub(crate) use kernel_copy::{End, sealed::Sealed};
pub(crate) use mode::with_all_given_back;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use pollable::Pollable;
pub(crate) use shared_file::SharedFile;
pub use stdio::{
    Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, eprint, print, stderr, stdin, stdout,
};
#[cfg(feature = "hyper")]
pub(crate) use task::Registration;

/// The traits of [`std::io::prelude`], for code whose `use` lines have changed.
pub mod prelude {
    pub use std::io::prelude::{BufRead, Read, Seek, Write};
}
