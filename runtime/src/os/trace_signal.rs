//! A signal that makes a thread record its backtrace, without disturbing what it waits for.
//!
//! The signal comes from a timer on the thread's own processor time, which expires at once: it goes off while the thread runs,
//! and never while it sleeps. Where the kernel handles such timers on its way back to user code (its option
//! POSIX_CPU_TIMERS_TASK_WORK, on x86_64 since Linux 5.9), the thread is then in no call that a signal could interrupt, so no
//! call of a library that knows nothing of us ends with EINTR. Elsewhere a tick of the clock within a call that is about to
//! sleep can still do so.
//!
//! The handler walks the stack and stores addresses; the requesting thread looks up their names. The signal is SIGURG, which
//! is ignored by default. A signal from such a timer is told from any other SIGURG, which is passed on to the handler that was
//! installed before.
//!
//! Rejected: tgkill(2) to a thread that was seen running. By the time the signal arrives, the thread may wait in poll(2).

#![expect(unsafe_code, reason = "a signal handler, and system calls that have it called")]

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::futex;
use super::handler::{Delivery, Entry, LAYERS, Layers, Mask, with_errno_kept};
use super::thread_time;
use crate::atomic::thread_yield;

/// Returns what the interrupted thread is running, to be compared with what it was expected to run. It must be
/// async-signal-safe.
pub(crate) type Subject = fn() -> usize;

/// The most frames of a backtrace.
const FRAMES: usize = 64;

static SUBJECT: OnceLock<Subject> = OnceLock::new();

static COVERED: Layers = Layers::new();

static ENTRIES: [Entry; LAYERS] = [on_sigurg::<0>, on_sigurg::<1>, on_sigurg::<2>, on_sigurg::<3>];

/// Held during a request, of which the process has one at a time: the number of the last one.
static REQUEST: Mutex<u32> = Mutex::new(0);

/// The state of the request: its number, times 4, and one of the stages below.
static STAGE: AtomicU32 = AtomicU32::new(0);

const REQUESTED: u32 = 1;
const RECORDING: u32 = 2;
const RECORDED: u32 = 3;

/// What the thread is expected to run.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// The backtrace, innermost frame first.
static BACKTRACE: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];

/// The registers with the backtrace. Nobody reads them as such, but who searches all memory for something that a thread has finds here
/// what it has in a register alone.
static REGISTERS: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// The backtrace of a thread as code addresses, innermost first. `None` if the thread does not compute within `limit` (if it does, it
/// gets the signal at the next tick of its clock), if it no longer runs `expected`, or if another request is under way.
pub(crate) fn trace(
    thread_id: i32,
    subject: Subject,
    expected: usize,
    limit: Duration,
) -> Option<Vec<usize>> {
    let mut number = match REQUEST.try_lock() {
        Ok(number) => number,
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        Err(TryLockError::WouldBlock) => return None,
    };
    *number = (*number + 1) % (1 << 30);
    let request = *number << 2;
    SUBJECT.get_or_init(|| subject);
    COVERED.cover(libc::SIGURG, &ENTRIES).ok()?;
    EXPECTED.store(expected, Ordering::Relaxed);
    // Release: pairs with the exchange in the handler.
    STAGE.store(request | REQUESTED, Ordering::Release);
    let timer = Timer::start(thread_id, request)?;
    let deadline = Instant::now() + limit;
    while STAGE.load(Ordering::Acquire) == request | REQUESTED && Instant::now() < deadline {
        futex::wait(&STAGE, request | REQUESTED, Some(deadline));
    }
    drop(timer);
    // From here on no handler begins to record. AcqRel: pairs with the handler's.
    let is_withdrawn =
        STAGE.compare_exchange(request | REQUESTED, request, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if is_withdrawn {
        return None;
    }
    while STAGE.load(Ordering::Acquire) == request | RECORDING {
        thread_yield();
    }
    let frames = BACKTRACE.iter().map(|frame| frame.load(Ordering::Relaxed));
    let frames: Vec<_> = frames.take_while(|frame| *frame != 0).collect();
    (!frames.is_empty()).then_some(frames)
}

/// A timer of the kernel on another thread's processor time. It expires at once.
struct Timer(libc::c_int);

impl Timer {
    fn start(thread_id: i32, value: u32) -> Option<Self> {
        // SAFETY: all zeroes are a valid value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGURG;
        event.sigev_notify_thread_id = thread_id;
        event.sigev_value = libc::sigval { sival_ptr: ptr::without_provenance_mut(value as usize) };
        let clock = thread_time::clock_of(thread_id);
        let mut id: libc::c_int = 0;
        // SAFETY: timer_create(2) reads and writes live locals.
        if unsafe { libc::syscall(libc::SYS_timer_create, clock, &raw mut event, &raw mut id) } != 0 {
            return None;
        }
        let this = Self(id);
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 1 };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: never, it_value: soon };
        // SAFETY: timer_settime(2) reads a live local; the old time is not asked for.
        let result = unsafe {
            libc::syscall(
                libc::SYS_timer_settime,
                id,
                0,
                &raw const spec,
                ptr::null_mut::<libc::itimerspec>(),
            )
        };
        (result == 0).then_some(this)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: `start` made the timer, and nothing else uses it.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields.
extern "C" fn on_sigurg<const LAYER: usize>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: these are the arguments of a handler that is installed with SA_SIGINFO.
    let delivery = unsafe { Delivery::new(signal, info, context) };
    with_errno_kept(|| {
        // Nothing else uses this signal with a timer of such a value. A signal that comes too late is still ours.
        let is_ours = delivery.code() == libc::SI_TIMER && delivery.value() & 3 == 0;
        if !is_ours {
            COVERED.pass_on(LAYER, &delivery, Mask::Narrow);
        } else if let Ok(request) = u32::try_from(delivery.value()) {
            record(request, &delivery);
        }
    });
}

fn record(request: u32, delivery: &Delivery) {
    // Acquire: pairs with the Release in `trace`.
    let begun =
        STAGE.compare_exchange(request | REQUESTED, request | RECORDING, Ordering::AcqRel, Ordering::Relaxed);
    if begun.is_err() {
        return;
    }
    let is_expected = SUBJECT.get().is_some_and(|subject| subject() == EXPECTED.load(Ordering::Relaxed));
    let mut count = 0;
    if is_expected {
        for (place, register) in REGISTERS.iter().zip(delivery.registers()) {
            place.store(register, Ordering::Relaxed);
        }
        let interrupted = delivery.program_counter();
        // The first frames are those of this handler.
        let mut has_begun = interrupted == 0;
        // SAFETY: the lock that is not taken protects the symbol names, which are not looked up here.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                let at = frame.ip() as usize;
                has_begun |= at == interrupted;
                if has_begun {
                    BACKTRACE[count].store(at, Ordering::Relaxed);
                    count += 1;
                }
                count < FRAMES
            });
        }
    }
    if count < FRAMES {
        BACKTRACE[count].store(0, Ordering::Relaxed);
    }
    // Release: pairs with the Acquire in `trace`.
    STAGE.store(request | RECORDED, Ordering::Release);
    futex::wake_in_handler(&STAGE);
}
