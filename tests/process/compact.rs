//! Stacks that are kept elsewhere while their fibers wait for long: nobody who touches them can tell.

#![expect(unsafe_code, reason = "other threads borrow from stacks of fibers, forks, and gives up rights")]

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use abaca::channel::{Receiver, Sender, bounded};
use abaca::runtime::Builder;
use abaca::sync::{Mutex, Notify};
use abaca::{JoinHandle, Runtime};

use super::{in_child, is_child, stdout};

const FIBERS: usize = 500;
const BYTES: usize = 300;

fn builder() -> Builder {
    Runtime::builder().workers(2).stack_size(32 * 1024).compact_after(Duration::ZERO)
}

/// A runtime that compacts as soon as it can; none if this process may not.
fn runtime() -> Option<Runtime> {
    match builder().build() {
        Ok(runtime) => {
            // The thread that serves the faults stays.
            abaca_tests::leaks::settle();
            Some(runtime)
        }
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            abaca_tests::skip(abaca_tests::Tool::Userfaultfd, &error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What a fiber has on its stack for others.
struct Lent {
    count: AtomicU64,
    buffer: UnsafeCell<[u8; 8]>,
}

/// The address of a value on the stack of a fiber that stays there until it is told to end.
struct Borrowed(NonNull<Lent>);

// SAFETY: the count is `Sync`, and the buffer is used by one thread.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl Borrowed {
    fn get(&self) -> &Lent {
        // SAFETY: its fiber ends only after all borrows.
        unsafe { self.0.as_ref() }
    }
}

struct Fibers {
    runtime: Runtime,
    borrowed: Vec<Borrowed>,
    gate: Sender<()>,
    handles: Vec<JoinHandle<u64>>,
}

impl Fibers {
    /// Fibers that have begun to wait.
    fn new(runtime: Runtime) -> Self {
        let (gate, closed) = bounded::<()>(1);
        let (lend, lent) = bounded(FIBERS);
        let fiber = |number: usize, closed: Receiver<()>, lend: Sender<Borrowed>| {
            move || {
                let kept: [u8; BYTES] = black_box(std::array::from_fn(|index| (index * number) as u8));
                let own = Lent { count: AtomicU64::new(0), buffer: UnsafeCell::new([0; 8]) };
                lend.send(Borrowed(NonNull::from(&own))).expect("somebody receives");
                closed.recv().expect_err("nothing is sent");
                assert!(
                    black_box(&kept).iter().enumerate().all(|(index, byte)| *byte == (index * number) as u8)
                );
                own.count.into_inner()
            }
        };
        let handles =
            (0..FIBERS).map(|number| runtime.spawn(fiber(number, closed.clone(), lend.clone()))).collect();
        let borrowed = (0..FIBERS).map(|_| lent.recv().expect("each lends")).collect();
        Self { runtime, borrowed, gate, handles }
    }

    /// Waits until so many stacks are cold.
    fn await_cold(&self, count: usize) {
        while Runtime::cold_stacks() < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends all, and returns the sum of their counts.
    fn end(self) -> u64 {
        drop(self.gate);
        let sum = self.handles.into_iter().map(|handle| handle.join().expect("it does not panic")).sum();
        assert_eq!(Runtime::cold_stacks(), 0, "who runs is cold no more");
        drop(self.runtime);
        sum
    }
}

fn passes_in_child(test: &str) {
    let output = in_child(test);
    assert!(output.status.success(), "{output:?}");
    print!("{}", stdout(&output));
}

#[test]
fn what_others_write_while_stacks_are_taken_away_is_kept() {
    if !is_child() {
        return passes_in_child("compact::what_others_write_while_stacks_are_taken_away_is_kept");
    }
    let Some(runtime) = runtime() else { return };
    let fibers = Fibers::new(runtime);
    let is_over = AtomicBool::new(false);
    let count = |seed: u64| {
        let (mut random, mut counted) = (seed, 0);
        while !is_over.load(Ordering::Relaxed) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            fibers.borrowed[(random >> 33) as usize % FIBERS].get().count.fetch_add(1, Ordering::Relaxed);
            counted += 1;
            if random >> 60 == 0 {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        counted
    };
    // Those that nobody touches any more get cold while the others are counted in.
    let quiet = |seed: u64| {
        let mut counted = 0;
        for round in 0..20 {
            for fiber in fibers.borrowed.iter().skip(seed as usize + round).step_by(20) {
                fiber.get().count.fetch_add(1, Ordering::Relaxed);
                counted += 1;
            }
            std::thread::sleep(Duration::from_millis(150));
        }
        counted
    };
    let counted: u64 = std::thread::scope(|scope| {
        let busy: Vec<_> = (0..2).map(|seed| scope.spawn(move || count(seed))).collect();
        let others: Vec<_> = (0..2).map(|seed| scope.spawn(move || quiet(seed))).collect();
        let others: u64 = others.into_iter().map(|thread| thread.join().unwrap()).sum();
        is_over.store(true, Ordering::Relaxed);
        others + busy.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    assert_eq!(fibers.end(), counted);
}

#[test]
fn the_kernel_and_a_copy_of_the_process_find_what_is_kept_elsewhere() {
    if !is_child() {
        return passes_in_child("compact::the_kernel_and_a_copy_of_the_process_find_what_is_kept_elsewhere");
    }
    let Some(runtime) = runtime() else { return };
    let fibers = Fibers::new(runtime);
    fibers.await_cold(FIBERS);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    for (number, fiber) in fibers.borrowed.iter().enumerate().take(FIBERS / 2) {
        let word = (number as u64 + 7).to_le_bytes();
        near.write_all(&word).unwrap();
        // The first to touch the page is read(2).
        // SAFETY: nobody else uses it.
        let buffer = unsafe { &mut *fiber.get().buffer.get() };
        assert_eq!(far.read(buffer).unwrap(), 8);
        assert_eq!(*buffer, word);
    }
    assert!(Runtime::cold_stacks() >= FIBERS / 2 - FIBERS / 10, "the others are cold");
    // SAFETY: the child looks at memory and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_right = fibers.borrowed.iter().enumerate().all(|(number, fiber)| {
            let expected = if number < FIBERS / 2 { number as u64 + 7 } else { 0 };
            // SAFETY: nobody else is in the child.
            unsafe { fiber.get().buffer.get().read() == expected.to_le_bytes() }
        });
        // SAFETY: ends the child.
        unsafe { libc::_exit(if is_right { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child, with a live local.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(fibers.end(), 0);
}

/// Whether all the guards of stacks that have an owner fault: the kernel is asked to read there.
fn guards_fault(pipe: &impl AsRawFd) -> bool {
    let owned = abaca_asm::stack::places().into_iter().filter(|place| place.owner != 0);
    let faults = |address: usize| {
        // SAFETY: the kernel reads a byte, or says that it cannot.
        let written = unsafe { libc::write(pipe.as_raw_fd(), address as *const libc::c_void, 1) };
        written < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
    };
    // Both ends: a page of the page table may end in between.
    owned.into_iter().all(|place| faults(place.bottom - 1) && faults(place.bottom - 64 * 1024))
}

#[test]
fn guards_are_there_when_stacks_are_cold_and_when_they_have_come_back() {
    if !is_child() {
        return passes_in_child(
            "compact::guards_are_there_when_stacks_are_cold_and_when_they_have_come_back",
        );
    }
    let Some(runtime) = runtime() else { return };
    let fibers = Fibers::new(runtime);
    let (near, _far) = UnixStream::pair().unwrap();
    fibers.await_cold(FIBERS);
    for fiber in fibers.borrowed.iter().step_by(3) {
        fiber.get().count.fetch_add(1, Ordering::Relaxed);
    }
    // Some have come back among others that have not. A touch of a guard brings its stack back.
    assert!(guards_fault(&near));
    assert!(guards_fault(&near));
    assert_eq!(fibers.end(), FIBERS.div_ceil(3) as u64);
}

#[test]
fn who_wakes_fibers_whose_stacks_are_cold_gets_through_to_them() {
    if !is_child() {
        return passes_in_child("compact::who_wakes_fibers_whose_stacks_are_cold_gets_through_to_them");
    }
    let Some(runtime) = runtime() else { return };
    const EACH: usize = 50;
    let sum = runtime.run(|| {
        let ((gate, closed), (next, mutex)) =
            (bounded::<u64>(1), (Arc::new(Notify::new()), Arc::new(Mutex::new(0))));
        let held = mutex.lock().unwrap();
        let receiver = || {
            let closed = closed.clone();
            move || closed.recv().unwrap()
        };
        let parked: Vec<_> = (0..EACH).map(|_| abaca::spawn(|| (abaca::park(), 1).1)).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = (0..EACH)
            .map(|_| {
                let (mut near, far) = abaca::net::UnixStream::pair().unwrap();
                (abaca::spawn(move || near.read(&mut [0; 8]).unwrap() as u64), far)
            })
            .unzip();
        let others = (0..EACH).flat_map(|_| {
            let (joined, in_scope) = (abaca::spawn(receiver()), receiver());
            let (next, mutex) = (Arc::clone(&next), Arc::clone(&mutex));
            [
                abaca::spawn(move || (next.notified(), 1).1),
                abaca::spawn(move || (*mutex.lock().unwrap() += 1, 1).1),
                abaca::spawn(move || joined.join().unwrap()),
                abaca::spawn(move || abaca::scope(|scope| scope.spawn(in_scope).join().unwrap())),
            ]
        });
        let others: Vec<_> = others.collect();
        // Two for each that is joined.
        while Runtime::cold_stacks() < 7 * EACH {
            abaca::sleep(Duration::from_millis(5));
        }
        drop(held);
        parked.iter().for_each(|fiber| fiber.fiber().unpark());
        (0..EACH).for_each(|_| next.notify_one());
        (0..2 * EACH).for_each(|_| gate.send(1).unwrap());
        writers.into_iter().for_each(|mut far| far.write_all(&[1]).unwrap());
        let all = parked.into_iter().chain(readers).chain(others);
        all.map(|fiber| fiber.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sum, 6 * EACH as u64);
}

#[test]
fn without_the_right_a_runtime_that_compacts_is_refused() {
    if !is_child() {
        return passes_in_child("compact::without_the_right_a_runtime_that_compacts_is_refused");
    }
    if std::fs::read("/proc/sys/vm/unprivileged_userfaultfd").is_ok_and(|text| text.starts_with(b"1")) {
        return;
    }
    // SAFETY: gives up the rights of this process, if it has any.
    unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    let error = builder().build().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported), "{error}");
    if error.kind() == ErrorKind::PermissionDenied {
        assert!(error.to_string().contains("CAP_SYS_PTRACE"), "{error}");
    }
    assert_eq!(Runtime::cold_stacks(), 0);
}
