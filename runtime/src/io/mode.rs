//! The non-blocking mode of open files that others have as well: switched on while somebody here needs it, and given back.
//!
//! `O_NONBLOCK` belongs to the open file, whose other descriptors, and other processes, share it: a shell whose terminal was
//! left in that mode misbehaves. So whoever switches it on is entered in a list, and the last of those who share an
//! open file switches it off. An open file that was in that mode before is left in it, and is in no list.
//!
//! The list is static, since open files belong to the process: two `Pollable`s on duplicates of one descriptor do not know
//! of each other otherwise. Whether two descriptors are duplicates is asked of the kernel.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use crate::os::{identity, socket};

/// By file, all who have switched the mode on or rely on somebody who has.
static USERS: Mutex<BTreeMap<identity::File, Vec<User>>> = Mutex::new(BTreeMap::new());

/// One of them.
struct User {
    fd: RawFd,
    /// The open file: who has the same number shares it.
    open_file: usize,
}

/// Keeps an open file in non-blocking mode, until it is [given back](Mode::give_back).
#[derive(Debug)]
#[must_use = "it is to be given back"]
pub(super) struct Mode {
    /// `None` if the mode was on before, which is for whoever switched it on.
    entry: Option<(identity::File, usize)>,
}

impl Mode {
    /// Switches it on, unless it is.
    ///
    /// # Errors
    ///
    /// What fstat(2) and fcntl(2) say.
    pub(super) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file = identity::file(fd)?;
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let was_blocking = socket::set_nonblocking(fd, true)?;
        let shared = users.get(&file).and_then(|all| {
            // A number is only compared; one that was closed behind our back is another open file, or none.
            all.iter().find(|user| identity::is_same_open_file(user.fd, fd.as_raw_fd()))
        });
        let open_file = match shared.map(|user| user.open_file) {
            Some(open_file) => open_file,
            None if !was_blocking => return Ok(Self { entry: None }),
            None => users.get(&file).into_iter().flatten().map(|user| user.open_file + 1).max().unwrap_or(0),
        };
        users.entry(file).or_default().push(User { fd: fd.as_raw_fd(), open_file });
        Ok(Self { entry: Some((file, open_file)) })
    }

    /// Whether it was on before.
    pub(super) fn was_on(&self) -> bool {
        self.entry.is_none()
    }

    /// Leaves `fd`, with which it was made, in the mode that it had, unless others still need it.
    pub(super) fn give_back(&mut self, fd: BorrowedFd<'_>) {
        let Some((file, open_file)) = self.entry.take() else { return };
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = users.get_mut(&file) else { return };
        let mine = |user: &User| user.fd == fd.as_raw_fd() && user.open_file == open_file;
        if let Some(at) = all.iter().position(mine) {
            all.swap_remove(at);
        }
        let is_last = all.iter().all(|user| user.open_file != open_file);
        if all.is_empty() {
            users.remove(&file);
        }
        // A descriptor that was closed behind our back is another file's by now.
        if is_last && identity::file(fd).is_ok_and(|now| now == file) {
            // It cannot fail for an open descriptor.
            let _ = socket::set_nonblocking(fd, false);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn is_nonblocking(fd: impl AsFd) -> bool {
        socket2::SockRef::from(&fd).nonblocking().unwrap()
    }

    #[test]
    fn the_last_user_gives_it_back() {
        let (reader, writer) = io::pipe().unwrap();
        let with_shared_settings = reader.try_clone().unwrap();
        let (mut first, mut second) = (
            Mode::nonblocking(reader.as_fd()).unwrap(),
            Mode::nonblocking(with_shared_settings.as_fd()).unwrap(),
        );
        // The other end is the same file, and another open file.
        let mut third = Mode::nonblocking(writer.as_fd()).unwrap();
        first.give_back(reader.as_fd());
        assert!(is_nonblocking(&with_shared_settings) && is_nonblocking(&writer));
        second.give_back(with_shared_settings.as_fd());
        assert!(!is_nonblocking(&reader) && is_nonblocking(&writer));
        third.give_back(writer.as_fd());
        assert!(!is_nonblocking(&writer));
    }

    #[test]
    fn what_was_nonblocking_stays_so() {
        let (reader, _writer) = io::pipe().unwrap();
        socket::set_nonblocking(reader.as_fd(), true).unwrap();
        Mode::nonblocking(reader.as_fd()).unwrap().give_back(reader.as_fd());
        assert!(is_nonblocking(&reader));
    }
}
