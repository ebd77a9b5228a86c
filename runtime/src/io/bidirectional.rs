//! Copying both ways between two streams, as a proxy does.

use std::io::{self, ErrorKind, Read, Write};

use super::kernel_copy::{End, through_a_buffer};
use crate::cancel;
use crate::fiber::try_scope::try_scope;

/// The most that each direction reads at once.
const BUFFER_BYTES: usize = 16 << 10;

/// A stream for [`copy_bidirectional`]: reading and writing work through a shared reference (`&T: Read + Write`), and the
/// writing half can be closed alone. A wrapper that counts, limits or watches the bytes implements it itself.
pub trait Duplex: Sync {
    /// Tells the peer that nothing more will come. Reading goes on.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::NotConnected`]: the peer has gone. [`copy_bidirectional`] takes this for a success.
    /// * Any other error ends the copy.
    fn shutdown_write(&self) -> io::Result<()>;

    /// `Some` for this crate's own sockets, whose bytes can be peeked at. `None` for a wrapper.
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

/// Copies from each stream to the other until both have ended. Returns how many bytes went from `a` to `b`, and from `b` to
/// `a`. Mirrors tokio's function of this name.
///
/// When one direction ends, the writing half of the other stream is shut down, and the other direction goes on. If the other
/// side has gone already, that is no error.
///
/// The caller copies one direction, and a fiber copies the other. So it works from a fiber and from a plain thread that
/// has entered a runtime.
///
/// Between two sockets of this crate no byte is lost, whatever ends the copy: a byte is taken from one socket only when the
/// other has it. Through a wrapper, up to 16 KiB of each direction may have been read and not written.
///
/// # Errors
///
/// The first error of either direction; the other direction is then cancelled. The error does not say how much was copied.
///
/// A caller that is cancelled unwinds, and the other direction's fiber is cancelled and joined.
///
/// # Panics
///
/// * outside of a runtime;
/// * with `panic = "abort"`, where nothing can be cancelled.
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
#[track_caller]
pub fn copy_bidirectional<A, B>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    A: Duplex,
    B: Duplex,
    for<'x> &'x A: Read + Write,
    for<'x> &'x B: Read + Write,
{
    let mut refused = None;
    let copied = try_scope(|scope| {
        let there = match scope.try_spawn(|| copy_one_way(a, b)) {
            Ok(there) => there,
            Err(error) => {
                refused = Some(error);
                return Ok((0, 0));
            }
        };
        let back = copy_one_way(b, a)?;
        match there.join() {
            Ok(there) => Ok((there, back)),
            // The scope returns the fiber's own error; the value here is not used.
            Err(_) => Ok((0, back)),
        }
    });
    // Out here, so that the panic blames the caller.
    match refused {
        None => copied,
        Some(error) => error.raise(),
    }
}

/// Copies everything from `from` to `to`, and then shuts down `to`'s writing half.
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
        // It may go on for ever without a wait.
        cancel::checkpoint();
    }
    writer.flush()?;
    Ok(copied)
}
