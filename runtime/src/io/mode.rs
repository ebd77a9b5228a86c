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
use std::sync::atomic::{AtomicBool, Ordering};

use crate::os::fork::{Generation, PerProcess};
use crate::os::{identity, process, socket};

/// By open file, all users of the mode: those that switched it on, and those that found it on because of another user. To a copy of the
/// process, whose exit must not wait for a lock that another thread of its parent held, the mode was on before.
static USERS: PerProcess<Users> = PerProcess::new(Users::default);

#[derive(Default)]
struct Users {
    /// The number of the open file that comes next.
    next: u64,
    /// Their descriptors.
    of: BTreeMap<OpenFile, Vec<RawFd>>,
}

/// A file, and the number of one of its open files. All eventfds are one file, as are all timers.
type OpenFile = (identity::File, u64);

/// Registers what is done at the exit, once there is a first user.
static AT_EXIT: AtomicBool = AtomicBool::new(false);

struct GiveBack;

impl process::AtExit for GiveBack {
    fn run() {
        set_all(false);
    }
}

/// Keeps an open file in non-blocking mode, until it is [given back](Mode::give_back).
#[derive(Debug)]
#[must_use = "the mode has to be given back"]
pub(super) struct Mode {
    /// `None` if the mode was on before: then it stays on.
    entry: Option<OpenFile>,
    /// The process that has the entry: a copy of it has none.
    generation: Generation,
}

impl Mode {
    /// Switches the mode on, unless it is on already.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2): none for an open descriptor.
    pub(super) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file = identity::file(fd)?;
        let generation = Generation::current();
        let mut users = USERS.lock();
        let open_file = if socket::set_nonblocking(fd, true)? {
            // So it has no other user, for whom it would be on. There is no search among the many open files that a file may have.
            users.next += 1;
            (file, users.next)
        } else {
            // The descriptor number is only compared: if it was closed behind our back, it is another open file's, or none's.
            let shares = |user: &RawFd| identity::is_same_open_file(*user, fd.as_raw_fd());
            let mut of_file = users.of.range((file, 0)..=(file, u64::MAX));
            match of_file.find(|(_, all)| all.iter().any(shares)) {
                Some((open_file, _)) => *open_file,
                None => return Ok(Self { entry: None, generation }),
            }
        };
        // Relaxed: the lock of the users is held.
        if !AT_EXIT.swap(true, Ordering::Relaxed) {
            process::at_exit::<GiveBack>();
        }
        users.of.entry(open_file).or_default().push(fd.as_raw_fd());
        Ok(Self { entry: Some(open_file), generation })
    }

    /// Whether the mode was on before.
    pub(super) fn was_on(&self) -> bool {
        self.entry.is_none()
    }

    /// Switches the mode off, unless it was on before or others still need it. `fd` is the descriptor of the constructor.
    pub(super) fn give_back(&mut self, fd: BorrowedFd<'_>) {
        let Some(open_file) = self.entry.take().filter(|_| self.generation.is_current()) else { return };
        let mut users = USERS.lock();
        let Some(all) = users.of.get_mut(&open_file) else { return };
        let at = all.iter().position(|user| *user == fd.as_raw_fd());
        let is_ours = at.map(|at| all.swap_remove(at)).is_some();
        if !all.is_empty() {
            return;
        }
        users.of.remove(&open_file);
        // A descriptor that was closed behind our back is another file's by now.
        if is_ours && identity::file(fd).is_ok_and(|now| now == open_file.0) {
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
    for ((file, _), all) in &USERS.lock().of {
        for user in all {
            identity::set_nonblocking_of(*user, *file, on);
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

    /// As eventfds are: to the kernel all of them are one file.
    #[test]
    fn the_open_files_of_one_file_are_not_searched_for_one_that_is_new() {
        let new = || std::fs::File::open("/dev/null").unwrap();
        let all: Vec<_> = (0..100).map(|_| new()).collect();
        let modes: Vec<_> = all.iter().map(|one| Mode::nonblocking(one.as_fd()).unwrap()).collect();
        assert_eq!(identity::COMPARED.get(), 0);
        for (mut mode, one) in modes.into_iter().zip(&all) {
            assert!(is_nonblocking(one));
            mode.give_back(one.as_fd());
            assert!(!is_nonblocking(one));
        }
    }

    #[test]
    fn what_was_nonblocking_stays_so() {
        let (reader, _writer) = io::pipe().unwrap();
        socket::set_nonblocking(reader.as_fd(), true).unwrap();
        Mode::nonblocking(reader.as_fd()).unwrap().give_back(reader.as_fd());
        assert!(is_nonblocking(&reader));
    }
}
