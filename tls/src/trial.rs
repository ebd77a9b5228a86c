//! Tries all that this crate relies on, once in a process, before anybody else can rely on it.
#![expect(unsafe_code, reason = "installs a block")]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::{null_mut, without_provenance_mut};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::block::Block;
use crate::finish::finish_with;
use crate::observe::LC_ALL_MASK;
use crate::pointer::{set_thread_pointer, thread_pointer};
use crate::reset::reset_with;
use crate::support::Support;

std::thread_local!(static NUMBER: Cell<usize> = const { Cell::new(7) });

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    static __dso_handle: u8;
}

/// The process's locale, of `locale.h`.
const LC_GLOBAL_LOCALE: libc::locale_t = core::ptr::without_provenance_mut(usize::MAX);

/// Each call of a destructor adds its argument.
static ENDED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn ended(argument: *mut c_void) {
    ENDED.fetch_add(argument.addr(), Ordering::Relaxed);
}

/// Uses `block`, and ends it.
pub(crate) fn try_everything(support: &Support, block: Block) -> Result<(), &'static str> {
    let mut key = 0;
    // SAFETY: the destructor takes any argument; the key is deleted below.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(ended)) } != 0 {
        block.end_with(support);
        return Err("there is no pthread key left");
    }
    let mut result = Ok(());
    let mut trial = Trial { support, key, result: &mut result };
    for round in 0..2 {
        run_within(&mut trial, &block);
        let done = ENDED.swap(0, Ordering::Relaxed);
        if trial.result.is_ok() && done != 0x11 {
            *trial.result =
                Err(if round == 0 { "destructors do not run" } else { "destructors run once only" });
        }
    }
    // SAFETY: made above.
    unsafe { libc::pthread_key_delete(key) };
    // SAFETY: malloc's words of the block are this thread's: the block forgets them. It is installed nowhere.
    unsafe {
        for &offset in support.malloc_words() {
            block.pointer().at::<usize>(offset).write(support.template().at::<usize>(offset).read());
        }
    }
    block.end_with(support);
    result
}

struct Trial<'a> {
    support: &'a Support,
    key: libc::pthread_key_t,
    result: &'a mut Result<(), &'static str>,
}

/// Not inlined, and without thread-local variables of its own.
#[inline(never)]
fn run_within(trial: &mut Trial<'_>, block: &Block) {
    let own = thread_pointer();
    // SAFETY: malloc's words are lent, and nothing else stays the thread's. `use_everything` is not inlined.
    unsafe {
        for &offset in trial.support.malloc_words() {
            block.pointer().at::<usize>(offset).write(own.at::<usize>(offset).read());
        }
        set_thread_pointer(block.pointer());
        core::hint::black_box(use_everything as fn(&mut Trial<'_>))(trial);
        set_thread_pointer(own);
    }
}

#[inline(never)]
fn use_everything(trial: &mut Trial<'_>) {
    let result = trial.is_a_new_thread();
    let result = result.and_then(|()| trial.is_an_owner());
    let result = result.and_then(|()| trial.becomes_new_again());
    if trial.result.is_ok() {
        *trial.result = result;
    }
}

fn expect(condition: bool, what: &'static str) -> Result<(), &'static str> {
    if condition { Ok(()) } else { Err(what) }
}

impl Trial<'_> {
    fn is_a_new_thread(&self) -> Result<(), &'static str> {
        let glibc = self.support.glibc();
        let own = thread_pointer();
        // SAFETY: calls of libc that any thread may make; what is allocated is freed.
        unsafe {
            let thread = own.at::<u8>(glibc.thread).addr();
            expect(libc::pthread_self() as usize == thread, "pthread_self is not the block")?;
            expect(*__errno_location() == 0, "errno of a new thread is not 0")?;
            expect(NUMBER.get() == 7, "a variable of a new thread has not its first value")?;
            expect(libc::pthread_getspecific(self.key).is_null(), "a key of a new thread has a value")?;
            let memory = core::hint::black_box(libc::malloc(100));
            expect(!memory.is_null(), "malloc does not work")?;
            libc::free(memory);
            expect(libc::sched_getcpu() >= 0, "the number of the processor is not known")
        }
    }

    /// A mutex that knows its owner keeps the block's id.
    fn is_an_owner(&self) -> Result<(), &'static str> {
        let mut mutex = MaybeUninit::<libc::pthread_mutex_t>::zeroed();
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::zeroed();
        let (mutex, attributes) = (mutex.as_mut_ptr(), attributes.as_mut_ptr());
        // SAFETY: the mutex is initialised, used by this thread, and destroyed. Its third word is the owner, as static initialisers
        // have it.
        unsafe {
            libc::pthread_mutexattr_init(attributes);
            libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK);
            libc::pthread_mutex_init(mutex, attributes);
            let locked = libc::pthread_mutex_lock(mutex);
            let owner = mutex.cast::<u32>().add(2).read();
            let again = libc::pthread_mutex_lock(mutex);
            let unlocked = libc::pthread_mutex_unlock(mutex);
            libc::pthread_mutex_destroy(mutex);
            let id = thread_pointer().at::<u32>(self.support.glibc().tid).read();
            expect(owner == id, "a mutex keeps another id of its owner")?;
            expect((locked, again, unlocked) == (0, libc::EDEADLK, 0), "a mutex does not know its owner")
        }
    }

    fn becomes_new_again(&self) -> Result<(), &'static str> {
        let glibc = self.support.glibc();
        let id = thread_pointer().at::<u32>(glibc.tid);
        // SAFETY: the destructors take any argument. This function holds no reference to a variable over the reset, which is not
        // inlined into it.
        unsafe {
            NUMBER.set(8);
            *__errno_location() = libc::EDOM;
            (glibc.at_thread_exit)(
                ended,
                without_provenance_mut(0x10),
                (&raw const __dso_handle).cast_mut().cast(),
            );
            libc::pthread_setspecific(self.key, without_provenance_mut(0x1));
            libc::uselocale(libc::newlocale(LC_ALL_MASK, c"C".as_ptr(), null_mut()));
            let before = id.read();
            core::hint::black_box(end as fn(&Support))(self.support);
            expect(id.read() != before, "a new fiber has no new id")?;
            expect(libc::uselocale(null_mut()) == LC_GLOBAL_LOCALE, "a new fiber has an old locale")
        }
    }
}

#[inline(never)]
fn end(support: &Support) {
    // SAFETY: the block is installed, and the trial is over.
    unsafe {
        finish_with(support);
        reset_with(support);
    }
}
