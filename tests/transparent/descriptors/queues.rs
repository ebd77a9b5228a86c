//! Queues and semaphores that processes share.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CString, c_int, c_long};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libc::{ECANCELED, IPC_CREAT, IPC_NOWAIT, IPC_PRIVATE, IPC_RMID, O_CREAT, O_NONBLOCK, O_RDWR, timespec};

use crate::support::{on_one_worker, outcome, same};

// SAFETY: as glibc defines it.
unsafe extern "C" {
    fn semtimedop(set: c_int, operations: *mut libc::sembuf, count: usize, timeout: *const timespec)
    -> c_int;
}

/// A queue of POSIX's with room for one message, which is gone with its descriptor.
fn posix(flags: c_int) -> c_int {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("/abaca-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
    let name = CString::new(name).unwrap();
    // SAFETY: a name, and attributes whose zeros are no flags.
    unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        (attributes.mq_maxmsg, attributes.mq_msgsize) = (1, 8);
        let queue = libc::mq_open(name.as_ptr(), O_RDWR | O_CREAT | flags, 0o600, &raw mut attributes);
        assert!(queue >= 0, "{}", std::io::Error::last_os_error());
        libc::mq_unlink(name.as_ptr());
        queue
    }
}

/// A queue of System V's, which is gone with the value.
struct System(c_int);

impl System {
    fn new() -> Self {
        // SAFETY: it takes numbers.
        Self(unsafe { libc::msgget(IPC_PRIVATE, IPC_CREAT | 0o600) })
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // SAFETY: it is the value's.
        unsafe { libc::msgctl(self.0, IPC_RMID, null_mut()) };
    }
}

/// A semaphore of System V's that is 0.
struct Set(c_int);

impl Set {
    fn new() -> Self {
        // SAFETY: it takes numbers.
        Self(unsafe { libc::semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600) })
    }

    fn add(&self, change: i16, flags: c_int, millis: Option<c_long>) -> (isize, i32) {
        let mut operation = libc::sembuf { sem_num: 0, sem_op: change, sem_flg: flags as i16 };
        let time = millis.map(|millis| timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 });
        // SAFETY: one operation, and a time.
        outcome(unsafe {
            match &time {
                None => libc::semop(self.0, &mut operation, 1),
                Some(time) => semtimedop(self.0, &mut operation, 1, time),
            }
        } as isize)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: it is the value's.
        unsafe { libc::semctl(self.0, 0, IPC_RMID) };
    }
}

/// A message with its kind.
type Message = [c_long; 2];

fn receive(queue: c_int, flags: c_int) -> (isize, i32) {
    let mut message: Message = [0; 2];
    // SAFETY: a kind and eight bytes.
    outcome(unsafe { libc::msgrcv(queue, message.as_mut_ptr().cast(), 8, 0, flags) })
}

fn send(queue: c_int, flags: c_int) -> (isize, i32) {
    let message: Message = [1, 2];
    // SAFETY: a kind and eight bytes.
    outcome(unsafe { libc::msgsnd(queue, message.as_ptr().cast(), 8, flags) } as isize)
}

fn mq_receive(queue: c_int) -> (isize, i32) {
    // SAFETY: as many bytes as a message may have.
    outcome(unsafe { libc::mq_receive(queue, [0; 8].as_mut_ptr(), 8, null_mut()) })
}

fn mq_send(queue: c_int) -> (isize, i32) {
    // SAFETY: three bytes.
    outcome(unsafe { libc::mq_send(queue, c"abc".as_ptr(), 3, 0) } as isize)
}

/// The time of a clock, some milliseconds from now.
fn soon(millis: c_long) -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a time.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
    let nanos = now.tv_nsec + millis * 1_000_000;
    timespec { tv_sec: now.tv_sec + nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 }
}

#[test]
fn queues_wait_time_out_and_say_so() {
    same("POSIX's queue", |world| {
        let (queue, never_waits) = (posix(0), posix(O_NONBLOCK));
        let helper = world.when_waiting(move || assert_eq!(mq_send(queue), (0, 0)));
        let mut found = vec![mq_receive(queue)];
        helper.join();
        found.push(mq_send(queue));
        let helper = world.when_waiting(move || assert_eq!(mq_receive(queue), (3, 0)));
        found.push(mq_send(queue));
        helper.join();
        // SAFETY: buffers and times of the test's.
        unsafe {
            let invalid = timespec { tv_sec: 0, tv_nsec: -1 };
            let before_all = timespec { tv_sec: -1, tv_nsec: 0 };
            for time in [soon(20), invalid, before_all] {
                found.push(outcome(libc::mq_timedsend(queue, c"abc".as_ptr(), 3, 0, &time) as isize));
            }
            found.push(mq_receive(queue));
            for time in [soon(20), invalid, before_all] {
                found.push(outcome(libc::mq_timedreceive(queue, [0; 8].as_mut_ptr(), 8, null_mut(), &time)));
            }
            found.extend([
                mq_receive(never_waits),
                mq_send(never_waits),
                mq_send(never_waits),
                mq_receive(-1),
            ]);
            libc::close(queue);
            libc::close(never_waits);
        }
        found
    });
    same("System V's queue", |world| {
        let queue = System::new();
        let id = queue.0;
        let helper = world.when_waiting(move || assert_eq!(send(id, 0), (0, 0)));
        let mut found = vec![receive(id, 0)];
        helper.join();
        found.push(receive(id, IPC_NOWAIT));
        while send(id, IPC_NOWAIT) == (0, 0) {}
        found.push(send(id, IPC_NOWAIT));
        let helper = world.when_waiting(move || assert_eq!(receive(id, 0), (8, 0)));
        found.push(send(id, 0));
        helper.join();
        found.push(receive(-1, 0));
        found
    });
    same("System V's semaphores", |world| {
        let set = Set::new();
        let id = set.0;
        let helper = world.when_waiting(move || {
            let other = std::mem::ManuallyDrop::new(Set(id));
            assert_eq!(other.add(1, 0, None), (0, 0));
        });
        let mut found = vec![set.add(-1, 0, None)];
        helper.join();
        found.extend([
            set.add(-1, IPC_NOWAIT, None),
            set.add(-1, 0, Some(20)),
            set.add(2, 0, None),
            set.add(-1, 0, Some(20)),
        ]);
        found
    });
}

/// A call that waits until it is cancelled, and its name.
type Waiting = (&'static str, Box<dyn FnOnce() -> (isize, i32) + Send>);

#[test]
fn a_cancelled_call_is_an_error() {
    on_one_worker(|| {
        let (queue, set) = (System::new(), Set::new());
        let (id, semaphores, posix) = (queue.0, set.0, posix(0));
        let calls: Vec<Waiting> = vec![
            ("msgrcv", Box::new(move || receive(id, 0))),
            ("semop", Box::new(move || std::mem::ManuallyDrop::new(Set(semaphores)).add(-1, 0, None))),
            ("mq_receive", Box::new(move || mq_receive(posix))),
        ];
        for (name, call) in calls {
            let fiber = abaca::spawn(call);
            (0..20).for_each(|_| abaca::yield_now());
            assert!(!fiber.is_finished(), "{name} waits");
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (-1, ECANCELED), "{name}");
        }
        // SAFETY: it is the test's.
        unsafe { libc::close(posix) };
    });
}
