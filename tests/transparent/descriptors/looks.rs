//! Calls that wait for one of several descriptors.

#![expect(unsafe_code, reason = "calls C functions")]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::ptr;

use libc::{POLLIN, POLLOUT, c_int, c_short};

use crate::ends::{KINDS, deliver, pipe, tcp};
use crate::support::{World, outcome, raw, same};

/// What is asked: a descriptor, and what for.
type Asked = (c_int, c_short);

/// A call that looks at descriptors, for some milliseconds or -1: its result, and the descriptors that are ready.
type Look = fn(&[Asked], c_int) -> (isize, i32, Vec<bool>);

const LOOKS: &[(&str, Look)] = &[
    ("poll", poll),
    ("__poll_chk", poll_checked),
    ("ppoll", ppoll),
    ("select", select),
    ("pselect", pselect),
    ("epoll_wait", epoll_wait),
    ("epoll_pwait", epoll_pwait),
    ("epoll_pwait2", epoll_pwait2),
];

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __poll_chk(list: *mut libc::pollfd, count: libc::nfds_t, timeout: c_int, room: usize) -> c_int;
    #[link_name = "epoll_pwait2"]
    fn wait_exactly(
        set: c_int,
        events: *mut libc::epoll_event,
        room: c_int,
        timeout: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> c_int;
}

fn entries(asked: &[Asked]) -> Vec<libc::pollfd> {
    asked.iter().map(|&(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect()
}

fn ready(result: c_int, list: &[libc::pollfd]) -> (isize, i32, Vec<bool>) {
    let (result, error) = outcome(result as isize);
    (result, error, list.iter().map(|entry| entry.revents != 0).collect())
}

fn time(millis: c_int) -> Option<libc::timespec> {
    (millis >= 0).then(|| libc::timespec { tv_sec: 0, tv_nsec: i64::from(millis) * 1_000_000 })
}

fn poll(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    let mut list = entries(asked);
    // SAFETY: the list has so many entries; so below.
    let result = unsafe { libc::poll(list.as_mut_ptr(), list.len() as _, millis) };
    ready(result, &list)
}

fn poll_checked(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    let mut list = entries(asked);
    let room = size_of_val(list.as_slice());
    // SAFETY: as above.
    let result = unsafe { __poll_chk(list.as_mut_ptr(), list.len() as _, millis, room) };
    ready(result, &list)
}

fn ppoll(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    let mut list = entries(asked);
    let time = time(millis);
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: as above.
    let result = unsafe { libc::ppoll(list.as_mut_ptr(), list.len() as _, time, ptr::null()) };
    ready(result, &list)
}

/// The sets of select(2), and how many numbers they cover.
fn sets(asked: &[Asked]) -> ([libc::fd_set; 2], c_int) {
    // SAFETY: all zeros are an empty set.
    let mut sets: [libc::fd_set; 2] = unsafe { std::mem::zeroed() };
    for &(fd, events) in asked {
        // SAFETY: tests have few descriptors.
        unsafe { libc::FD_SET(fd, &mut sets[usize::from(events == POLLOUT)]) };
    }
    (sets, asked.iter().map(|(fd, _)| fd + 1).max().unwrap_or(0))
}

fn chosen(result: c_int, asked: &[Asked], sets: &[libc::fd_set; 2]) -> (isize, i32, Vec<bool>) {
    let (result, error) = outcome(result as isize);
    // SAFETY: as above.
    let is_in = |&(fd, events): &Asked| unsafe { libc::FD_ISSET(fd, &sets[usize::from(events == POLLOUT)]) };
    let ready = if result < 0 { Vec::new() } else { asked.iter().map(is_in).collect() };
    (result, error, ready)
}

fn select(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    let (mut sets, count) = sets(asked);
    let mut time = libc::timeval { tv_sec: 0, tv_usec: i64::from(millis) * 1000 };
    let time = if millis < 0 { ptr::null_mut() } else { &raw mut time };
    let [read, write] = &mut sets;
    // SAFETY: the sets are large enough.
    let result = unsafe { libc::select(count, read, write, ptr::null_mut(), time) };
    chosen(result, asked, &sets)
}

fn pselect(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    let (mut sets, count) = sets(asked);
    let time = time(millis);
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    let [read, write] = &mut sets;
    // SAFETY: as above.
    let result = unsafe { libc::pselect(count, read, write, ptr::null_mut(), time, ptr::null()) };
    chosen(result, asked, &sets)
}

/// Makes a set of epoll, and waits in it by `wait`.
fn by_epoll(
    asked: &[Asked],
    wait: impl FnOnce(c_int, &mut [libc::epoll_event]) -> c_int,
) -> (isize, i32, Vec<bool>) {
    // SAFETY: no memory is involved, here and at the close.
    let set = unsafe { libc::epoll_create1(0) };
    for (index, &(fd, events)) in asked.iter().enumerate() {
        let mut event = libc::epoll_event { events: events as u32, u64: index as u64 };
        // SAFETY: the kernel reads an event.
        if unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &mut event) } != 0 {
            let (result, error) = outcome(-1);
            // SAFETY: as above.
            unsafe { libc::close(set) };
            return (result, error, Vec::new());
        }
    }
    let mut found = [libc::epoll_event { events: 0, u64: 0 }; 8];
    let (result, error) = outcome(wait(set, &mut found) as isize);
    let mut ready = vec![false; asked.len()];
    found[..result.max(0) as usize].iter().for_each(|event| ready[event.u64 as usize] = true);
    // SAFETY: as above.
    unsafe { libc::close(set) };
    (result, error, ready)
}

fn epoll_wait(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    // SAFETY: the list has so many events; so below.
    by_epoll(asked, |set, found| unsafe {
        libc::epoll_wait(set, found.as_mut_ptr(), found.len() as _, millis)
    })
}

fn epoll_pwait(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    // SAFETY: as above.
    by_epoll(asked, |set, found| unsafe {
        libc::epoll_pwait(set, found.as_mut_ptr(), found.len() as _, millis, ptr::null())
    })
}

fn epoll_pwait2_of(set: c_int, found: &mut [libc::epoll_event], millis: c_int) -> c_int {
    let time = time(millis);
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: as above.
    unsafe { wait_exactly(set, found.as_mut_ptr(), found.len() as _, time, ptr::null()) }
}

fn epoll_pwait2(asked: &[Asked], millis: c_int) -> (isize, i32, Vec<bool>) {
    by_epoll(asked, |set, found| epoll_pwait2_of(set, found, millis))
}

fn send(fd: &OwnedFd, bytes: &[u8]) {
    File::from(fd.try_clone().unwrap()).write_all(bytes).unwrap();
}

/// Runs a scenario for each call.
fn for_all<T: PartialEq + std::fmt::Debug + Send + 'static>(
    what: &str,
    scenario: impl Fn(&World, Look) -> T + Send + Sync,
) {
    for (name, look) in LOOKS {
        same(&format!("{what}: {name}"), |world| scenario(world, *look));
    }
}

#[test]
fn what_is_ready_is_found_at_once() {
    for (_, ends, _) in KINDS {
        for_all("ready", |_, look| {
            let ends = ends();
            deliver(&ends, b"abc");
            let (reader, writer) = ends;
            [-1, 0, 10].map(|millis| look(&[(raw(&reader), POLLIN), (raw(&writer), POLLOUT)], millis))
        });
    }
}

#[test]
fn a_look_without_a_time_does_not_wait() {
    for (_, ends, _) in KINDS {
        for_all("no time", |_, look| {
            let (reader, _writer) = ends();
            look(&[(raw(&reader), POLLIN)], 0)
        });
    }
}

#[test]
fn a_look_waits_for_one_and_for_several() {
    for (_, ends, _) in KINDS {
        for_all("waits", |world, look| {
            let (reader, writer) = ends();
            let others = [pipe(), tcp(), pipe()];
            let one = [(raw(&reader), POLLIN)];
            let first = {
                let late = writer.try_clone().unwrap();
                let sender = world.when_waiting(move || send(&late, b"abc"));
                let found = look(&one, -1);
                sender.join();
                found
            };
            let mut eight = [0; 8];
            // SAFETY: the buffer has so many bytes.
            unsafe { libc::read(raw(&reader), eight.as_mut_ptr().cast(), 8) };
            let mut many: Vec<Asked> = others.iter().map(|(reader, _)| (raw(reader), POLLIN)).collect();
            many.insert(1, one[0]);
            let sender = world.when_waiting(move || send(&writer, b"abc"));
            let second = look(&many, -1);
            sender.join();
            (first, second)
        });
    }
}

#[test]
fn the_time_ends_a_look() {
    for_all("time", |_, look| {
        let (one, two) = (pipe(), tcp());
        let single = look(&[(raw(&one.0), POLLIN)], 20);
        (single, look(&[(raw(&one.0), POLLIN), (raw(&two.0), POLLIN)], 20))
    });
}

#[test]
fn a_look_at_nothing_is_a_sleep() {
    for (name, look) in LOOKS {
        same(name, |_| look(&[], 20));
    }
}

#[test]
fn the_end_of_the_other_side_ends_a_look() {
    for (kind, ends, _) in KINDS {
        if *kind != "datagram" {
            for_all("end", |world, look| {
                let (reader, writer) = ends();
                let closer = world.when_waiting(move || drop(writer));
                let found = look(&[(raw(&reader), POLLIN)], -1);
                closer.join();
                found
            });
        }
    }
}

#[test]
fn room_ends_a_look_for_it() {
    for_all("room", |world, look| {
        let (reader, writer) = pipe();
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK) };
        let mut file = File::from(writer.try_clone().unwrap());
        while file.write(&[0; 4096]).is_ok() {}
        let taker = world.when_waiting(move || {
            let mut bytes = [0; 65536];
            // SAFETY: the buffer has so many bytes.
            unsafe { libc::read(raw(&reader), bytes.as_mut_ptr().cast(), bytes.len()) };
            // The end would be another event.
            std::mem::forget(reader);
        });
        let found = look(&[(raw(&writer), POLLOUT)], -1);
        taker.join();
        found
    });
}

#[test]
fn what_is_not_open_and_what_is_out_of_range_is_an_error() {
    for (name, look) in LOOKS {
        // select(2) and epoll have an error of their own for it.
        same(name, |_| {
            let (reader, _writer) = pipe();
            // Beyond the numbers of other tests, one of which might be another file's by now.
            // SAFETY: no memory is involved.
            let number = unsafe { libc::fcntl(raw(&reader), libc::F_DUPFD, 800) };
            // SAFETY: it is the test's.
            unsafe { libc::close(number) };
            look(&[(number, POLLIN)], -1)
        });
    }
    same("negative", |_| poll(&[(-1, POLLIN)], 1));
    same("bad time", |_| {
        let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
        // SAFETY: an empty list.
        let first = outcome(unsafe { libc::ppoll(ptr::null_mut(), 0, &bad, ptr::null()) } as isize);
        let mut bad = libc::timeval { tv_sec: -1, tv_usec: 0 };
        let null = ptr::null_mut();
        // SAFETY: no sets.
        (first, outcome(unsafe { libc::select(0, null, null, null, &mut bad) } as isize))
    });
}

#[test]
fn select_says_what_is_left_of_the_time() {
    same("left", |_| {
        let (reader, writer) = pipe();
        send(&writer, b"abc");
        let (mut sets, count) = sets(&[(raw(&reader), POLLIN)]);
        let mut time = libc::timeval { tv_sec: 100, tv_usec: 0 };
        let null = ptr::null_mut();
        // SAFETY: the set is large enough.
        let result = unsafe { libc::select(count, &mut sets[0], null, null, &mut time) };
        (result, time.tv_sec >= 90 && time.tv_sec <= 100)
    });
}

#[test]
fn a_set_may_be_smaller_than_what_is_asked_for() {
    const PAGE: usize = 4096;
    // As of a program that asks for as many as it may ever open.
    const ALL: c_int = 1 << 20;
    for millis in [0, 50] {
        same("select of more than there are", |_| {
            let (reader, writer) = pipe();
            File::from(writer).write_all(b"a").unwrap();
            // SAFETY: memory of the test's, of which the last page cannot be read; the set lies before that.
            unsafe {
                let area = libc::mmap(
                    ptr::null_mut(),
                    3 * PAGE,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                );
                assert_eq!(libc::mprotect(area.wrapping_byte_add(2 * PAGE), PAGE, libc::PROT_NONE), 0);
                let set = area.cast::<libc::fd_set>();
                libc::FD_SET(raw(&reader), set);
                let mut time = libc::timeval { tv_sec: 0, tv_usec: millis * 1000 };
                let found =
                    outcome(libc::select(ALL, set, ptr::null_mut(), ptr::null_mut(), &mut time) as isize);
                let is_in = libc::FD_ISSET(raw(&reader), set);
                libc::munmap(area, 3 * PAGE);
                (found, is_in)
            }
        });
    }
}
