//! A fiber that waits for a page of memory: the kernel has its thread wait, by no call that the fiber has made.

#![expect(unsafe_code, reason = "maps memory whose pages are brought by userfaultfd(2)")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca_tests::{Tool, skip};

use crate::hogs::tick;
use crate::runtime;

const PAGE: usize = 4096;

/// A page that is not there until it is brought.
struct Page {
    address: *mut u8,
    faults: File,
}

// SAFETY: the page is only read, once it is there.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    fn new() -> io::Result<Self> {
        /// `UFFD_USER_MODE_ONLY`, which needs no right; `UFFD_API`; the requests of `linux/userfaultfd.h`.
        const USER_MODE_ONLY: i32 = 1;
        const API: u64 = 0xaa;
        const IOCTL_API: libc::c_ulong = 0xc018_aa3f;
        const IOCTL_REGISTER: libc::c_ulong = 0xc020_aa00;
        /// `UFFDIO_REGISTER_MODE_MISSING`.
        const MISSING: u64 = 1;
        // SAFETY: a system call that makes a descriptor, which nobody else has.
        let faults = unsafe {
            let result = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY);
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            File::from_raw_fd(i32::try_from(result).expect("a descriptor"))
        };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory at an address of the kernel's choice.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        let page = Self { address: address.cast(), faults };
        page.ask(IOCTL_API, &mut [API, 0, 0])?;
        page.ask(IOCTL_REGISTER, &mut [page.address.addr() as u64, PAGE as u64, MISSING, 0])?;
        Ok(page)
    }

    fn ask<const N: usize>(&self, request: libc::c_ulong, words: &mut [u64; N]) -> io::Result<()> {
        // SAFETY: each request takes a record of so many words.
        let result = unsafe { libc::ioctl(self.faults.as_raw_fd(), request, words.as_mut_ptr()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn bring(&self) {
        /// `UFFDIO_ZEROPAGE`.
        const IOCTL_ZEROPAGE: libc::c_ulong = 0xc020_aa04;
        self.ask(IOCTL_ZEROPAGE, &mut [self.address.addr() as u64, PAGE as u64, 0, 0]).unwrap();
    }

    /// The first byte. Waits for the page.
    fn read(&self) -> u8 {
        // SAFETY: the memory stays mapped as long as this.
        unsafe { self.address.read_volatile() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: nobody uses the memory any more.
        unsafe { libc::munmap(self.address.cast(), PAGE) };
    }
}

#[test]
fn a_fiber_that_waits_for_a_page_keeps_nobody_waiting() {
    let page = match Page::new() {
        Ok(page) => Arc::new(page),
        Err(error) => return skip(Tool::Userfaultfd, &error.to_string()),
    };
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (theirs, other) = (Arc::clone(&count), Arc::clone(&page));
        let ticker = abaca::spawn(move || {
            tick(&theirs, 20);
            other.bring();
        });
        // The ticker, which alone brings the page, shares this worker.
        assert_eq!(page.read(), 0);
        assert_eq!(count.load(SeqCst), 20);
        ticker.join().unwrap();
    });
}
