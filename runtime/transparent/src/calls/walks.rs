//! Lists that a process goes through: getpwent(3) and its kin. Each call returns the entry after that of the last one, whoever made it, so an
//! entry that its caller has left behind is the next caller's.
//!
//! A thread of the pool makes the calls, one after the other: the gate of a list is held from the first look for an entry that was left to the
//! last look at whether the caller is still there. A call that begins after another was given up thus waits until that one's entry
//! is there. setpwent(3) and endpwent(3) are noted, and made by the next thread that has the gate; entries from before are forgotten.
//!
//! Plain threads call libc's own functions, unless there is something that those would miss.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::collections::VecDeque;
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abaca::hook::offload_or_leave;
use libc::{group, hostent, passwd, protoent, servent, size_t, spwd};

use super::entries::{BYTES, Found, Kept, MOST, Places, answer, cancelled, host_error, size_of_caller};
use super::entry::{Entry, Network};
use crate::answer::{errno, set_errno};
use crate::enter::{enter, is_installed};
use crate::hooks::hooks;
use crate::own::own;

/// A list of the process's.
struct Walk<E: Entry> {
    gate: Mutex<()>,
    state: Mutex<State<E>>,
    kept: Kept<E>,
}

struct State<E> {
    /// What was left behind.
    late: VecDeque<Found<E>>,
    /// A new beginning, or the end, that libc has not heard of.
    turn: Option<Box<dyn FnOnce() + Send>>,
    /// How many of those there were.
    turns: u64,
}

/// A call under way.
enum Call<E> {
    Waits,
    Ended(Found<E>),
    /// Its caller is gone.
    Left,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Entry> Walk<E> {
    const fn new() -> Self {
        let state = State { late: VecDeque::new(), turn: None, turns: 0 };
        Self { gate: Mutex::new(()), state: Mutex::new(state), kept: Kept::new() }
    }

    /// Whether libc's own function would miss something.
    fn has_more(&self) -> bool {
        let state = lock(&self.state);
        state.turn.is_some() || !state.late.is_empty()
    }

    /// The next entry, for a buffer of so many bytes with this remainder, `most` in the end, by `own`. `None`: the caller was cancelled.
    fn next(
        &'static self,
        is_fiber: bool,
        (bytes, remainder): (usize, usize),
        most: usize,
        own: fn(Places<E>) -> c_int,
    ) -> Option<Found<E>> {
        let before = (errno(), host_error());
        let call = Arc::new(Mutex::new(Call::Waits));
        let of_thread = Arc::clone(&call);
        let make = move || {
            let _gate = lock(&self.gate);
            if matches!(*lock(&of_thread), Call::Left) {
                return;
            }
            let (turn, turns, late) = {
                let mut state = lock(&self.state);
                let fits = |found: &Found<E>| found.bytes_at(remainder) <= most;
                let late = if state.late.front().is_some_and(fits) { state.late.pop_front() } else { None };
                (state.turn.take(), state.turns, late)
            };
            if let Some(turn) = turn {
                turn();
            }
            let found = match late {
                Some(late) => late,
                None if !lock(&self.state).late.is_empty() => Found::too_large(before.1),
                None => Found::by((bytes, remainder), most, before, own),
            };
            let mut call = lock(&of_thread);
            if !matches!(*call, Call::Left) {
                *call = Call::Ended(found);
                return;
            }
            let mut state = lock(&self.state);
            if found.is_found && state.turns == turns {
                state.late.push_front(found);
            }
        };
        if is_fiber {
            // Whether it has ended, or was left, is what the call says.
            let _ = offload_or_leave(make);
        } else {
            make();
        }
        match std::mem::replace(&mut *lock(&call), Call::Left) {
            Call::Ended(found) => Some(found),
            _ => None,
        }
    }

    /// A new beginning, or the end, by `own`.
    fn turn(&'static self, own: impl FnOnce() + Send + 'static) {
        let within = enter();
        if within.is_none() && (!is_installed() || !self.has_more()) {
            return own();
        }
        {
            let mut state = lock(&self.state);
            state.late.clear();
            state.turn = Some(Box::new(own));
            state.turns += 1;
        }
        let make = move || {
            let _gate = lock(&self.gate);
            let turn = lock(&self.state).turn.take();
            if let Some(turn) = turn {
                turn();
            }
        };
        if within.is_some() {
            // The next caller makes it, if this one leaves it behind.
            let _ = offload_or_leave(make);
        } else {
            make();
        }
    }

    /// A function that returns the process's own entry. `plain`: libc's own function.
    fn kept(&'static self, plain: impl FnOnce() -> *mut E, own: fn(Places<E>) -> c_int) -> *mut E {
        let within = enter();
        if within.is_none() && (!is_installed() || !self.has_more()) {
            return plain();
        }
        match (self.next(within.is_some(), (BYTES, 0), MOST, own), within) {
            (Some(found), within) => {
                let error = found.error;
                let entry = self.kept.keep(found);
                match within {
                    Some(within) => within.fails_with(error),
                    None => set_errno(error),
                }
                entry
            }
            (None, Some(within)) => {
                cancelled(&within);
                null_mut()
            }
            (None, None) => null_mut(),
        }
    }

    /// A function that fills in what is the caller's: an error number.
    ///
    /// # Safety
    ///
    /// The places are those of the caller, as `own` takes them.
    unsafe fn fill_in(&'static self, places: Places<E>, own: fn(Places<E>) -> c_int) -> c_int {
        let within = enter();
        if within.is_none() && (!is_installed() || !self.has_more()) {
            return own(places);
        }
        let (_, buffer, bytes, ..) = places;
        let found = self.next(within.is_some(), size_of_caller(buffer, bytes), bytes, own);
        match (&found, &within) {
            (Some(found), Some(within)) => within.fails_with(found.error),
            (Some(found), None) => set_errno(found.error),
            (None, Some(within)) => cancelled(within),
            (None, None) => {}
        }
        // SAFETY: the caller's promise.
        unsafe { answer(found, places) }
    }
}

/// The hooks of a list: those that return an entry, that fill one in, and those of its beginning and its end.
macro_rules! walks {
    ($($walk:ident: $entry:ty, $next:ident $next_r:ident($($error:ident: $e:ty)?) $begin:ident($($open:ident: $o:ty)?) $end:ident;)*) => {
        $(
            static $walk: Walk<$entry> = Walk::new();
        )*

        hooks! { $(
            /// The next entry of a list.
            fn $next() -> *mut $entry, |_| -> always {
                // SAFETY: it takes nothing.
                $walk.kept(|| unsafe { own!(fn $next() -> *mut $entry)() }, walks!(own $next_r($($error: $e)?): $entry))
            }

            /// The next entry of a list, in a place of the caller's.
            fn $next_r(
                entry: *mut $entry, buffer: *mut c_char, bytes: size_t, result: *mut *mut $entry $(, $error: $e)?
            ) -> c_int, |_| -> always {
                let (own, host_error) = (walks!(own $next_r($($error: $e)?): $entry), walks!(place $($error)?));
                // SAFETY: the caller's promise.
                unsafe { $walk.fill_in((entry, buffer, bytes, result, host_error), own) }
            }

            /// A list from its beginning.
            fn $begin($($open: $o)?) -> (), |_| -> always {
                // SAFETY: it takes a number, or nothing.
                $walk.turn(move || unsafe { own!(fn $begin($($o)?) -> ())($($open)?) });
            }

            /// The end of a list.
            fn $end() -> (), |_| -> always {
                // SAFETY: it takes nothing.
                $walk.turn(|| unsafe { own!(fn $end() -> ())() });
            }
        )* }
    };
    (place) => { null_mut() };
    (place $error:ident) => { $error };
    (own $name:ident(): $entry:ty) => {
        // SAFETY: the places are those of the call.
        |(entry, buffer, bytes, result, _)| unsafe {
            own!(fn $name(*mut $entry, *mut c_char, size_t, *mut *mut $entry) -> c_int)(entry, buffer, bytes, result)
        }
    };
    (own $name:ident($error:ident: $e:ty): $entry:ty) => {
        // SAFETY: as above.
        |(entry, buffer, bytes, result, $error)| unsafe {
            own!(fn $name(*mut $entry, *mut c_char, size_t, *mut *mut $entry, $e) -> c_int)(entry, buffer, bytes, result, $error)
        }
    };
}

walks! {
    USERS: passwd, getpwent getpwent_r() setpwent() endpwent;
    GROUPS: group, getgrent getgrent_r() setgrent() endgrent;
    SHADOW: spwd, getspent getspent_r() setspent() endspent;
    HOSTS: hostent, gethostent gethostent_r(error: *mut c_int) sethostent(stays: c_int) endhostent;
    NETWORKS: Network, getnetent getnetent_r(error: *mut c_int) setnetent(stays: c_int) endnetent;
    PROTOCOLS: protoent, getprotoent getprotoent_r() setprotoent(stays: c_int) endprotoent;
    SERVICES: servent, getservent getservent_r() setservent(stays: c_int) endservent;
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    /// How many entries were asked for, and how many calls may end.
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static MAY_END: AtomicU32 = AtomicU32::new(0);
    static LIST: Walk<passwd> = Walk::new();

    /// The next of a list of users, who have numbers and are three.
    fn next((entry, buffer, bytes, result, _): Places<passwd>) -> c_int {
        let number = ASKED.fetch_add(1, SeqCst) + 1;
        while MAY_END.load(SeqCst) < number {
            std::thread::yield_now();
        }
        // SAFETY: the places of the call.
        unsafe {
            *result = null_mut();
            if bytes < 64 {
                ASKED.fetch_sub(1, SeqCst);
                return libc::ERANGE;
            }
            if number > 3 {
                return libc::ENOENT;
            }
            buffer.cast::<[u8; 2]>().write([b'0' + number as u8, 0]);
            entry.write(MaybeUninit::zeroed().assume_init());
            (*entry).pw_name = buffer;
            *result = entry;
        }
        0
    }

    /// The name of the next one, by the process's own entry.
    fn name() -> Option<u8> {
        let found = LIST.kept(|| unreachable!("something was left"), next);
        // SAFETY: null, or an entry whose name is a string.
        unsafe { found.as_ref().map(|found| *found.pw_name.cast::<u8>()) }
    }

    #[test]
    fn an_entry_that_was_left_behind_is_the_next_caller_s() {
        if crate::install().is_err() {
            return;
        }
        abaca::run(|| {
            let until_asked = |count| {
                while ASKED.load(SeqCst) < count {
                    abaca::sleep(Duration::from_millis(1));
                }
            };
            MAY_END.store(1, SeqCst);
            assert_eq!(name(), Some(b'1'));
            let fiber = abaca::spawn(|| (name(), errno()));
            until_asked(2);
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (None, libc::ECANCELED));
            // The call goes on, and the next one waits for it, whoever makes it.
            let second = abaca::spawn(|| {
                let (mut entry, mut buffer, mut result) =
                    (MaybeUninit::uninit(), [0 as c_char; 200], null_mut());
                // SAFETY: the places are this fiber's, whose buffer begins anywhere.
                unsafe {
                    let places =
                        (entry.as_mut_ptr(), buffer.as_mut_ptr().add(3), 150, &raw mut result, null_mut());
                    LIST.fill_in(places, next)
                }
            });
            for _ in 0..20 {
                abaca::yield_now();
            }
            assert!(!second.is_finished());
            MAY_END.store(9, SeqCst);
            // It was found with a buffer that is larger than this caller's.
            assert_eq!(second.join().unwrap(), libc::ERANGE);
            assert_eq!((name(), name(), name()), (Some(b'2'), Some(b'3'), None));

            // A new beginning forgets what was left.
            ASKED.store(0, SeqCst);
            MAY_END.store(0, SeqCst);
            let fiber = abaca::spawn(name);
            until_asked(1);
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), None);
            let begin = abaca::spawn(|| LIST.turn(|| ASKED.store(0, SeqCst)));
            begin.cancel();
            let _ = begin.join();
            MAY_END.store(9, SeqCst);
            assert_eq!((name(), name(), name(), name()), (Some(b'1'), Some(b'2'), Some(b'3'), None));
        });
    }
}
