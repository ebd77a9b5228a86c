//! What a wait for events tells the loop of a fiber that is cancelled: nothing that ends programs which know the manuals' errors alone.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::c_int;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use libc::{EAGAIN, ECANCELED, EINTR, EPOLLET, EPOLLIN, POLLIN, epoll_event, pollfd};

use crate::cancel::ends_in;
use crate::ends::{pipe, tcp};
use crate::support::{on_one_worker, outcome, raw, with_children};

fn eventfd(flags: c_int) -> OwnedFd {
    // SAFETY: a new descriptor.
    unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, flags)) }
}

/// A set with these descriptors, each with its number.
fn set_of(fds: &[c_int]) -> OwnedFd {
    // SAFETY: a new descriptor.
    let set = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(0)) };
    for fd in fds {
        let mut event = epoll_event { events: (EPOLLIN | EPOLLET) as u32, u64: *fd as u64 };
        // SAFETY: an event.
        assert_eq!(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, *fd, &mut event) }, 0);
    }
    set
}

fn poll(list: &mut [pollfd]) -> isize {
    // SAFETY: so many entries.
    (unsafe { libc::poll(list.as_mut_ptr(), list.len() as u64, -1) }) as isize
}

fn to_read(fds: &[c_int]) -> Vec<pollfd> {
    fds.iter().map(|fd| pollfd { fd: *fd, events: POLLIN, revents: 0 }).collect()
}

fn select(fds: &[c_int]) -> (isize, Vec<c_int>) {
    // SAFETY: a set of the call's own.
    unsafe {
        let mut set: libc::fd_set = zeroed();
        fds.iter().for_each(|fd| libc::FD_SET(*fd, &mut set));
        let most = fds.iter().max().map_or(0, |fd| fd + 1);
        let result = libc::select(most, &mut set, null_mut(), null_mut(), null_mut()) as isize;
        (result, fds.iter().copied().filter(|fd| libc::FD_ISSET(*fd, &set)).collect())
    }
}

fn epoll_wait(set: &OwnedFd) -> (isize, Vec<u64>) {
    let mut found = [epoll_event { events: 0, u64: 0 }; 4];
    // SAFETY: room for four events.
    let result = unsafe { libc::epoll_wait(set.as_raw_fd(), found.as_mut_ptr(), 4, -1) };
    (result as isize, found.iter().take(result.max(0) as usize).map(|event| event.u64).collect())
}

#[test]
fn a_wait_for_eventfds_or_for_nothing_is_interrupted() {
    let events = [eventfd(0), eventfd(libc::EFD_NONBLOCK)];
    let fds = [events[0].as_raw_fd(), events[1].as_raw_fd()];
    for waited_for in [vec![], vec![fds[0]], fds.to_vec()] {
        let name = format!("{} eventfds", waited_for.len());
        let list = waited_for.clone();
        ends_in(EINTR, &format!("poll of {name}"), move || poll(&mut to_read(&list)));
        let list = waited_for.clone();
        ends_in(EINTR, &format!("select of {name}"), move || select(&list).0);
        let set = set_of(&waited_for);
        ends_in(EINTR, &format!("epoll_wait for {name}"), move || epoll_wait(&set).0);
    }
}

/// What `wait`, of a fiber that is cancelled, tells of a socket and an eventfd, and what a read of each says then.
fn told<T: Send + 'static>(wait: impl FnOnce(c_int, c_int) -> T + Send + 'static) -> (T, bool) {
    on_one_worker(|| {
        let (reader, _writer) = tcp();
        let (socket, event) = (raw(&reader), eventfd(libc::EFD_NONBLOCK));
        // SAFETY: its mode.
        assert_eq!(unsafe { libc::fcntl(socket, libc::F_SETFL, libc::O_NONBLOCK) }, 0);
        let has_begun = Arc::new(AtomicBool::new(false));
        let begins = has_begun.clone();
        let fiber = abaca::spawn(move || {
            begins.store(true, SeqCst);
            let told = wait(socket, event.as_raw_fd());
            let mut number = 0_u64;
            let number = &raw mut number;
            // SAFETY: room for so many bytes.
            let reads = unsafe {
                [
                    outcome(libc::recv(socket, number.cast(), 1, 0)),
                    outcome(libc::read(event.as_raw_fd(), number.cast(), 8)),
                    outcome(libc::eventfd_read(event.as_raw_fd(), number) as isize),
                ]
            };
            (told, reads == [(-1, ECANCELED), (-1, EAGAIN), (-1, EAGAIN)])
        });
        while !has_begun.load(SeqCst) {
            abaca::yield_now();
        }
        (0..20).for_each(|_| abaca::yield_now());
        assert!(!fiber.is_finished());
        fiber.cancel();
        fiber.join().unwrap()
    })
}

#[test]
fn an_event_loop_of_a_cancelled_fiber_finds_its_sockets_ready_and_their_calls_cancelled() {
    let of_epoll = told(|socket, event| {
        let (to_itself, _writer) = pipe();
        let set = set_of(&[socket, event, raw(&to_itself)]);
        epoll_wait(&set) == (1, vec![socket as u64])
    });
    assert_eq!(of_epoll, (true, true), "epoll_wait");
    let of_poll = told(|socket, event| {
        let mut list = to_read(&[event, socket, -1]);
        (poll(&mut list), list.iter().map(|entry| entry.revents).collect::<Vec<_>>())
    });
    assert_eq!(of_poll, ((1, vec![0, POLLIN, 0]), true), "poll");
    let of_select = told(|socket, event| select(&[socket, event]) == (1, vec![socket]));
    assert_eq!(of_select, (true, true), "select");
}

#[test]
fn a_pipe_from_another_process_is_ready() {
    with_children(|| {
        let mut child = Command::new("sleep").arg("1000").stdout(Stdio::piped()).spawn().unwrap();
        let pipe = child.stdout.take().unwrap();
        let is_told = told(move |_, event| {
            let set = set_of(&[event, pipe.as_raw_fd()]);
            epoll_wait(&set) == (1, vec![pipe.as_raw_fd() as u64])
        });
        assert_eq!(is_told, (true, true));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_cancelled_read_of_an_eventfd_that_waits_is_an_error() {
    let event = eventfd(0);
    ends_in(ECANCELED, "read", move || {
        let mut number = 0_u64;
        // SAFETY: room for eight bytes.
        unsafe { libc::read(event.as_raw_fd(), (&raw mut number).cast(), 8) }
    });
}
