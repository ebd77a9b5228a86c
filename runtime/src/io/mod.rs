//! Layer 8: waiting for descriptors. [`Pollable`] makes anything that epoll can watch block only its fiber.
//!
//! The traits and adapters of [`std::io`] work with everything in this crate and are re-exported.

mod bidirectional;
mod descriptor;
mod pipe;
mod pollable;
pub(crate) mod shared_file;
mod stdio;

pub use std::io::{
    BufRead, BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, ErrorKind, IntoInnerError, IoSlice,
    IoSliceMut, IsTerminal, LineWriter, Lines, Read, Repeat, Result, Seek, SeekFrom, Sink, Split, Take,
    Write, copy, empty, read_to_string, repeat, sink,
};

pub use bidirectional::{Duplex, copy_bidirectional};
pub(crate) use descriptor::{Descriptor, Kind};
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use pollable::Pollable;
pub(crate) use shared_file::SharedFile;
pub use stdio::{
    Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, eprint, print, stderr, stdin, stdout,
};
