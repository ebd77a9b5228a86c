//! The end of blocks: libc frees all that it has of them, and memory may be unmapped. And what happens at limits.
#![expect(unsafe_code, reason = "makes blocks on memory of its own, and sets limits")]

mod fiber;

use std::cell::Cell;
use std::io::ErrorKind;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use abaca_asm::{Context, Exit, prepare, switch};
use abaca_tls::{Block, Carrier, set_thread_pointer, thread_pointer};
use fiber::{Fiber, has_blocks, in_child, in_child_with, is_child};

const BYTES: usize = 64 * 1024;

/// Memory of its own, which is unmapped at the end.
struct Memory(*mut u8, usize);

impl Memory {
    fn new(bytes: usize) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: new memory at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Self(start.cast(), bytes)
    }

    fn block(&self) -> std::io::Result<Block> {
        // SAFETY: the tests drop the block before the memory.
        unsafe { Block::new(self.0, self.1) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`.
        assert_eq!(unsafe { libc::munmap(self.0.cast(), self.1) }, 0);
    }
}

fn lines_of(path: &str) -> usize {
    std::fs::read_to_string(path).expect("a file of the kernel's").lines().count()
}

fn allocated() -> usize {
    // SAFETY: has no preconditions.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Runs `f` with the storage of the block, which has no stack. Not inlined, and without thread-local variables.
#[inline(never)]
fn within(block: &Block, carrier: &Carrier, f: fn()) {
    let own = thread_pointer();
    // SAFETY: the block is used by nobody else; `f` is not inlined.
    unsafe {
        carrier.lend(block.pointer());
        set_thread_pointer(block.pointer());
        std::hint::black_box(f)();
        set_thread_pointer(own);
        carrier.take_back(block.pointer());
    }
}

fn by_thread() -> bool {
    abaca_tls::support().expect("blocks").by_thread().is_some()
}

#[test]
fn where_glibc_is_known_no_block_needs_a_thread() {
    let Ok(support) = abaca_tls::support() else { return };
    let is_known = cfg!(target_arch = "x86_64") && support.glibc_version() <= (2, 43);
    let is_forced = std::env::var_os("ABACA_BLOCKS").is_some_and(|how| how == "thread");
    if is_known && !is_forced {
        assert_eq!(support.by_thread(), None);
    } else {
        assert!(support.by_thread().is_some());
    }
}

/// Has libc allocate for the calling block what it frees at a thread's end: a text, an error, and a table of values of keys.
fn leave_memory_to_libc() {
    unsafe extern "C" {
        fn strsignal(signal: libc::c_int) -> *mut libc::c_char;
    }
    static KEY: std::sync::OnceLock<libc::pthread_key_t> = std::sync::OnceLock::new();
    // The first table is part of libc's record.
    let key = *KEY.get_or_init(|| {
        let mut key = 0;
        while key < 40 {
            // SAFETY: the key is written.
            assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, None) }, 0);
        }
        key
    });
    // SAFETY: calls that any thread may make.
    unsafe {
        strsignal(1_000);
        libc::pthread_setspecific(key, std::ptr::without_provenance(1));
        libc::dlopen(c"/nowhere".as_ptr(), libc::RTLD_LAZY);
    }
}

#[test]
fn what_libc_frees_at_the_end_of_a_thread_is_freed() {
    const NAME: &str = "what_libc_frees_at_the_end_of_a_thread_is_freed";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        assert!(in_child(NAME).success());
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let memory = Memory::new(BYTES);
    let make = |count: usize, f: fn()| {
        for _ in 0..count {
            let block = memory.block().expect("a block");
            within(&block, &carrier, f);
        }
    };
    let at_rest = || {
        leave_memory_to_libc();
        // SAFETY: the block is installed, and nothing of its variables is in use.
        unsafe {
            abaca_tls::finish();
            abaca_tls::reset();
        }
    };
    for f in [leave_memory_to_libc as fn(), at_rest] {
        make(50, f);
        let before = allocated();
        make(500, f);
        assert!(allocated() < before + 8_000, "{} bytes", allocated() - before);
    }
}

#[test]
fn a_thousand_blocks_that_have_ended_leave_nothing() {
    const NAME: &str = "a_thousand_blocks_that_have_ended_leave_nothing";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        // In a process where no other test allocates.
        assert!(in_child(NAME).success());
        return;
    }
    let make = |count: usize| {
        for _ in 0..count {
            let memory = Memory::new(BYTES);
            let block = memory.block().expect("a block");
            // On memory that may be unmapped: libc does not look there any more.
            drop(block);
            drop(memory);
        }
    };
    make(50);
    let (maps, before) = (lines_of("/proc/self/maps"), allocated());
    make(1_000);
    assert!(lines_of("/proc/self/maps") <= maps + 2);
    // Of each not a byte; malloc's caches may hold others than before.
    assert!(allocated() < before + 8_000, "{} bytes", allocated() - before);
    // Threads and libraries are what they would be: libc walks all its blocks for both.
    std::thread::spawn(|| ()).join().expect("no panic");
}

#[test]
fn many_blocks_at_once_end_in_any_order() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let mut fibers: Vec<_> = (0..200).map(|_| Fiber::new(fiber::suspend)).collect();
    for fiber in &mut fibers {
        fiber.resume(&carrier);
    }
    let pointers: std::collections::HashSet<_> = fibers.iter().map(Fiber::pointer).collect();
    assert_eq!(pointers.len(), 200);
    for step in [3, 2, 1] {
        let mut index = 0;
        while index < fibers.len() {
            fibers[index].run(&carrier);
            drop(fibers.swap_remove(index));
            index += step;
        }
    }
}

#[test]
fn what_was_not_finished_is_finished_when_the_block_ends() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread_local!(static COUNTS: Cell<Option<Counts>> = const { Cell::new(None) });

    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let memory = Memory::new(BYTES);
    let block = memory.block().expect("a block");
    within(&block, &carrier, || COUNTS.set(Some(Counts)));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
    drop(block);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
}

#[test]
fn a_block_is_within_its_memory_and_says_how_much_it_takes() {
    if !has_blocks() {
        return;
    }
    let bytes = abaca_tls::support().expect("blocks").block_bytes();
    assert!(bytes < 16 * 1024, "{bytes}");
    let memory = Memory::new(BYTES);
    let block = memory.block().expect("a block");
    let top = memory.0.addr() + memory.1;
    assert!((memory.0.addr()..top).contains(&block.pointer().address()));
    let taken = top - block.frames_end().addr();
    assert!(taken <= bytes + 64, "{taken} of {bytes}");
    assert!(block.frames_end().addr().is_multiple_of(16));
    drop(block);
}

#[test]
fn memory_that_is_too_small_is_an_error() {
    if !has_blocks() {
        return;
    }
    let memory = Memory::new(4096);
    for size in [0, 64, 4096] {
        // SAFETY: the memory is larger than that.
        let error = unsafe { Block::new(memory.0, size) }.expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    // Less than libc takes for a stack, on memory below which there is nothing.
    let memory = Memory::new(12 * 1024);
    let block = memory.block().expect("a block");
    drop(block);
}

unsafe extern "C" {
    fn pthread_exit(value: *mut std::ffi::c_void) -> !;
}

/// On a stack of its own, so that there is no frame of Rust's that would catch the unwinding.
unsafe extern "C" fn end_this_thread(_: usize, _: *mut ()) -> Exit {
    // SAFETY: nothing is left on the stack that would have to be dropped.
    unsafe { pthread_exit(null_mut()) }
}

extern "C" fn at_exit() {
    // SAFETY: ends the process.
    unsafe { libc::_exit(42) }
}

/// The process ends with its last thread, when the first has ended by itself: libc counts threads.
#[test]
fn libc_counts_blocks_that_have_ended_no_more() {
    const NAME: &str = "libc_counts_blocks_that_have_ended_no_more";
    if !has_blocks() {
        return;
    }
    if cfg!(not(target_arch = "x86_64")) {
        println!(
            "skipped: libc's way out of a thread goes through frames of Rust's, which end the process elsewhere"
        );
        return;
    }
    if !is_child(NAME) {
        assert!(in_child(NAME).success());
        return;
    }
    // SAFETY: the child of `fork` has this thread only. libc counts it from 1.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let memory = Memory::new(BYTES);
            (0..20).for_each(|_| drop(memory.block()));
            libc::atexit(at_exit);
            // libc calls the above if it takes this thread for the last.
            let stack = fiber::pool().take().expect("a stack");
            let mut left = Context::dangling();
            switch(&raw mut left, prepare(stack.top(), end_this_thread, null_mut()), 0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42, "{status:x}");
    }
}

#[test]
fn a_limit_of_threads_is_an_error_and_blocks_end_all_the_same() {
    const NAME: &str = "a_limit_of_threads_is_an_error_and_blocks_end_all_the_same";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        for how in ["thread", ""] {
            assert!(in_child_with(NAME, &[("ABACA_BLOCKS", how)]).success());
        }
        return;
    }
    let memory = [Memory::new(BYTES), Memory::new(BYTES)];
    let block = memory[0].block().expect("a block");
    // SAFETY: this process is the test's own. The superuser has no limit of processes, so another user goes on.
    unsafe {
        assert_eq!(libc::setresuid(65534, 65534, 65534), 0);
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit), 0);
    }
    assert!(std::thread::Builder::new().spawn(|| ()).is_err());
    let second = memory[1].block();
    if by_thread() {
        let error = second.expect_err("the limit is reached");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::WouldBlock, Some(libc::EAGAIN)));
    } else {
        // It takes no thread. One that has left something behind ends without one, too.
        let second = second.expect("a block");
        let carrier = Carrier::of_this_thread().expect("blocks");
        within(&second, &carrier, leave_memory_to_libc);
        drop(second);
    }
    drop(block);
    drop(memory);
}
