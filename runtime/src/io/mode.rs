//! The non-blocking mode of shared open files: on while somebody here needs it, and off again afterwards.
//!
//! `O_NONBLOCK` belongs to the open file, which other descriptors and other processes share. A shell whose terminal was left in
//! that mode misbehaves. So each user of the mode is entered in a list, and the last user of an open file switches the mode
//! off. An open file that was in the mode before is left in it, and is in no list. The end of the process is the end of all users, and
//! so is another program in its place. A copy of the process by fork(2) shares them too: there the users of its parent end without a word.
//!
//! The list is static, since open files belong to the process: two `Pollable`s on duplicates of one descriptor do not know
//! of each other otherwise. The kernel tells whether two descriptors are duplicates.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, Once, PoisonError};

use crate::os::fork::Generation;
use crate::os::{identity, process, socket};

/// By file, all users of the mode: those that switched it on, and those that found it on because of another user.
static USERS: Mutex<BTreeMap<identity::File, Vec<User>>> = Mutex::new(BTreeMap::new());

/// Registers what is done at the exit, once there is a first user.
static AT_EXIT: Once = Once::new();

struct User {
    fd: RawFd,
    /// The number of the open file; users that share it have the same number.
    open_file: usize,
    /// The process whose user it is: the list of a copy has its parent's as well.
    generation: Generation,
}

/// Keeps an open file in non-blocking mode, until it is [given back](Mode::give_back).
#[derive(Debug)]
#[must_use = "the mode has to be given back"]
pub(super) struct Mode {
    /// `None` if the mode was on before: then it stays on.
    entry: Option<(identity::File, usize)>,
}

impl Mode {
    /// Switches the mode on, unless it is on already.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2): none for an open descriptor.
    pub(super) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file = identity::file(fd)?;
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let was_blocking = socket::set_nonblocking(fd, true)?;
        let shared = users.get(&file).and_then(|all| {
            // The descriptor number is only compared: if it was closed behind our back, it is another open file's, or none's.
            all.iter().find(|user| identity::is_same_open_file(user.fd, fd.as_raw_fd()))
        });
        let open_file = match shared.map(|user| user.open_file) {
            Some(open_file) => open_file,
            None if !was_blocking => return Ok(Self { entry: None }),
            None => users.get(&file).into_iter().flatten().map(|user| user.open_file + 1).max().unwrap_or(0),
        };
        AT_EXIT.call_once(|| process::at_exit(|| set_all(false)));
        users.entry(file).or_default().push(User {
            fd: fd.as_raw_fd(),
            open_file,
            generation: Generation::current(),
        });
        Ok(Self { entry: Some((file, open_file)) })
    }

    /// Whether the mode was on before.
    pub(super) fn was_on(&self) -> bool {
        self.entry.is_none()
    }

    /// Switches the mode off, unless it was on before or others still need it. `fd` is the descriptor of the constructor.
    pub(super) fn give_back(&mut self, fd: BorrowedFd<'_>) {
        let Some((file, open_file)) = self.entry.take() else { return };
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = users.get_mut(&file) else { return };
        let mine = |user: &User| user.fd == fd.as_raw_fd() && user.open_file == open_file;
        let user = all.iter().position(mine).map(|at| all.swap_remove(at));
        let is_ours = user.is_some_and(|user| user.generation.is_current());
        let is_last = is_ours && all.iter().all(|user| user.open_file != open_file);
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

/// Calls `exec`, which puts another program in the place of this one and returns only if that fails, with all open files in the mode that
/// they had.
pub(crate) fn with_all_given_back<T>(exec: impl FnOnce() -> T) -> T {
    set_all(false);
    let result = exec();
    set_all(true);
    result
}

/// Switches the mode of all users' open files on or off.
fn set_all(on: bool) {
    for (file, all) in USERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        for user in all.iter().filter(|user| user.generation.is_current()) {
            identity::set_nonblocking_of(user.fd, *file, on);
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
        let duplicate = reader.try_clone().unwrap();
        let (mut first, mut second) =
            (Mode::nonblocking(reader.as_fd()).unwrap(), Mode::nonblocking(duplicate.as_fd()).unwrap());
        // The other end is the same file, and another open file.
        let mut third = Mode::nonblocking(writer.as_fd()).unwrap();
        first.give_back(reader.as_fd());
        assert!(is_nonblocking(&duplicate) && is_nonblocking(&writer));
        second.give_back(duplicate.as_fd());
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
