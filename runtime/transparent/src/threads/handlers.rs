//! Handlers of signals, of which the runtime must know that they have run: a call that waits ends in EINTR then, or goes on, as on a thread.
//!
//! A signal of the process runs its handler on a thread that the kernel chooses: the main thread, if it does not block the signal. So it
//! interrupts the main fiber, if the main thread waits for one, and if that fiber is in a call that waits here. (Else it
//! interrupts the fiber that has waited the longest, as in a program of one thread.) A signal that `pthread_kill` sends to a fiber has its
//! handler run on that fiber, from the call in which it waits or the next one that would.
//!
//! In place of a handler a function of this file is set up, which calls it. It runs wherever the signal has interrupted the process, also in
//! the middle of the runtime's code, so it only notes what has happened, for a thread that then acts.
//!
//! Handlers for faults are left alone: they run for what their own thread did.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and calls handlers")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use abaca::hook::{self, Interrupted};
use libc::{SA_RESTART, SIG_DFL, SIG_ERR, SIG_IGN, sighandler_t, siginfo_t};

use super::create::ALIVE;
use super::record::Record;
use crate::enter::{is_installed, within_handler};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The signals of the kernel, from 1 on.
const SIGNALS: usize = 65;

/// What the user wants to be called for each; 0 if that is nothing of this file.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The flags of each.
static FLAGS: [AtomicI32; SIGNALS] = [const { AtomicI32::new(0) }; SIGNALS];

/// The signals whose handlers have run since the relay looked.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// How often handlers have run.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Whether the relay was started.
static HAS_RELAY: AtomicBool = AtomicBool::new(false);

/// The relay's eventfd; below 0 if it does not run.
static BELL: AtomicI32 = AtomicI32::new(-1);

thread_local! {
    /// Whether the calling fiber sends itself a signal that another has sent to it.
    static IS_ATTENDING: Cell<bool> = const { Cell::new(false) };
    /// How many handlers the caller is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// How often handlers had run when the fiber last blocked signals.
    static BLOCKED_AT: Cell<u64> = const { Cell::new(0) };
}

/// What of a signal is of the process, or the thread's own doing.
fn is_fault(signal: c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT]
        .contains(&signal)
}

fn index(signal: c_int) -> Option<usize> {
    usize::try_from(signal).ok().filter(|signal| (1..SIGNALS).contains(signal))
}

/// Stands for each of the user's handlers. One that takes only the number ignores the rest.
extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let handler = HANDLERS[index(signal).unwrap_or(0)].load(Ordering::SeqCst);
    if handler != 0 {
        DEPTH.set(DEPTH.get() + 1);
        within_handler(|| {
            // SAFETY: the user has set it up for this, and the arguments are the kernel's.
            let handler = unsafe {
                std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(handler)
            };
            handler(signal, info, context);
        });
        DEPTH.set(DEPTH.get() - 1);
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    if !IS_ATTENDING.get() && hook::handles_for_fibers() {
        HANDLED.fetch_or(1 << (signal - 1), Ordering::SeqCst);
        ring();
    }
}

/// Wakes the relay. May be called in a handler.
fn ring() {
    let bell = BELL.load(Ordering::SeqCst);
    let one = 1_u64;
    // SAFETY: the kernel reads a number. If there is no relay, nothing waits.
    unsafe { kernel!(libc::SYS_write, bell, &raw const one, 8) };
}

/// Addresses of semaphores that handlers have posted while somebody slept there.
static POSTED: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// Whether the caller is in a handler: then it may have interrupted the code that would wake somebody. The relay wakes who sleeps at
/// `address`.
pub(crate) fn wakes_later(address: usize) -> bool {
    if DEPTH.get() == 0 || BELL.load(Ordering::SeqCst) < 0 {
        return false;
    }
    // As many as are there at once are few; the same address need be there once.
    let is_noted = POSTED.iter().any(|slot| {
        slot.compare_exchange(0, address, Ordering::SeqCst, Ordering::SeqCst)
            .map_or_else(|there| there == address, |_| true)
    });
    ring();
    is_noted
}

/// Starts the thread that acts on what handlers have noted, unless it runs.
pub(crate) fn start_relay() {
    static WATCH: std::sync::Once = std::sync::Once::new();
    if HAS_RELAY.swap(true, Ordering::SeqCst) {
        return;
    }
    // SAFETY: the handler is static, and writes atomics.
    WATCH.call_once(|| _ = unsafe { libc::pthread_atfork(None, None, Some(lose_relay)) });
    // SAFETY: no memory is involved.
    let bell = unsafe { kernel!(libc::SYS_eventfd2, 0, libc::EFD_CLOEXEC) } as c_int;
    hook::arm(attend);
    let relay = move || {
        // SAFETY: a set of this function's; a number.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            own!(fn pthread_sigmask(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)(
                libc::SIG_SETMASK,
                &all,
                ptr::null_mut(),
            );
        }
        loop {
            let mut count = 0_u64;
            // SAFETY: a number.
            unsafe { kernel!(libc::SYS_read, bell, &raw mut count, 8) };
            act();
        }
    };
    let started =
        hook::as_kernel_threads(|| std::thread::Builder::new().name("abaca-handlers".into()).spawn(relay));
    if started.is_ok() {
        // What came before was for nobody who waits now.
        HANDLED.store(0, Ordering::SeqCst);
        BELL.store(bell, Ordering::SeqCst);
    }
}

/// A child of fork(2) has no relay, and its parent's bell. It starts one when one of its fibers first waits.
extern "C" fn lose_relay() {
    BELL.store(-1, Ordering::SeqCst);
    HANDLED.store(0, Ordering::SeqCst);
    HAS_RELAY.store(false, Ordering::SeqCst);
}

/// A handler is set up: fibers that wait from now on can be interrupted. The first that waits, or is made a thread, starts the relay: a program
/// without has one thread, and may close all descriptors, as daemons do.
fn await_fibers() {
    if !is_installed() {
    } else if has_fibers() {
        start_relay();
    } else {
        hook::arm(attend);
    }
}

/// Fibers may wait now: whether a handler is set up counts.
pub(crate) fn start_relay_if_needed() {
    if HANDLERS.iter().any(|handler| handler.load(Ordering::SeqCst) != 0) {
        await_fibers();
    }
}

/// Whether some thread is a fiber, or the caller is.
fn has_fibers() -> bool {
    // Relaxed: who makes the first one looks here for handlers.
    ALIVE.load(Ordering::Relaxed) != 0 || hook::on_fiber()
}

fn act() {
    for slot in &POSTED {
        match slot.swap(0, Ordering::SeqCst) {
            0 => {}
            // Each that finds nothing sleeps again.
            address => _ = hook::wake_at(address, u32::MAX, usize::MAX),
        }
    }
    let handled = HANDLED.swap(0, Ordering::SeqCst);
    for signal in (1..SIGNALS).filter(|signal| handled & 1 << (signal - 1) != 0) {
        hook::interrupt_one(effect(signal));
    }
}

fn effect(signal: usize) -> Interrupted {
    if FLAGS[signal].load(Ordering::SeqCst) & SA_RESTART != 0 {
        Interrupted::Restarts
    } else {
        Interrupted::Ends
    }
}

/// The signals that were sent to a thread that is a fiber, and of which no handler has run yet.
#[derive(Default)]
pub(crate) struct Pending {
    signals: AtomicU64,
    /// The fiber; 0 before it runs, and when it has ended.
    fiber: AtomicUsize,
}

impl Pending {
    /// The calling fiber is this thread.
    pub(crate) fn begin(&self) {
        self.fiber.store(hook::fiber_key(), Ordering::SeqCst);
    }

    /// The thread has ended.
    pub(crate) fn end(&self) {
        self.fiber.store(0, Ordering::SeqCst);
    }

    /// Sends a signal to the thread; false if the signal has no handler that the thread could run.
    pub(crate) fn send(&self, signal: c_int, wake: impl FnOnce()) -> bool {
        let Some(index) = index(signal).filter(|index| HANDLERS[*index].load(Ordering::SeqCst) != 0) else {
            return false;
        };
        self.signals.fetch_or(1 << (index - 1), Ordering::SeqCst);
        match self.fiber.load(Ordering::SeqCst) {
            0 => {}
            fiber => {
                hook::interrupt_fiber(fiber, Interrupted::Restarts);
                wake();
            }
        }
        true
    }
}

/// Runs the handlers of the signals that were sent to the calling thread.
fn attend() -> Interrupted {
    if !HAS_RELAY.load(Ordering::Relaxed) {
        start_relay();
    }
    let Some(record) = Record::current_within() else { return Interrupted::Not };
    let signals = record.pending.signals.swap(0, Ordering::SeqCst);
    let mut effect_of_all = Interrupted::Not;
    for signal in (1..SIGNALS).filter(|signal| signals & 1 << (signal - 1) != 0) {
        effect_of_all = effect_of_all.max(effect(signal));
        IS_ATTENDING.set(true);
        // The kernel runs the handler before this returns, with all that belongs to it.
        // SAFETY: no memory is involved.
        unsafe { kernel!(libc::SYS_tgkill, kernel!(libc::SYS_getpid), kernel!(libc::SYS_gettid), signal) };
        IS_ATTENDING.set(false);
    }
    effect_of_all
}

hooks! {
    /// sigaction(2).
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int, |_| -> always {
        let own = own!(fn sigaction(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int);
        let ours = handle as *const () as usize;
        let Some(index) = index(signal).filter(|_| !is_fault(signal)) else {
            // SAFETY: the caller's promise.
            return unsafe { own(signal, new, old) };
        };
        // SAFETY: null, or the user's.
        let wanted = unsafe { new.as_ref() }.copied();
        let before = HANDLERS[index].load(Ordering::SeqCst);
        let mut action = wanted;
        if let Some(action) = &mut action {
            if ![SIG_DFL, SIG_IGN, ours].contains(&action.sa_sigaction) {
                HANDLERS[index].store(action.sa_sigaction, Ordering::SeqCst);
                action.sa_sigaction = ours;
                await_fibers();
            }
            FLAGS[index].store(action.sa_flags, Ordering::SeqCst);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own(signal, action.as_ref().map_or(ptr::null(), ptr::from_ref), old) };
        if result != 0 {
            HANDLERS[index].store(before, Ordering::SeqCst);
        }
        // SAFETY: null, or the user's, which the kernel has written.
        if let Some(old) = unsafe { old.as_mut() }.filter(|_| result == 0) && old.sa_sigaction == ours {
            old.sa_sigaction = before;
        }
        result
    }

    /// signal(2): calls that a handler interrupts go on, unless `siginterrupt` has said otherwise.
    fn signal(number: c_int, handler: sighandler_t) -> sighandler_t, |_| -> always {
        let ours = handle as *const () as usize;
        let own = own!(fn signal(c_int, sighandler_t) -> sighandler_t);
        let Some(index) = index(number).filter(|_| !is_fault(number)) else {
            // SAFETY: the caller's promise.
            return unsafe { own(number, handler) };
        };
        let before = HANDLERS[index].load(Ordering::SeqCst);
        let is_handler = ![SIG_DFL, SIG_IGN, SIG_ERR, ours].contains(&handler);
        if is_handler {
            HANDLERS[index].store(handler, Ordering::SeqCst);
            await_fibers();
        }
        // SAFETY: the caller's promise.
        let old = unsafe { own(number, if is_handler { ours } else { handler }) };
        if old == SIG_ERR {
            HANDLERS[index].store(before, Ordering::SeqCst);
        }
        note_flags(number);
        if old == ours { before } else { old }
    }

    /// siginterrupt(3).
    fn siginterrupt(signal: c_int, ends: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn siginterrupt(c_int, c_int) -> c_int)(signal, ends) };
        note_flags(signal);
        result
    }

    /// pthread_sigmask(3). The mask is the OS thread's.
    fn pthread_sigmask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> c_int, |_| -> always {
        note_mask(set);
        // SAFETY: the caller's promise.
        unsafe { own!(fn pthread_sigmask(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)(how, set, old) }
    }

    /// sigprocmask(2), the same.
    fn sigprocmask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> c_int, |_| -> always {
        note_mask(set);
        // SAFETY: the caller's promise.
        unsafe { own!(fn sigprocmask(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)(how, set, old) }
    }

    /// pause(2): until a handler has run for the fiber.
    fn pause() -> c_int, |_| -> kernel_point {
        start_relay();
        until_handled()
    }

    /// sigsuspend(2). Handlers run on other threads than the fiber's, where its mask does not count: the wait ends if one has run since the
    /// fiber has blocked signals.
    fn sigsuspend(_mask: *const libc::sigset_t) -> c_int, |_| -> kernel_point {
        start_relay();
        let count = COUNT.load(Ordering::SeqCst);
        if BLOCKED_AT.replace(count) != count {
            return crate::answer::failed(libc::EINTR);
        }
        until_handled()
    }
}

fn note_mask(set: *const libc::sigset_t) {
    if !set.is_null() && is_installed() {
        BLOCKED_AT.set(COUNT.load(Ordering::SeqCst));
    }
}

fn until_handled() -> isize {
    match super::sleep::until(&super::until::Until::Never) {
        hook::Slept::Cancelled => crate::answer::failed(libc::ECANCELED),
        _ => crate::answer::failed(libc::EINTR),
    }
}

/// Notes the flags that a function of libc's has set.
fn note_flags(signal: c_int) {
    let Some(index) = index(signal) else { return };
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: writes a local.
    unsafe {
        if own!(fn sigaction(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int)(
            signal,
            ptr::null(),
            now.as_mut_ptr(),
        ) == 0
        {
            FLAGS[index].store(now.assume_init().sa_flags, Ordering::SeqCst);
        }
    }
}
