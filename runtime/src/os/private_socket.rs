//! A Unix socket for one user: its file has the mode 0600, and each peer is asked for its user.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, send,
    shutdown, socket_with, sockopt,
};
use rustix::process::geteuid;

/// For how long a lock is waited for that programs have while they begin to listen.
const LOCKED: Duration = Duration::from_secs(1);

/// See the module's documentation. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct PrivateSocket {
    listener: UnixListener,
    /// Where its file is, whatever the working directory is by then.
    path: PathBuf,
    /// The device and the number of the socket's file: another one under its name is not removed.
    file: Option<(u64, u64)>,
}

impl PrivateSocket {
    /// Listens at `path`, in place of a socket of the same user there at which nobody listens any more.
    ///
    /// # Errors
    ///
    /// * `AddrInUse`: there is another file of this name.
    /// * `InvalidInput`: the path is empty, too long for a socket, or has a NUL.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        // The kernel would choose a name, in a space without files and their modes.
        if path.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
        }
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Before the file is there: its mode is that of the socket, as far as the umask lets it be.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        // Until somebody listens: before, the socket looks abandoned to another program that does the same.
        let lock = lock_directory_of(path);
        match bind(&socket, &address) {
            Err(Errno::ADDRINUSE) if lock.is_some() && remove_if_abandoned(path, &address) => {
                bind(&socket, &address)?;
            }
            result => result?,
        }
        listen(&socket, 8)?;
        drop(lock);
        let file = std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Ok(Self { listener: socket.into(), path, file })
    }

    /// Waits for the next peer of the same user; others are turned away. After [`close`](Self::close) it is an error.
    pub(crate) fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept()?;
            let peer = sockopt::socket_peercred(stream.as_fd())?;
            if peer.uid == geteuid() {
                return Ok(stream);
            }
        }
    }

    /// Ends the wait in [`accept`](Self::accept), now and later.
    pub(crate) fn close(&self) {
        // It fails only if it was done before.
        let _ = shutdown(&self.listener, Shutdown::Both);
    }
}

/// A lock of the directory; `None` if another program keeps it, or if there is none to be had.
fn lock_directory_of(path: &Path) -> Option<File> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(directory).ok()?;
    let end = Instant::now() + LOCKED;
    while let Err(error) = directory.try_lock() {
        if !matches!(error, TryLockError::WouldBlock) || Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(directory)
}

/// Removes a socket of this user that a program has left behind which was killed. Returns whether it has.
fn remove_if_abandoned(path: &Path, address: &SocketAddrUnix) -> bool {
    // The time as well: the number of a file that is gone is soon another's.
    let seen = || {
        let file = std::fs::symlink_metadata(path).ok()?;
        let is_ours = file.file_type().is_socket() && file.uid() == geteuid().as_raw();
        is_ours.then(|| (file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
    };
    let before = seen();
    if before.is_none() || !is_refused(address).unwrap_or(false) {
        return false;
    }
    // Another program may have put its own there meanwhile.
    seen() == before && std::fs::remove_file(path).is_ok()
}

/// Whether nobody listens at an address. A program that is slow to accept is there all the same, and is not waited for.
fn is_refused(address: &SocketAddrUnix) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&socket, address) == Err(Errno::CONNREFUSED))
}

/// Writes to a peer that may have gone, without the signal SIGPIPE.
#[derive(Debug)]
pub(crate) struct Quiet<'a>(pub(crate) &'a UnixStream);

impl io::Write for Quiet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        let now = std::fs::symlink_metadata(&self.path).map(|file| (file.dev(), file.ino())).ok();
        if now.is_some() && now == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
