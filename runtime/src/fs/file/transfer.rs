//! Reads, writes and seeks: the calls that move bytes and the position.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use super::File;
use crate::io::SharedFile;

/// Reads and writes in as many operations as it takes, each of which may wait.
struct PieceByPiece<'a, T: AsFd>(&'a SharedFile<T>);

impl<T: AsFd> Read for PieceByPiece<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<T: AsFd> Write for PieceByPiece<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.special() {
            Some(special) => special.read(buffer),
            None => self.call(|mut file| file.read(buffer)),
        }
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.special() {
            Some(special) => special.read_vectored(buffers),
            None => self.call(|mut file| file.read_vectored(buffers)),
        }
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        match self.special() {
            Some(special) => PieceByPiece(special).read_to_end(bytes),
            None => self.call(|mut file| file.read_to_end(bytes)),
        }
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        match self.special() {
            Some(special) => PieceByPiece(special).read_to_string(text),
            None => self.call(|mut file| file.read_to_string(text)),
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.special() {
            Some(special) => PieceByPiece(special).read_exact(buffer),
            None => self.call(|mut file| file.read_exact(buffer)),
        }
    }
}

impl Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.special() {
            Some(special) => special.write(bytes),
            None => self.call(|mut file| file.write(bytes)),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.special() {
            Some(special) => special.write_vectored(slices),
            None => self.call(|mut file| file.write_vectored(slices)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.special() {
            Some(special) => PieceByPiece(special).write_all(bytes),
            None => self.call(|mut file| file.write_all(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // There is no buffer.
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Not in place: in the kernel it waits for a read of the same open file that is under way.
        self.call(|mut file| file.seek(to))
    }
}

/// Delegates a method of a trait for `File` to the one for `&File`.
macro_rules! through_a_reference {
    ($($name:ident($($argument:ident: $t:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, $($argument: $t),*) -> io::Result<$result> {
            (&*self).$name($($argument),*)
        })*
    };
}

impl Read for File {
    through_a_reference! {
        read(buffer: &mut [u8]) -> usize;
        read_vectored(buffers: &mut [IoSliceMut<'_>]) -> usize;
        read_to_end(bytes: &mut Vec<u8>) -> usize;
        read_to_string(text: &mut String) -> usize;
        read_exact(buffer: &mut [u8]) -> ();
    }
}

impl Write for File {
    through_a_reference! {
        write(bytes: &[u8]) -> usize;
        write_vectored(slices: &[IoSlice<'_>]) -> usize;
        write_all(bytes: &[u8]) -> ();
        flush() -> ();
    }
}

impl Seek for File {
    through_a_reference! {
        seek(to: SeekFrom) -> u64;
    }
}

impl FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.read_at(buffer, offset))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.call(|file| file.read_exact_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.write_at(bytes, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.call(|file| file.write_all_at(bytes, offset))
    }
}
