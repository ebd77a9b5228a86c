//! The OS thread that runs fibers: it lends them what stays its own.
#![expect(unsafe_code, reason = "copies words between blocks, and exchanges the thread pointer")]

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::keep;
use crate::modules;
use crate::pointer::{ThreadPointer, set_thread_pointer, thread_pointer};
use crate::roster::{self, Listed};
use crate::support::{Support, known, support};
use crate::unsupported::Unsupported;

std::thread_local! {
    /// The OS thread that runs the calling fiber. It lies in the fiber's block, and is written by `lend`; none in an OS thread's
    /// own storage.
    static CARRIER: Cell<Option<ThreadPointer>> = const { Cell::new(None) };
}

/// The OS thread that runs the calling code, if that has a block of its own.
pub(crate) fn current() -> Option<ThreadPointer> {
    CARRIER.get()
}

/// The OS thread that has run the calling code, which is its own from now on.
pub(crate) fn leave() -> Option<ThreadPointer> {
    CARRIER.take()
}

/// Where the variable above is in the calling thread's storage.
pub(crate) fn word_offset() -> isize {
    CARRIER
        .with(|word| (word as *const Cell<_>).addr())
        .wrapping_sub(thread_pointer().address())
        .cast_signed()
}

/// An OS thread that runs fibers with [blocks](crate::Block).
///
/// Before a fiber runs on it, the thread [lends](Self::lend) the fiber's block what is the thread's for speed only, malloc's cache
/// first of all: a cache of each fiber's own would keep memory in each. When the fiber has left, the thread
/// [takes it back](Self::take_back).
///
/// It is dropped when no fiber runs on the thread any more.
#[derive(Debug)]
pub struct Carrier {
    pointer: ThreadPointer,
    /// malloc's words: offsets from the thread pointer. If it has fewer, a word that is written anyway stands for them.
    malloc: [isize; 2],
    carrier: isize,
    /// Whether malloc may exchange the thread's arena: only one that has run out of memory in the process's first arena does.
    arena_may_change: bool,
    _listed: Listed,
    /// It is the calling thread's.
    not_send: PhantomData<*mut ()>,
}

impl Carrier {
    /// The calling OS thread. It must have its own storage installed, not a fiber's.
    ///
    /// # Errors
    ///
    /// What [`support()`] says.
    ///
    /// # Panics
    ///
    /// If it is called with a fiber's block installed.
    pub fn of_this_thread() -> Result<Self, Unsupported> {
        let support = support()?;
        assert!(current().is_none(), "a carrier is an OS thread, not a fiber");
        // malloc makes the thread's cache now, and not in a fiber. SAFETY: what is allocated is freed.
        unsafe { libc::free(core::hint::black_box(libc::malloc(40))) };
        let own = thread_pointer();
        // SAFETY: libc's words of the calling thread.
        let mut words = support.malloc_words().iter().map(|&offset| unsafe { modules::word(own, offset) });
        let arena_may_change = words.any(|word| support.glibc().holds(word));
        let carrier = support.carrier_word();
        let mut malloc = support.malloc_words().iter().copied().chain([carrier, carrier]);
        let mut next = || malloc.next().unwrap_or(carrier);
        Ok(Self {
            pointer: own,
            malloc: [next(), next()],
            carrier,
            arena_may_change,
            _listed: roster::enter(),
            not_send: PhantomData,
        })
    }

    /// The thread pointer of the OS thread's own storage.
    pub fn pointer(&self) -> ThreadPointer {
        self.pointer
    }

    /// Whether the thread must [take back](Self::take_back) from a block each time that the block leaves it, and
    /// [lend](Self::lend) each time that one comes. Otherwise it is enough to lend when a block comes from another thread.
    ///
    /// It must if there are ranges of [`keep_with_carrier`](crate::keep_with_carrier): what one fiber writes is for the next to read.
    /// And it must if the thread allocates from the process's first arena, as a thread does if there are as many threads as
    /// arenas, or `MALLOC_ARENA_MAX=1` in the environment. If that arena has no memory left, and only then, malloc gives the calling
    /// thread another one, and counts the threads of both.
    ///
    /// ```
    /// if let Ok(carrier) = abaca_tls::Carrier::of_this_thread() {
    ///     println!("take back each time: {}", carrier.must_take_back());
    /// }
    /// ```
    pub fn must_take_back(&self) -> bool {
        self.arena_may_change || keep::any()
    }

    /// Copies to a block what stays the OS thread's, and writes there which OS thread that is. To be called before the block is
    /// installed on this thread: each time, or each time that the block comes from another thread.
    ///
    /// Some ten instructions, and a copy of each range that [`keep_with_carrier`](crate::keep_with_carrier) has added.
    ///
    /// # Safety
    ///
    /// `to` is the pointer of a [`Block`](crate::Block) that is installed nowhere, and is not another thread's meanwhile; or it is that
    /// of the calling code, which has neither allocated nor freed anything since it has come to this thread. If another carrier that
    /// [must take back](Self::must_take_back) has lent it something, that one has.
    #[inline(always)]
    pub unsafe fn lend(&self, to: ThreadPointer) {
        // SAFETY: the offsets are those of words within each thread's storage; the block is the caller's.
        unsafe {
            for offset in self.malloc {
                to.at::<usize>(offset).write(self.pointer.at::<usize>(offset).read());
            }
            to.at::<usize>(self.carrier).write(self.pointer.address());
            if keep::any() {
                keep::copy(self.pointer, to);
            }
        }
    }

    /// Copies back from a block what [`lend`](Self::lend) has copied to it. To be called when the block has been installed on this
    /// thread, and is no more.
    ///
    /// # Safety
    ///
    /// `from` is the pointer of a block that this carrier has lent to since it last took back from it. It is installed nowhere; or it
    /// is that of the calling code, which neither allocates nor frees anything until it has left this thread.
    #[inline(always)]
    pub unsafe fn take_back(&self, from: ThreadPointer) {
        // SAFETY: as in `lend`. The word of the carrier, which may be among them, is put right.
        unsafe {
            for offset in self.malloc {
                self.pointer.at::<usize>(offset).write(from.at::<usize>(offset).read());
            }
            self.pointer.at::<usize>(self.carrier).write(0);
            if keep::any() {
                keep::copy(from, self.pointer);
            }
        }
    }
}

const _: () = assert!(Support::MOST_MALLOC_WORDS == 2);

/// Runs `f` with the storage of the OS thread that runs the calling fiber, and returns what it returns. Outside of fibers, runs it as
/// it is.
///
/// It is for calls that mean the kernel's thread and find it by libc's record: `pthread_setaffinity_np` and `pthread_getschedparam`
/// of `pthread_self()`, `pthread_setname_np`. `errno` in there is the OS thread's.
///
/// A panic of `f` goes on in the caller.
///
/// # Safety
///
/// `f` does not switch stacks: the fiber is not suspended meanwhile. It uses nothing that is bound to the fiber's thread-local
/// storage: it locks no re-entrant lock that the fiber holds.
///
/// # Example
///
/// ```
/// // SAFETY: the closure suspends nothing.
/// let result = unsafe { abaca_tls::on_carrier(|| libc::pthread_setname_np(libc::pthread_self(), c"worker".as_ptr())) };
/// assert_eq!(result, 0);
/// ```
pub unsafe fn on_carrier<R, F: FnOnce() -> R>(f: F) -> R {
    let Some(carrier) = current() else { return f() };
    let mut call = Call { f: Some(f), result: MaybeUninit::uninit() };
    // The compiler does not see through it, so it keeps no address of a thread-local variable from before.
    let run: unsafe fn(*mut (), ThreadPointer, unsafe fn(*mut ())) = core::hint::black_box(run_on);
    // SAFETY: the call is as `Call::run` expects it; the carrier runs this code, so its storage is not in use elsewhere.
    unsafe {
        run((&raw mut call).cast(), carrier, Call::<R, F>::run);
        // The panic counts as the OS thread's until it was caught there, and from here on as the fiber's.
        call.result.assume_init().unwrap_or_else(|payload| resume_unwind(payload))
    }
}

/// # Safety
///
/// `run` may be called with `call`; see [`on_carrier`].
#[inline(never)]
unsafe fn run_on(call: *mut (), carrier: ThreadPointer, run: unsafe fn(*mut ())) {
    let own = thread_pointer();
    // SAFETY: this function uses no thread-local variable, and neither it nor `run`, which does not unwind, is inlined. Each of the
    // blocks is copied from before it is left, and copied to before it is used.
    unsafe {
        hand_over(known(), own, carrier);
        set_thread_pointer(carrier);
        core::hint::black_box(run)(call);
        hand_over(known(), carrier, own);
        set_thread_pointer(own);
    }
}

/// Copies what is lent, but for the word that says which thread has lent it.
///
/// # Safety
///
/// The caller runs with one of the blocks, and the other is its fiber's or its carrier's.
pub(crate) unsafe fn hand_over(support: &Support, from: ThreadPointer, to: ThreadPointer) {
    // SAFETY: the offsets are those of words within each thread's storage; the caller's promise.
    unsafe {
        for &offset in support.malloc_words() {
            to.at::<usize>(offset).write(from.at::<usize>(offset).read());
        }
        if keep::any() {
            keep::copy(from, to);
        }
    }
}

struct Call<R, F> {
    f: Option<F>,
    result: MaybeUninit<std::thread::Result<R>>,
}

impl<R, F: FnOnce() -> R> Call<R, F> {
    /// # Safety
    ///
    /// `call` points to a `Call` of these types, whose function was not called yet.
    #[inline(never)]
    unsafe fn run(call: *mut ()) {
        // SAFETY: the caller's promise.
        let call = unsafe { &mut *call.cast::<Self>() };
        let f = call.f.take().expect("it is called once");
        call.result.write(catch_unwind(AssertUnwindSafe(f)));
    }
}
