//! Copying both ways between two streams, as a proxy does.

use std::io::{self, ErrorKind, Read, Write};

use super::kernel_copy::{End, through_a_buffer};
use crate::fiber::try_scope::try_scope;

/// How much each direction takes at once.
const BUFFER_BYTES: usize = 16 << 10;

/// A stream for [`copy_bidirectional`]: both its halves work through a shared reference (`&T: Read + Write`), and its
/// writing half can be closed alone. Wrappers that count, limit or watch what passes implement it themselves.
pub trait Duplex: Sync {
    /// Tells the other side that nothing more will come; reading goes on.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says.
    fn shutdown_write(&self) -> io::Result<()>;

    /// A socket of this crate itself, and no wrapper, whose bytes can be looked at before they are taken.
    #[doc(hidden)]
    fn as_end(&self) -> Option<End<'_>> {
        None
    }
}

impl<T: Duplex + ?Sized> Duplex for &T {
    fn shutdown_write(&self) -> io::Result<()> {
        (**self).shutdown_write()
    }

    fn as_end(&self) -> Option<End<'_>> {
        (**self).as_end()
    }
}

/// Copies from each stream to the other until both have come to their ends; returns how many bytes went from `a` to `b`,
/// and from `b` to `a`. Mirrors tokio's function of this name.
///
/// The end of one direction is passed on by shutting down the other stream's writing half, while the other direction
/// goes on. A direction whose end cannot be passed on, because the other side has gone, has ended all the same.
///
/// The caller copies one direction, a fiber the other; so it works from a fiber and from a plain thread in a runtime.
///
/// Between two sockets of this crate nothing is lost, whatever ends the copies: a byte is taken from one when the other has
/// it. Through wrappers, up to 16 KiB of each direction may have been read and not written.
///
/// # Errors
///
/// The first error of either direction; the other direction is then cancelled. What had been copied is not told.
///
/// # Panics
///
/// Outside of a runtime; and with `panic = "abort"`, since there is no cancellation then.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
/// use abaca::io::copy_bidirectional;
/// use abaca::net::UnixStream;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (mut client, front) = UnixStream::pair()?;
/// let (back, mut server) = UnixStream::pair()?;
/// let proxy = abaca::spawn(move || copy_bidirectional(&front, &back));
/// client.write_all(b"question")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// server.write_all(b"answer")?;
/// drop(server);
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "questionanswer");
/// assert_eq!(proxy.join().unwrap()?, (8, 6));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn copy_bidirectional<A, B>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    A: Duplex,
    B: Duplex,
    for<'x> &'x A: Read + Write,
    for<'x> &'x B: Read + Write,
{
    try_scope(|scope| {
        let there = scope.spawn(|| copy_one_way(a, b));
        let back = copy_one_way(b, a)?;
        match there.join() {
            Ok(there) => Ok((there, back)),
            // Its error is the scope's; this one is not seen.
            Err(_) => Ok((0, back)),
        }
    })
}

/// Copies everything from one to the other, and passes the end on.
fn copy_one_way<A, B>(from: &A, to: &B) -> io::Result<u64>
where
    A: Duplex,
    B: Duplex,
    for<'x> &'x A: Read,
    for<'x> &'x B: Write,
{
    let copied = match (from.as_end(), to.as_end()) {
        (Some(reader), Some(writer)) => through_a_buffer(reader, writer, BUFFER_BYTES)?,
        _ => read_and_write(from, to)?,
    };
    match to.shutdown_write() {
        Err(error) if error.kind() != ErrorKind::NotConnected => Err(error),
        _ => Ok(copied),
    }
}

fn read_and_write(mut reader: impl Read, mut writer: impl Write) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied = 0;
    loop {
        let length = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        writer.write_all(&buffer[..length])?;
        copied += length as u64;
    }
    writer.flush()?;
    Ok(copied)
}
