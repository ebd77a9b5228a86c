//! Asking a thread which code it is in, without disturbing what it waits for.
//!
//! The question is a timer on the thread's own processor time, which is over at once: it goes off while the thread runs, and
//! never while it sleeps. Where the kernel looks at such timers on its way back to user code (its option
//! POSIX_CPU_TIMERS_TASK_WORK, on x86_64 since Linux 5.9), the thread has nothing left then that a signal could interrupt, so
//! no call of a library that knows nothing of us ends with EINTR. Elsewhere a tick of the clock within a call that is about
//! to sleep can still do so.
//!
//! The handler walks the stack and stores addresses; to look up their names is the asker's affair. The signal is SIGURG,
//! which is ignored by default; a timer's is told from any other, which goes on to whoever was there before.
//!
//! Rejected: tgkill(2) to a thread that was seen running. By the time it arrives the thread may wait in poll(2).

#![expect(unsafe_code, reason = "a signal handler, and system calls that have it called")]

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::futex;
use super::handler::{Delivery, Entry, LAYERS, Layers, Mask, with_errno_kept};

/// Tells what the interrupted thread is at, to be compared with what it was expected to be at. Does no more than a signal
/// handler may.
pub(crate) type Subject = fn() -> usize;

/// The most frames of an answer.
const FRAMES: usize = 64;

/// A thread that computes answers at the next tick of its clock.
const PATIENCE: Duration = Duration::from_millis(200);

static SUBJECT: OnceLock<Subject> = OnceLock::new();

static COVERED: Layers = Layers::new();

const ENTRIES: [Entry; LAYERS] = [on_nudge::<0>, on_nudge::<1>, on_nudge::<2>, on_nudge::<3>];

/// One question at a time in the process: whoever asks holds this.
static ASKING: Mutex<u32> = Mutex::new(0);

/// How far the question has come: its number, times 4, and one of the stages below.
static STAGE: AtomicU32 = AtomicU32::new(0);

const ASKED: u32 = 1;
const ANSWERING: u32 = 2;
const ANSWERED: u32 = 3;

/// What the thread is expected to be at.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// The answer, innermost first.
static ANSWER: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];

/// The addresses of the code that the thread is in, innermost first, if it computes and is still at `expected`. Waits for
/// them a fifth of a second at most; `None` also when somebody else asks.
pub(crate) fn ask(thread_id: i32, subject: Subject, expected: usize) -> Option<Vec<usize>> {
    let mut number = match ASKING.try_lock() {
        Ok(number) => number,
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        Err(TryLockError::WouldBlock) => return None,
    };
    *number = (*number + 1) % (1 << 30);
    let question = *number << 2;
    SUBJECT.get_or_init(|| subject);
    COVERED.cover(libc::SIGURG, &ENTRIES).ok()?;
    EXPECTED.store(expected, Ordering::Relaxed);
    // Release: pairs with the exchange in the handler.
    STAGE.store(question | ASKED, Ordering::Release);
    let timer = Timer::start(thread_id, question)?;
    let deadline = Instant::now() + PATIENCE;
    while STAGE.load(Ordering::Acquire) == question | ASKED && Instant::now() < deadline {
        futex::wait(&STAGE, question | ASKED, Some(deadline));
    }
    drop(timer);
    // From here on no handler begins to answer. AcqRel: pairs with the handler's.
    let taken_back =
        STAGE.compare_exchange(question | ASKED, question, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if taken_back {
        return None;
    }
    while STAGE.load(Ordering::Acquire) == question | ANSWERING {
        std::thread::yield_now();
    }
    let frames = ANSWER.iter().map(|frame| frame.load(Ordering::Relaxed));
    let frames: Vec<_> = frames.take_while(|frame| *frame != 0).collect();
    (!frames.is_empty()).then_some(frames)
}

/// A timer of the kernel on another thread's processor time, which is over at once.
struct Timer(libc::c_int);

impl Timer {
    fn start(thread_id: i32, value: u32) -> Option<Self> {
        /// The bits of a clock's number that say: of a thread, as the scheduler counts.
        const THREAD_CLOCK: libc::clockid_t = 6;
        // SAFETY: all zeroes are a valid value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGURG;
        event.sigev_notify_thread_id = thread_id;
        event.sigev_value = libc::sigval { sival_ptr: ptr::without_provenance_mut(value as usize) };
        let clock = !thread_id << 3 | THREAD_CLOCK;
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
        // SAFETY: made by `start`, and nobody else's.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields.
extern "C" fn on_nudge<const LAYER: usize>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: these are the arguments of a handler that is installed with SA_SIGINFO.
    let delivery = unsafe { Delivery::new(signal, info, context) };
    with_errno_kept(|| {
        // Nobody else uses this signal with a timer of such a value; one that comes too late is still ours.
        let is_ours = delivery.code() == libc::SI_TIMER && delivery.value() & 3 == 0;
        if !is_ours {
            COVERED.pass_on(LAYER, &delivery, Mask::Narrow);
        } else if let Ok(question) = u32::try_from(delivery.value()) {
            answer(question, &delivery);
        }
    });
}

fn answer(question: u32, delivery: &Delivery) {
    // Acquire: pairs with the Release in `ask`.
    let begun =
        STAGE.compare_exchange(question | ASKED, question | ANSWERING, Ordering::AcqRel, Ordering::Relaxed);
    if begun.is_err() {
        return;
    }
    let is_expected = SUBJECT.get().is_some_and(|subject| subject() == EXPECTED.load(Ordering::Relaxed));
    let mut count = 0;
    if is_expected {
        let interrupted = delivery.program_counter();
        // The first frames are those of this handler.
        let mut has_begun = interrupted == 0;
        // SAFETY: the lock that is not taken protects the names, which are not asked for here.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                let at = frame.ip() as usize;
                has_begun |= at == interrupted;
                if has_begun {
                    ANSWER[count].store(at, Ordering::Relaxed);
                    count += 1;
                }
                count < FRAMES
            });
        }
    }
    if count < FRAMES {
        ANSWER[count].store(0, Ordering::Relaxed);
    }
    // Release: pairs with the Acquire in `ask`.
    STAGE.store(question | ANSWERED, Ordering::Release);
    futex::wake_one(STAGE.as_ptr());
}
