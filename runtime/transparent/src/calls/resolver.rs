//! The settings of the resolver, which are each thread's own (`_res` of `<resolv.h>`): a look-up on a thread of the pool goes by those of the fiber
//! that it is for, if that has any.

#![expect(unsafe_code, reason = "reads and writes a structure of libc's")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_ushort, c_void};
use std::ptr;

use libc::{sockaddr_in, sockaddr_in6};

/// `struct __res_state`, with which programs are compiled.
#[repr(C)]
struct State {
    plain: Plain,
    unused: [*mut c_void; 2],
    host_error: c_int,
    socket: c_int,
    flags: c_uint,
    beyond: Beyond,
}

/// What the user sets.
#[repr(C)]
#[derive(Clone, Copy)]
struct Plain {
    retransmission: c_int,
    attempts: c_int,
    options: c_ulong,
    server_count: c_int,
    servers: [sockaddr_in; SERVERS],
    id: c_ushort,
    search: [*mut c_char; 7],
    domain: [c_char; 256],
    print: c_ulong,
    bits: c_uint,
    sort: [[u32; 2]; 10],
}

/// What libc adds. A server whose family is 0 is there.
#[repr(C)]
struct Beyond {
    counts: [u16; 4],
    sockets: [c_int; SERVERS],
    more_counts: [u16; 2],
    servers: [*mut sockaddr_in6; SERVERS],
    reserved: [c_uint; 2],
}

const SERVERS: usize = 3;

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<State>() == 568);

/// Whether a state has been initialised.
const RES_INIT: c_ulong = 1;

unsafe extern "C" {
    /// The calling thread's.
    fn __res_state() -> *mut State;
    fn __res_init() -> c_int;
}

/// The settings of a thread, with all that they name. `None` of one that has none of its own.
pub(super) struct Settings(Option<Box<Owned>>);

struct Owned {
    plain: Plain,
    /// Where in `domain` the domains to search lie.
    places: [Option<usize>; 7],
    /// Those that lie elsewhere.
    others: [Option<CString>; 7],
    servers: [Option<sockaddr_in6>; SERVERS],
}

// SAFETY: its addresses are not used: those of what it owns take their places.
unsafe impl Send for Settings {}

impl Settings {
    /// The caller's.
    pub(super) fn of_caller() -> Self {
        // SAFETY: the structure is the calling thread's own.
        let state = unsafe { &*__res_state() };
        Self((state.plain.options & RES_INIT != 0).then(|| Box::new(Owned::of(state))))
    }

    /// Calls `look_up` with the calling thread's settings replaced by these.
    pub(super) fn lend<R>(mut self, look_up: impl FnOnce() -> R) -> R {
        let Some(owned) = &mut self.0 else { return look_up() };
        // SAFETY: the structure is the calling thread's own. libc initialises it before the first look-up, and would do so in this one.
        let state = unsafe {
            let state = __res_state();
            if (*state).plain.options & RES_INIT == 0 {
                __res_init();
            }
            state
        };
        // SAFETY: as above. libc itself sees to what it has beyond, once the servers are others: that stays as it leaves it.
        let (before, servers) = unsafe { ((*state).plain, (*state).beyond.servers) };
        // SAFETY: as above.
        unsafe { owned.put(&mut *state) };
        let result = look_up();
        // SAFETY: as above.
        unsafe {
            let id = (*state).plain.id;
            (*state).plain = before;
            (*state).plain.id = id;
            for (at, own) in owned.servers.iter().enumerate() {
                if own.is_some() {
                    (*state).beyond.servers[at] = servers[at];
                }
            }
        }
        result
    }
}

impl Owned {
    fn of(state: &State) -> Self {
        let plain = state.plain;
        let mut places = [None; 7];
        let mut others = [const { None }; 7];
        let first = state.plain.domain.as_ptr().addr();
        let end = first + plain.domain.len();
        for (at, name) in plain.search.iter().enumerate() {
            if (first..end).contains(&name.addr()) {
                places[at] = Some(name.addr() - first);
            } else if !name.is_null() {
                // SAFETY: a C string of the user's.
                others[at] = Some(unsafe { CStr::from_ptr(*name) }.to_owned());
            }
        }
        let mut servers = [None; SERVERS];
        for (at, server) in servers.iter_mut().enumerate() {
            if plain.servers[at].sin_family == 0 {
                // SAFETY: null, or an address that libc has made.
                *server = unsafe { state.beyond.servers[at].as_ref() }.copied();
            }
        }
        Self { plain, places, others, servers }
    }

    fn put(&mut self, state: &mut State) {
        let id = state.plain.id;
        state.plain = self.plain;
        state.plain.id = id;
        let domain = state.plain.domain.as_mut_ptr();
        for (at, name) in state.plain.search.iter_mut().enumerate() {
            *name = match (self.places[at], &self.others[at]) {
                (Some(place), _) => domain.wrapping_add(place),
                (None, Some(other)) => other.as_ptr().cast_mut(),
                (None, None) => ptr::null_mut(),
            };
        }
        for (at, server) in self.servers.iter_mut().enumerate() {
            if let Some(server) = server {
                state.beyond.servers[at] = server;
            }
        }
    }
}
