//! pthread_create, which makes a fiber.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abaca::hook::{self, Counted};
use libc::{
    EAGAIN, EINVAL, PTHREAD_CREATE_DETACHED, PTHREAD_EXPLICIT_SCHED, SCHED_OTHER, cpu_set_t, pthread_attr_t,
    pthread_t, sigset_t,
};

use super::acquire::{ONE_KIND, beside};
use super::attributes::{GUARD_BYTES, inherited_processors};
use super::begin::{Ended, Routine, begin};
use super::number;
use super::record::{Asked, Details, Finished, Record};
use super::relay::start_relay_if_needed;
use super::runtime::{EXTRA_BYTES, STACK_BYTES, runtime};
use super::{c11, given, identity, masks};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::own::own;

static THREADS_ARE_FIBERS: AtomicBool = AtomicBool::new(false);

/// Whether the process has set what threads without attributes have.
static HAS_DEFAULTS: AtomicBool = AtomicBool::new(false);

/// How many threads that are fibers have not ended.
pub(crate) static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Makes each thread that the process starts from now on a fiber: by `std::thread::spawn`, `pthread_create`, `thrd_create`, or a library
/// that calls them. One line, the first in `main`; it calls [`install`](crate::install()) as well.
///
/// A thread that a fiber starts runs on the fiber's runtime. Threads that plain threads start run on a runtime of the process, which is
/// started for the first of them, with as many workers as the environment variable `ABACA_WORKERS` says, else one for each processor.
/// It never ends: as with threads, the end of `main` ends the process.
///
/// The main thread stays a thread: it waits as threads do, beside the workers. In `#[abaca::main(transparent)]` it is a fiber. The end of
/// `main`, or of [`abaca::run`], does not wait for threads that go on, such as those of a pool, and does not end them: what else is left
/// is cancelled, and the process ends as it would with threads. [`Runtime::shutdown`](abaca::Runtime::shutdown) ends them as well.
///
/// # What is as with threads
///
/// Names, sizes of stacks, results, panics, joins, detached and scoped threads, thread-locals and pthread keys with their destructors,
/// `thread::current`, `park`, `available_parallelism`, `pthread_self`, `pthread_exit`, and `pthread_cancel` at the cancellation points
/// among locks, sleeps and joins.
///
/// # What is not
///
/// * Processors: `pthread_setaffinity_np` is noted and has no effect.
/// * Scheduling: all have the policy `SCHED_OTHER`. `pthread_setschedparam` to another one fails with `ENOTSUP`.
/// * What is the kernel thread's: see [`fiber::pin`](abaca::fiber::pin).
///
/// These threads are still the kernel's: one with a stack that its creator gives, with processors or a scheduling policy in its
/// attributes, and one that is started within [`as_kernel_threads`].
///
/// # Errors
///
/// As [`install`](crate::install()).
///
/// ```
/// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
/// abaca_transparent::threads_are_fibers().unwrap();
/// let threads: Vec<_> = (0..1000)
///     .map(|n| {
///         std::thread::spawn(move || {
///             std::thread::sleep(std::time::Duration::from_millis(1)); // parks a fiber
///             n
///         })
///     })
///     .collect();
/// assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 499_500);
/// ```
pub fn threads_are_fibers() -> io::Result<()> {
    crate::install()?;
    hook::threads_are_fibers();
    THREADS_ARE_FIBERS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Calls `f`, in which the threads that the caller starts are the kernel's, also after [`threads_are_fibers`].
///
/// ```
/// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
/// abaca_transparent::threads_are_fibers().unwrap();
/// // A thread that computes for hours, and wants a processor of its own.
/// let thread = abaca_transparent::as_kernel_threads(|| std::thread::spawn(|| 6 * 7));
/// assert_eq!(thread.join().unwrap(), 42);
/// ```
pub fn as_kernel_threads<R>(f: impl FnOnce() -> R) -> R {
    hook::as_kernel_threads(f)
}

/// From now on `pthread_create` makes threads of the kernel's.
pub(super) fn stay_threads() {
    THREADS_ARE_FIBERS.store(false, Ordering::Relaxed);
}

/// Whether `pthread_create` makes fibers.
fn are_fibers() -> bool {
    // Relaxed: it publishes nothing.
    THREADS_ARE_FIBERS.load(Ordering::Relaxed)
}

/// A C11 thread's routine.
type IntRoutine = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

hooks! {
    /// pthread_create(3).
    fn pthread_create(thread: *mut pthread_t, attributes: *const pthread_attr_t, routine: Routine, argument: *mut c_void) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(settings) = Settings::of(attributes) {
                let error = create(thread, &settings, Call { routine, argument, is_int: false });
                if error == 0 || are_fibers() {
                    return error;
                }
            }
            let own = own!(fn pthread_create(*mut pthread_t, *const pthread_attr_t, Routine, *mut c_void) -> c_int);
            given::inherited(|| own(thread, attributes, routine, argument))
        }
    }

    /// pthread_setattr_default_np(3).
    fn pthread_setattr_default_np(attributes: *const pthread_attr_t) -> c_int, |_| -> always {
        HAS_DEFAULTS.store(true, Ordering::Release);
        // SAFETY: the caller's promise.
        unsafe { own!(fn pthread_setattr_default_np(*const pthread_attr_t) -> c_int)(attributes) }
    }

    /// thrd_create.
    fn thrd_create(thread: *mut pthread_t, routine: IntRoutine, argument: *mut c_void) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(settings) = Settings::of(std::ptr::null()) {
                // An int is the low half of the register in which a pointer is returned.
                let of_pointer = std::mem::transmute::<IntRoutine, Routine>(routine);
                let error = create(thread, &settings, Call { routine: of_pointer, argument, is_int: true });
                if error == 0 || are_fibers() {
                    return c11::result(error);
                }
            }
            let own = own!(fn thrd_create(*mut pthread_t, IntRoutine, *mut c_void) -> c_int);
            given::inherited(|| own(thread, routine, argument))
        }
    }
}

/// A thread's routine and its argument.
struct Call {
    routine: Routine,
    argument: *mut c_void,
    /// Whether the result is an int.
    is_int: bool,
}

// SAFETY: pthread_create gives the argument to another thread.
unsafe impl Send for Call {}

/// What a thread's attributes say that a fiber can do.
struct Settings {
    stack: Asked,
    is_detached: bool,
    /// The mask of signals with which it begins; `None` is its creator's.
    mask: Option<u64>,
}

impl Settings {
    /// `None` if the thread is to be the kernel's.
    ///
    /// # Safety
    ///
    /// The attributes are initialised, or null.
    unsafe fn of(attributes: *const pthread_attr_t) -> Option<Self> {
        if !are_fibers() || hook::wants_kernel_threads() {
            return None;
        }
        if attributes.is_null() {
            return Self::by_default();
        }
        // SAFETY: the caller's promise.
        unsafe { Self::of_attributes(attributes) }
    }

    /// Those of a thread without attributes, whose stack has the size of the limit of stacks unless the process has said otherwise.
    fn by_default() -> Option<Self> {
        static USUAL: OnceLock<Asked> = OnceLock::new();
        if !HAS_DEFAULTS.load(Ordering::Acquire)
            && let Some(stack) = USUAL.get()
        {
            return Some(Self { stack: *stack, is_detached: false, mask: None });
        }
        let mut attributes = MaybeUninit::<pthread_attr_t>::uninit();
        // SAFETY: libc initialises a local, which is read and ended.
        let settings = unsafe {
            if pthread_getattr_default_np(attributes.as_mut_ptr()) != 0 {
                let stack = Asked { bytes: STACK_BYTES, guard_bytes: 0 };
                return Some(Self { stack, is_detached: false, mask: None });
            }
            let settings = Self::of_attributes(attributes.as_ptr());
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            settings
        };
        if !HAS_DEFAULTS.load(Ordering::Acquire)
            && let Some(settings) = &settings
        {
            USUAL.get_or_init(|| settings.stack);
        }
        settings
    }

    /// `None` if the thread is to be the kernel's.
    ///
    /// # Safety
    ///
    /// The attributes are initialised.
    unsafe fn of_attributes(attributes: *const pthread_attr_t) -> Option<Self> {
        let (mut stack, mut stack_bytes, mut guard_bytes, mut detached) = (ptr::null_mut(), 0, 0, 0);
        let (mut inherits, mut policy) = (0, 0);
        let mut mask = MaybeUninit::<sigset_t>::uninit();
        let mut processors = MaybeUninit::<cpu_set_t>::uninit();
        // SAFETY: the caller's promise; libc writes locals.
        let processors = unsafe {
            libc::pthread_attr_getstack(attributes, &mut stack, &mut stack_bytes);
            libc::pthread_attr_getguardsize(attributes, &mut guard_bytes);
            pthread_attr_getdetachstate(attributes, &mut detached);
            libc::pthread_attr_getinheritsched(attributes, &mut inherits);
            libc::pthread_attr_getschedpolicy(attributes, &mut policy);
            libc::pthread_attr_getaffinity_np(attributes, size_of::<cpu_set_t>(), processors.as_mut_ptr());
            std::slice::from_raw_parts(processors.as_ptr().cast::<u8>(), size_of::<cpu_set_t>())
        };
        // libc reckons from the end of the stack, which is null if none was given.
        let has_stack = stack.addr().wrapping_add(stack_bytes) != 0;
        let mut parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the caller's promise; libc writes a local.
        unsafe { libc::pthread_attr_getschedparam(attributes, &mut parameters) };
        // A priority that the policy does not have is the kernel's to refuse.
        let has_policy =
            inherits == PTHREAD_EXPLICIT_SCHED && (policy, parameters.sched_priority) != (SCHED_OTHER, 0);
        // As one comparison: byte by byte it is as much as all the rest.
        let has_processors = processors != [0xff; size_of::<cpu_set_t>()];
        if stack_bytes == 0 {
            // None was asked for, so it is libc's default, which only this function tells.
            // SAFETY: the caller's promise; libc writes a local.
            unsafe { libc::pthread_attr_getstacksize(attributes, &mut stack_bytes) };
        }
        // SAFETY: the caller's promise; libc writes a local if there is a mask.
        let mask = unsafe {
            let has_mask = pthread_attr_getsigmask_np(attributes, mask.as_mut_ptr()) == 0;
            has_mask.then(|| masks::that_can_be(mask.as_ptr()))
        };
        (!has_stack && !has_policy && !has_processors).then_some(Self {
            stack: Asked { bytes: stack_bytes, guard_bytes },
            is_detached: detached == PTHREAD_CREATE_DETACHED,
            mask,
        })
    }
}

unsafe extern "C" {
    fn pthread_attr_getdetachstate(attributes: *const pthread_attr_t, state: *mut c_int) -> c_int;
    fn pthread_getattr_default_np(attributes: *mut pthread_attr_t) -> c_int;
    fn pthread_attr_getsigmask_np(attributes: *const pthread_attr_t, mask: *mut sigset_t) -> c_int;
}

/// # Safety
///
/// As pthread_create.
unsafe fn create(thread: *mut pthread_t, settings: &Settings, call: Call) -> c_int {
    let Asked { bytes, guard_bytes } = settings.stack;
    let guard_bytes = guard_bytes.checked_next_multiple_of(GUARD_BYTES);
    if guard_bytes.and_then(|guard_bytes| guard_bytes.checked_add(bytes)).is_none() {
        // There are not so many addresses.
        return EINVAL;
    }
    let details = match Record::current() {
        Some(creator) => creator.details().try_clone(),
        None => inherited_processors().map(|processors| Details { processors, ..Details::default() }),
    };
    let (Some(kept), Some(details)) = (hook::kept_for_thread(), details) else { return EAGAIN };
    let mask = settings.mask.unwrap_or_else(masks::of_creator);
    let Some(record) = Record::new(settings.is_detached, details, settings.stack, mask) else {
        return EAGAIN;
    };
    // Before the thread can look.
    // SAFETY: the caller's promise.
    unsafe { thread.write(record.thread()) };
    if ALIVE.fetch_add(1, Ordering::Relaxed) == 0 {
        start_relay_if_needed();
    }
    let start = Start { record: Some(record.clone()), call };
    let _within = enter();
    match hook::spawn(settings.stack.bytes.saturating_add(EXTRA_BYTES), runtime, move || start.run(), kept) {
        Ok(handle) => {
            if !settings.is_detached {
                record.set_handle(handle);
            }
            0
        }
        Err(_) => EAGAIN,
    }
}

/// A thread that has not started.
struct Start {
    /// `None` once it has.
    record: Option<Counted<Record>>,
    call: Call,
}

impl Start {
    fn run(mut self) -> Finished {
        let record = self.record.take().expect("it starts once");
        record.enter();
        // SAFETY: the caller of pthread_create wants the call; the fiber is new.
        let Ended { mut value, has_exited } = unsafe { begin(self.call.routine, self.call.argument) };
        if has_exited != 0 {
            // Relaxed: this fiber has written it.
            value = record.exit_value.load(Ordering::Relaxed);
        } else if self.call.is_int {
            value = value as c_int as usize;
        }
        if !hook::on_fiber() {
            // In a copy of the process, of which this is the first thread.
            identity::main_ends(value);
        }
        record.pending.end();
        number::forget();
        Finished { value, record }
    }
}

impl Drop for Start {
    /// The end of the routine; or of a thread that never began.
    fn drop(&mut self) {
        if self.record.is_some() && abaca::park::is_refused() {
            eprintln!("abaca-transparent: there is no memory for the stack of a thread that was created");
            std::process::abort();
        }
        // SeqCst: pairs with the look of a main thread that has ended.
        if ALIVE.fetch_sub(1, Ordering::SeqCst) == 1 {
            hook::wake_at(beside(ALIVE.as_ptr()), ONE_KIND, usize::MAX);
        }
    }
}
