//! A usual mutex that is free: taken and released here as libc does it, without calls of its functions.
//!
//! libc's way through them costs as much again as the two locked operations that are needed. The words of a mutex are compiled into programs
//! (`bits/struct_mutex.h`), so they stay where they are; what libc keeps in them is tried by [`find`] before it is relied on: else, and for all
//! other kinds of mutexes, libc's functions are called. Either side takes what the other one has released, and finds held what that has taken.
//!
//! | word | |
//! |---|---|
//! | 0, the lock | 0: free; 1: held; 2: held, and threads of the kernel's may sleep for it |
//! | 2, the owner | the id in libc's record of the thread or fiber that has it; else 0 |
//! | 3, the users | 1 while it is held, which makes it busy to pthread_mutex_destroy(3) |
//! | 4, the kind | 0 of a usual one |

#![expect(unsafe_code, reason = "uses the words of libc's mutexes, and makes a system call")]

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use libc::{EBUSY, FUTEX_PRIVATE_FLAG, FUTEX_WAKE, pthread_mutex_t};

use super::mutex::{KIND, OWNER};
use crate::kernel::kernel;
use crate::own::own;

const LOCK: usize = 0;
const USERS: usize = 3;

type Mutex = *mut pthread_mutex_t;

/// Where libc's record of a thread has its id, from the thread pointer; 0 while that is not known, and nothing is done here.
static ID: AtomicUsize = AtomicUsize::new(0);

/// The caller's id in libc's record, `offset` bytes from the thread pointer.
///
/// # Safety
///
/// The id is there.
#[inline(always)]
unsafe fn id(offset: usize) -> c_int {
    #[cfg(target_arch = "x86_64")]
    {
        let id: c_int;
        // SAFETY: the caller's promise. Not `pure`: the fiber that is here may be another one behind a switch.
        unsafe {
            std::arch::asm!("mov {:e}, fs:[{}]", out(reg) id, in(reg) offset, options(nostack, preserves_flags, readonly));
        }
        id
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no id at {offset} is known here")
}

/// Takes a usual mutex that is free. False: libc's function is to be called.
///
/// # Safety
///
/// The mutex is initialised.
#[inline(always)]
pub(super) unsafe fn take(mutex: Mutex) -> bool {
    // Relaxed: it is written once, and no other memory belongs to it.
    let offset = ID.load(Ordering::Relaxed);
    // SAFETY: the caller's promise; what is known of the words was tried.
    offset != 0 && unsafe { take_as(mutex, offset) }
}

/// # Safety
///
/// As of [`take`], with the place of the id.
#[inline(always)]
unsafe fn take_as(mutex: Mutex, offset: usize) -> bool {
    let words = mutex.cast::<c_int>();
    // SAFETY: the caller's promise: the words are there. The lock changes by atomic operations; the kind of a mutex that is in use does not, but
    // for bits of libc's that make it none of this file's. Who has the lock alone writes to the others.
    unsafe {
        if words.add(KIND).read_volatile() != 0 {
            return false;
        }
        let lock = AtomicI32::from_ptr(words.add(LOCK));
        // Acquire: pairs with the Release in `release`, and libc's own.
        if lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        words.add(OWNER).write_volatile(id(offset));
        let users = words.add(USERS).cast::<c_uint>();
        users.write(users.read().wrapping_add(1));
    }
    true
}

/// Releases a usual mutex, and wakes a thread of the kernel's that may sleep for it. False: libc's function is to be called. If not, this was a
/// locked operation.
///
/// # Safety
///
/// The mutex is initialised, and the caller's.
#[inline(always)]
pub(super) unsafe fn release(mutex: Mutex) -> bool {
    if ID.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let words = mutex.cast::<c_int>();
    // SAFETY: as in `take`.
    unsafe {
        if words.add(KIND).read_volatile() != 0 {
            return false;
        }
        words.add(OWNER).write_volatile(0);
        let users = words.add(USERS).cast::<c_uint>();
        users.write(users.read().wrapping_sub(1));
        // Release: pairs with the Acquire in `take`, and libc's own.
        if AtomicI32::from_ptr(words.add(LOCK)).swap(0, Ordering::Release) > 1 {
            wake_thread(words.addr());
        }
    }
    true
}

/// Wakes a thread that sleeps for the lock in the kernel. Its memory may be gone by now: the address is only compared.
#[cold]
#[inline(never)]
fn wake_thread(address: usize) {
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_futex, address, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1) };
}

/// Finds out where libc keeps the ids, and whether its mutexes are as this file has them.
pub(crate) fn find() {
    if let Some(offset) = place_of_id().filter(|offset| is_as_expected(*offset)) {
        ID.store(offset, Ordering::Relaxed);
    }
}

/// What libthread_db is told of the id's place. On x86_64 the thread pointer is the record's address.
fn place_of_id() -> Option<usize> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    // SAFETY: the name ends in a zero byte.
    let told = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_thread_db_pthread_tid".as_ptr()) };
    // SAFETY: null, or what libthread_db is told of a field: its size in bits, how many of them, and the offset in bytes.
    let [bits, _, offset] = *unsafe { told.cast::<[u32; 3]>().as_ref() }?;
    (bits == 32 && (1..8192).contains(&offset)).then_some(offset as usize)
}

/// The words of a mutex that nobody changes meanwhile.
fn words(mutex: &pthread_mutex_t) -> [c_int; 5] {
    // SAFETY: a mutex is at least as large, and any bytes are numbers.
    unsafe { (&raw const *mutex).cast::<[c_int; 5]>().read() }
}

/// Whether libc's functions leave in a mutex what this file's do, and take and release it for each other.
fn is_as_expected(offset: usize) -> bool {
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    let free = words(&mutex);
    // SAFETY: a mutex of this function's, used as it may be; the last release is of one that libc's function has not taken.
    unsafe {
        let mutex = &raw mut mutex;
        let held = [1, 0, id(offset), 1, 0];
        own!(fn pthread_mutex_trylock(Mutex) -> c_int)(mutex) == 0
            && words(&*mutex) == held
            && !take_as(mutex, offset)
            && own!(fn pthread_mutex_unlock(Mutex) -> c_int)(mutex) == 0
            && words(&*mutex) == free
            && free == [0; 5]
            && take_as(mutex, offset)
            && words(&*mutex) == held
            && own!(fn pthread_mutex_trylock(Mutex) -> c_int)(mutex) == EBUSY
            && own!(fn pthread_mutex_unlock(Mutex) -> c_int)(mutex) == 0
            && words(&*mutex) == free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A usual mutex that may be used by several threads.
    struct Shared(std::cell::UnsafeCell<pthread_mutex_t>);

    // SAFETY: the mutex is used by functions that are for several threads, and its words are looked at as they change.
    unsafe impl Sync for Shared {}

    impl Shared {
        fn new() -> Self {
            Self(libc::PTHREAD_MUTEX_INITIALIZER.into())
        }

        fn lock_word(&self) -> &AtomicI32 {
            // SAFETY: the word is there as long as the mutex, and changes by atomic operations.
            unsafe { AtomicI32::from_ptr(self.0.get().cast::<c_int>().add(LOCK)) }
        }

        fn destroy(&self) -> c_int {
            // SAFETY: the mutex is initialised, and in no use any more.
            unsafe { libc::pthread_mutex_destroy(self.0.get()) }
        }
    }

    /// Whether there is something to test here.
    fn is_known() -> bool {
        crate::own::find_all();
        find();
        ID.load(Ordering::Relaxed) != 0
    }

    #[test]
    fn libc_of_this_machine_keeps_in_a_mutex_what_is_expected() {
        let is_known = is_known();
        assert_eq!(is_known, place_of_id().is_some());
    }

    #[test]
    fn another_kind_of_mutex_is_left_to_libc() {
        is_known();
        let mutex = Shared::new();
        // SAFETY: a mutex of this test's.
        unsafe {
            mutex.0.get().cast::<c_int>().add(KIND).write(libc::PTHREAD_MUTEX_RECURSIVE);
            assert!(!take(mutex.0.get()));
            assert!(!release(mutex.0.get()));
        }
    }

    #[test]
    fn a_thread_that_sleeps_in_libc_is_woken_by_a_release_here_and_one_is_in_at_a_time() {
        if !is_known() {
            return;
        }
        let mutex = &Shared::new();
        // SAFETY: the mutex is initialised, and unlocked by who has it, here and below.
        assert!(unsafe { take(mutex.0.get()) });
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                // SAFETY: as above.
                unsafe {
                    assert_eq!(own!(fn pthread_mutex_lock(Mutex) -> c_int)(mutex.0.get()), 0);
                    assert!(!take(mutex.0.get()));
                    assert!(release(mutex.0.get()));
                }
            });
            // 2: it sleeps, or is about to.
            while mutex.lock_word().load(Ordering::SeqCst) != 2 {
                std::thread::yield_now();
            }
            // SAFETY: as above.
            assert!(unsafe { release(mutex.0.get()) });
            sleeper.join().unwrap();
        });
        assert_eq!(mutex.destroy(), 0, "nobody uses it any more");
    }

    #[test]
    fn both_ways_exclude_each_other() {
        const ROUNDS: usize = 20_000;
        if !is_known() {
            return;
        }
        let mutex = &Shared::new();
        let count = &std::sync::atomic::AtomicUsize::new(0);
        let add = || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for is_ours in [true, false, true] {
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        // SAFETY: the mutex is initialised, and unlocked by who has it.
                        unsafe {
                            if !is_ours || !take(mutex.0.get()) {
                                own!(fn pthread_mutex_lock(Mutex) -> c_int)(mutex.0.get());
                            }
                            add();
                            if !is_ours || !release(mutex.0.get()) {
                                own!(fn pthread_mutex_unlock(Mutex) -> c_int)(mutex.0.get());
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 3 * ROUNDS);
        assert_eq!(mutex.destroy(), 0, "nobody uses it any more");
    }
}
