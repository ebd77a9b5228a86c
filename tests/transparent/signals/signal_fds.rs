//! signalfd(2): what is blocked is read.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::Read;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::Command;

use libc::{SFD_CLOEXEC, SFD_NONBLOCK, SIG_BLOCK, SIG_UNBLOCK, SIGCHLD, SIGUSR1, SIGUSR2, signalfd_siginfo};

use crate::masks::{change, set_of};

fn open(signals: &[c_int], flags: c_int) -> File {
    // SAFETY: an initialised set; the number is new, and nobody else's.
    unsafe {
        let fd = libc::signalfd(-1, &set_of(signals), flags);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        File::from_raw_fd(fd)
    }
}

/// What the next read tells: of each record the signal, its code, whether the sender is this process, and its number.
fn read(mut fd: &File) -> String {
    let mut bytes = [0; 4 * size_of::<signalfd_siginfo>()];
    let count = match fd.read(&mut bytes) {
        Ok(count) => count,
        Err(error) => return format!("{:?}", error.kind()),
    };
    let records = bytes[..count].chunks(size_of::<signalfd_siginfo>()).map(|bytes| {
        // SAFETY: plain words, wherever they lie.
        let record = unsafe { bytes.as_ptr().cast::<signalfd_siginfo>().read_unaligned() };
        // Real-time signals begin with different numbers in libc and the kernel.
        let signal =
            record.ssi_signo as c_int - if record.ssi_signo >= 32 { libc::SIGRTMIN() - 1000 } else { 0 };
        let is_own = record.ssi_pid == std::process::id();
        let number = if record.ssi_signo == SIGCHLD as u32 { record.ssi_status } else { record.ssi_int };
        format!("{signal} {} {is_own} {number}", record.ssi_code)
    });
    records.collect::<Vec<_>>().join("; ")
}

fn send(signal: c_int) {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// How many descriptors poll(2) finds readable at once.
fn looked(fd: &File) -> c_int {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor.
    unsafe { libc::poll(&mut poll, 1, 0) }
}

pub(super) fn of_process() {
    let real_time = libc::SIGRTMIN();
    change(SIG_BLOCK, &[SIGUSR1, SIGUSR2, SIGCHLD, real_time]);
    // What waits already is told as well.
    send(SIGUSR1);
    let fd = open(&[SIGUSR1, SIGCHLD, real_time], SFD_NONBLOCK | SFD_CLOEXEC);
    println!("signalfd: {} {}, then {} {}", looked(&fd), read(&fd), looked(&fd), read(&fd));
    // Another signal is none of its.
    send(SIGUSR2);
    println!("signalfd, another: {} {}", looked(&fd), read(&fd));
    send(SIGUSR1);
    // SAFETY: an epoll instance of this function's, and one event.
    let found = unsafe {
        let epoll = File::from_raw_fd(libc::epoll_create1(0));
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 5 };
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event);
        let mut events: [libc::epoll_event; 2] = zeroed();
        (libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), 2, 0), { events[0].u64 })
    };
    println!("signalfd, epoll: {found:?} {}", read(&fd));
    // Of a real-time signal each is told, with its value.
    for value in [7, 8] {
        let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut::<c_void>(value) };
        // SAFETY: numbers.
        assert_eq!(unsafe { libc::sigqueue(libc::getpid(), real_time, value) }, 0);
    }
    println!("signalfd, values: {}", read(&fd));
    // How a child has ended.
    let status = Command::new("sh").args(["-c", "exit 7"]).status().unwrap();
    println!("signalfd, a child: {:?} {} {}", status.code(), looked(&fd), read(&fd));
    // Other signals by the same number.
    // SAFETY: an initialised set.
    let same = unsafe { libc::signalfd(fd.as_raw_fd(), &set_of(&[SIGUSR2]), 0) };
    // The one that was sent above has waited for this.
    let waited = read(&fd);
    send(SIGUSR2);
    println!("signalfd, other signals: {} {waited} {}", same == fd.as_raw_fd(), read(&fd));
    drop(fd);
    // For no signal at first, and by a copy's number for one that waits already.
    let fd = open(&[], SFD_NONBLOCK);
    send(SIGUSR1);
    let nothing = read(&fd);
    let copy = fd.try_clone().unwrap();
    // SAFETY: an initialised set.
    let same = unsafe { libc::signalfd(copy.as_raw_fd(), &set_of(&[SIGUSR1]), 0) };
    println!("signalfd, of nothing first: {nothing} {} {}", same == copy.as_raw_fd(), read(&fd));
    drop((fd, copy));
    // A read that waits. A thread sends, which has the mask as well, so that somebody has to read it.
    let fd = open(&[SIGUSR1], 0);
    let process = std::process::id() as c_int;
    let sender = std::thread::spawn(move || {
        // SAFETY: numbers.
        unsafe { libc::kill(process, SIGUSR1) }
    });
    println!("signalfd, a read that waits: {} {}", read(&fd), sender.join().unwrap());
    // More wait than a descriptor has room for: none is lost.
    drop(fd);
    let mut values: Vec<c_int> = Vec::new();
    for value in 0..1000 {
        let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut::<c_void>(value) };
        // SAFETY: numbers.
        assert_eq!(unsafe { libc::sigqueue(libc::getpid(), real_time, value) }, 0);
    }
    let fd = open(&[real_time], SFD_NONBLOCK);
    let mut record = [0; size_of::<signalfd_siginfo>()];
    while (&fd).read(&mut record).is_ok() {
        // SAFETY: plain words, wherever they lie.
        values.push(unsafe { record.as_ptr().cast::<signalfd_siginfo>().read_unaligned() }.ssi_int);
    }
    drop(fd);
    // SAFETY: a set, a time, and a place for what is told.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        while libc::sigtimedwait(&set_of(&[real_time]), &mut info, &zeroed()) == real_time {
            values.push(info.si_value().sival_ptr.addr() as c_int);
        }
    }
    values.sort_unstable();
    println!("signalfd, more than it has room for: {}", values == (0..1000).collect::<Vec<_>>());
    // As many as one likes, one after the other.
    let told = (0..100).filter(|_| {
        let fd = open(&[SIGUSR1], SFD_NONBLOCK);
        send(SIGUSR1);
        looked(&fd) == 1 && read(&fd) != "WouldBlock"
    });
    println!("signalfd, again and again: {}", told.count());
    change(SIG_UNBLOCK, &[SIGUSR1, SIGUSR2, SIGCHLD, real_time]);
}
