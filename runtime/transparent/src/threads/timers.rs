//! Timers whose signals are for a thread that is a fiber (SIGEV_THREAD_ID). The kernel knows its own threads only. So such a timer sends the signal of
//! `kick.rs` to a thread of the runtime's, which sends the fiber what its creator has asked for, as pthread_sigqueue(3) does.
//!
//! The kernel keeps one signal of a timer, and counts how often the time was up while that has waited. As it has given that to the runtime's thread, the
//! count goes on in a place of the timer's here, if there is one.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc;

use abaca::hook::{self, AtFork, PerProcess};
use libc::{SIGEV_THREAD_ID, clockid_t, pid_t, sigevent, siginfo_t, timer_t};

use super::attributes::send_to_fiber;
use super::handlers::index;
use super::number::{is_fibers, of_kernel, with_record};
use crate::answer::{answer, of_c};
use crate::calls::kick::{only, set_mask, usable_signal};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// A timer for a fiber.
#[derive(Clone, Copy)]
struct Timer {
    /// The kernel's number of it.
    number: usize,
    /// The fiber's.
    thread: pid_t,
    signal: c_int,
    /// What the handler is told: `sigev_value`.
    value: usize,
}

/// The timers, by what their signals tell the runtime's thread.
static TIMERS: PerProcess<BTreeMap<usize, Timer>> = PerProcess::new(BTreeMap::new);

/// What is counted of a timer whose signal waits for its fiber. Handlers take signals: so it is found without a lock, by the timer's number.
struct Place {
    /// The timer's number and 1; 0 if it is nobody's.
    owner: AtomicUsize,
    /// 0 if no signal waits; else 1, and how often the time was up since that was sent.
    waits: AtomicUsize,
    /// What timer_getoverrun(2) tells.
    overrun: AtomicI32,
}

/// A timer whose number leads to another's place has none: each signal of it waits for itself.
static PLACES: [Place; 256] =
    [const { Place { owner: AtomicUsize::new(0), waits: AtomicUsize::new(0), overrun: AtomicI32::new(0) } };
        256];

/// The place of the timer of this number.
fn place_of(number: usize) -> Option<&'static Place> {
    let place = &PLACES[number % PLACES.len()];
    (place.owner.load(Ordering::SeqCst) == number + 1).then_some(place)
}

/// Where the number of a timer and the count of its overruns are in what is told of its signal, in words of an int, and its value.
const NUMBER: usize = 4;
const OVERRUN: usize = 5;
const VALUE: usize = 6;

/// The number of the timer whose signal this is, if it is one's.
fn number_of(info: &siginfo_t) -> Option<usize> {
    // SAFETY: the fields of a timer's signal are two ints after three and padding.
    let number = || unsafe { ptr::from_ref(info).cast::<c_int>().add(NUMBER).read() };
    if info.si_code == libc::SI_TIMER { usize::try_from(number()).ok() } else { None }
}

/// A signal is told to its thread now, or to nobody: the next one of that timer waits again. May be called in a handler.
pub(super) fn note_told(info: &mut siginfo_t) {
    let Some(place) = number_of(info).and_then(place_of) else { return };
    let missed = place.waits.swap(0, Ordering::SeqCst).saturating_sub(1);
    // SAFETY: as above.
    let overrun = unsafe { &mut *ptr::from_mut(info).cast::<c_int>().add(OVERRUN) };
    *overrun = overrun.saturating_add(missed.try_into().unwrap_or(c_int::MAX));
    place.overrun.store(*overrun, Ordering::SeqCst);
}

/// The kernel's number of the thread that gets the signals of all timers; 0 before it is there.
static RECEIVER: AtomicI32 = AtomicI32::new(0);

/// Held by who starts that thread.
static STARTING: PerProcess<()> = PerProcess::new(|| ());

fn receiver(signal: c_int) -> Option<pid_t> {
    let _starting = STARTING.lock();
    let running = RECEIVER.load(Ordering::Acquire);
    if running != 0 {
        return Some(running);
    }
    static WATCH: AtFork = AtFork::in_each_copy(lose_timers);
    WATCH.set_up();
    let (tell, told) = mpsc::sync_channel(1);
    let body = move || receive(signal, &tell);
    let started =
        hook::as_kernel_threads(|| std::thread::Builder::new().name("abaca-timers".into()).spawn(body));
    let number = started.ok().and_then(|_| told.recv().ok())?;
    RECEIVER.store(number, Ordering::Release);
    Some(number)
}

/// A copy of the process has no timers, and no such thread.
extern "C" fn lose_timers() {
    RECEIVER.store(0, Ordering::Relaxed);
    PLACES.iter().for_each(|place| place.owner.store(0, Ordering::Relaxed));
}

/// The life of that thread, which is the process's.
fn receive(signal: c_int, tell: &mpsc::SyncSender<pid_t>) {
    // SAFETY: a set of this function's.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        set_mask(libc::SIG_SETMASK, &all, ptr::null_mut());
    }
    // SAFETY: no memory is involved.
    let number = unsafe { kernel!(libc::SYS_gettid) } as pid_t;
    if tell.send(number).is_err() {
        return;
    }
    let set = only(signal);
    loop {
        // SAFETY: all zeros are valid; the kernel writes a local.
        let (found, info) = unsafe {
            let mut info: siginfo_t = std::mem::zeroed();
            (kernel!(libc::SYS_rt_sigtimedwait, &raw const set, &raw mut info, 0, 8), info)
        };
        if found == signal as isize && info.si_code == libc::SI_TIMER {
            pass_on(info);
        }
    }
}

/// A timer's time is up: its fiber is sent what it has asked for.
fn pass_on(mut info: siginfo_t) {
    // SAFETY: a timer's signal has a value.
    let key = unsafe { info.si_value() }.sival_ptr.addr();
    // It may have been deleted.
    let Some(timer) = TIMERS.lock().get(&key).copied() else { return };
    let value = libc::sigval { sival_ptr: ptr::with_exposed_provenance_mut(timer.value) };
    info.si_signo = timer.signal;
    // SAFETY: as above: that is where the value is.
    let overrun = unsafe {
        let fields = (&raw mut info).cast::<c_int>();
        fields.add(VALUE).cast::<libc::sigval>().write(value);
        fields.add(OVERRUN).read()
    };
    let place = number_of(&info).and_then(place_of);
    let is_on_its_way = |place: &Place| {
        let add = |waits| (waits != 0).then(|| waits + 1 + usize::try_from(overrun).unwrap_or(0));
        place.waits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waits| add(waits).or(Some(1))) != Ok(0)
    };
    if place.is_some_and(is_on_its_way) {
        return;
    }
    let sent = with_record(timer.thread, |record| send_to_fiber(record, timer.signal, Some(info)));
    // The thread has ended, or as many signals wait as can.
    if sent != Some(0) {
        note_told(&mut info);
    }
}

/// timer_create(2) by `own`, after which `made` tells the kernel's number.
///
/// # Safety
///
/// The event is null or can be read.
pub(super) unsafe fn create(
    event: *mut sigevent,
    own: impl FnOnce(*mut sigevent) -> isize,
    made: impl FnOnce() -> usize,
) -> isize {
    // SAFETY: the caller's promise.
    let asked = unsafe { event.as_ref() }.copied();
    let is_for_fiber =
        |event: &sigevent| event.sigev_notify == SIGEV_THREAD_ID && is_fibers(event.sigev_notify_thread_id);
    let Some(mut asked) = asked.filter(is_for_fiber) else { return own(event) };
    let thread = asked.sigev_notify_thread_id;
    let _within = enter();
    let is_thread = index(asked.sigev_signo).is_some() && with_record(thread, |_| ()).is_some();
    let signal = if is_thread { usable_signal() } else { None };
    let Some((signal, receiver)) = signal.and_then(|signal| Some((signal, receiver(signal)?))) else {
        // Of a fiber that is no thread, it is for the OS thread; what is wrong is the kernel's to refuse.
        asked.sigev_notify_thread_id = of_kernel(thread);
        return own(&mut asked);
    };
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let key = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let value = asked.sigev_value.sival_ptr.expose_provenance();
    let wanted = asked.sigev_signo;
    (asked.sigev_signo, asked.sigev_notify_thread_id) = (signal, receiver);
    asked.sigev_value.sival_ptr = ptr::without_provenance_mut(key);
    let result = own(&mut asked);
    if result >= 0 {
        let number = made();
        let place = &PLACES[number % PLACES.len()];
        if place.owner.compare_exchange(0, number + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            place.waits.store(0, Ordering::SeqCst);
            place.overrun.store(0, Ordering::SeqCst);
        }
        TIMERS.lock().insert(key, Timer { number, thread, signal: wanted, value });
    }
    result
}

/// The timer of this number was deleted.
pub(super) fn forget(number: usize) {
    // Relaxed: who deletes a timer has it from who made it.
    if RECEIVER.load(Ordering::Relaxed) == 0 {
        return;
    }
    let _within = enter();
    TIMERS.lock().retain(|_, timer| timer.number != number);
    if let Some(place) = place_of(number) {
        place.owner.store(0, Ordering::SeqCst);
    }
}

hooks! {
    /// timer_create(2), whose timer may send its signal to a thread by its number.
    fn timer_create(clock: clockid_t, event: *mut sigevent, timer: *mut timer_t) -> c_int, |_| -> always {
        let own = own!(fn timer_create(clockid_t, *mut sigevent, *mut timer_t) -> c_int);
        // SAFETY: the caller's promise. The kernel's number is libc's, but for timers that begin threads.
        answer(unsafe { create(event, |event| of_c(own(clock, event, timer) as isize), || (*timer).addr()) }) as c_int
    }

    /// timer_delete(2).
    fn timer_delete(timer: timer_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn timer_delete(timer_t) -> c_int)(timer) };
        if result == 0 {
            forget(timer.addr());
        }
        result
    }

    /// timer_getoverrun(2).
    fn timer_getoverrun(timer: timer_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn timer_getoverrun(timer_t) -> c_int)(timer) };
        let place = if result < 0 { None } else { place_of(timer.addr()) };
        place.map_or(result, |place| place.overrun.load(Ordering::SeqCst))
    }
}
