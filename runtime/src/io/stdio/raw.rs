//! The streams without buffers and locks.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;

use crate::io::SharedFile;
use crate::os::nowait;

/// One of the three streams. Of std's handle `T` only the descriptor is used. Each call that waits watches the descriptor
/// anew, since a program may put another file in its place.
#[derive(Debug)]
pub(super) struct Raw<T>(pub(super) fn() -> T);

/// If the program was started without the stream, a read finds the end and a write succeeds, as with std.
fn unless_closed(result: io::Result<usize>, closed: usize) -> io::Result<usize> {
    match result {
        Err(error) if nowait::is_closed(&error) => Ok(closed),
        result => result,
    }
}

impl<T: AsFd> Read for Raw<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        unless_closed(SharedFile::new((self.0)()).read(buffer), 0)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        unless_closed(SharedFile::new((self.0)()).read_vectored(buffers), 0)
    }
}

impl<T: AsFd> Write for Raw<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(SharedFile::new((self.0)()).write(bytes), bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        unless_closed(SharedFile::new((self.0)()).write_vectored(slices), len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
