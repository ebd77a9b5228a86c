//! Services, protocols, networks and the passwords' own file, which are looked up as users and hosts are (`names.rs`).

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int};
use std::ptr::{null, null_mut};

use libc::{protoent, servent, size_t, spwd};

use super::entries::{Kept, Places, fill_in};
use super::entry::Network;
use super::names::{copy, look_up, look_up_host};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// getservbyname(3).
    fn getservbyname(name: *const c_char, protocol: *const c_char) -> *mut servent, |within| -> c {
        static KEPT: Kept<servent> = Kept::new();
        // SAFETY: the caller's promise, here and below. Without a protocol any will do.
        let (name, protocol) = unsafe { (copy(name), (!protocol.is_null()).then(|| copy(protocol))) };
        let protocol = move || protocol.as_ref().map_or(null(), |protocol| protocol.as_ptr());
        KEPT.look_up(within, look_up!(getservbyname_r(name.as_ptr() => *const c_char, protocol() => *const c_char): servent))
    }

    /// getservbyport(3).
    fn getservbyport(port: c_int, protocol: *const c_char) -> *mut servent, |within| -> c {
        static KEPT: Kept<servent> = Kept::new();
        // SAFETY: the caller's promise, here and below.
        let protocol = unsafe { (!protocol.is_null()).then(|| copy(protocol)) };
        let protocol = move || protocol.as_ref().map_or(null(), |protocol| protocol.as_ptr());
        KEPT.look_up(within, look_up!(getservbyport_r(port => c_int, protocol() => *const c_char): servent))
    }

    /// getprotobyname(3).
    fn getprotobyname(name: *const c_char) -> *mut protoent, |within| -> c {
        static KEPT: Kept<protoent> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up!(getprotobyname_r(name.as_ptr() => *const c_char): protoent))
    }

    /// getprotobynumber(3).
    fn getprotobynumber(number: c_int) -> *mut protoent, |within| -> c {
        static KEPT: Kept<protoent> = Kept::new();
        KEPT.look_up(within, look_up!(getprotobynumber_r(number => c_int): protoent))
    }

    /// getnetbyname(3).
    fn getnetbyname(name: *const c_char) -> *mut Network, |within| -> c {
        static KEPT: Kept<Network> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up_host!(getnetbyname_r(name.as_ptr() => *const c_char): Network))
    }

    /// getnetbyaddr(3).
    fn getnetbyaddr(number: u32, family: c_int) -> *mut Network, |within| -> c {
        static KEPT: Kept<Network> = Kept::new();
        KEPT.look_up(within, look_up_host!(getnetbyaddr_r(number => u32, family => c_int): Network))
    }

    /// getspnam(3).
    fn getspnam(name: *const c_char) -> *mut spwd, |within| -> c {
        static KEPT: Kept<spwd> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up!(getspnam_r(name.as_ptr() => *const c_char): spwd))
    }

    /// getservbyname_r(3).
    fn getservbyname_r(
        name: *const c_char, protocol: *const c_char, entry: *mut servent, buffer: *mut c_char, bytes: size_t,
        result: *mut *mut servent,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let (name, protocol) = unsafe { (copy(name), (!protocol.is_null()).then(|| copy(protocol))) };
        let protocol = move || protocol.as_ref().map_or(null(), |protocol| protocol.as_ptr());
        let look_up = look_up!(getservbyname_r(name.as_ptr() => *const c_char, protocol() => *const c_char): servent);
        // SAFETY: as above.
        unsafe { fill_in(within, (entry, buffer, bytes, result, null_mut()), look_up) }
    }

    /// getservbyport_r(3).
    fn getservbyport_r(
        port: c_int, protocol: *const c_char, entry: *mut servent, buffer: *mut c_char, bytes: size_t, result: *mut *mut servent,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let protocol = unsafe { (!protocol.is_null()).then(|| copy(protocol)) };
        let protocol = move || protocol.as_ref().map_or(null(), |protocol| protocol.as_ptr());
        let look_up = look_up!(getservbyport_r(port => c_int, protocol() => *const c_char): servent);
        // SAFETY: as above.
        unsafe { fill_in(within, (entry, buffer, bytes, result, null_mut()), look_up) }
    }

    /// getprotobyname_r(3).
    fn getprotobyname_r(
        name: *const c_char, entry: *mut protoent, buffer: *mut c_char, bytes: size_t, result: *mut *mut protoent,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let look_up = look_up!(getprotobyname_r(name.as_ptr() => *const c_char): protoent);
        // SAFETY: as above.
        unsafe { fill_in(within, (entry, buffer, bytes, result, null_mut()), look_up) }
    }

    /// getprotobynumber_r(3).
    fn getprotobynumber_r(
        number: c_int, entry: *mut protoent, buffer: *mut c_char, bytes: size_t, result: *mut *mut protoent,
    ) -> c_int, |within| -> c {
        let look_up = look_up!(getprotobynumber_r(number => c_int): protoent);
        // SAFETY: the caller's promise.
        unsafe { fill_in(within, (entry, buffer, bytes, result, null_mut()), look_up) }
    }

    /// getnetbyname_r(3).
    fn getnetbyname_r(
        name: *const c_char, entry: *mut Network, buffer: *mut c_char, bytes: size_t, result: *mut *mut Network, error: *mut c_int,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let look_up = look_up_host!(getnetbyname_r(name.as_ptr() => *const c_char): Network);
        // SAFETY: as above.
        unsafe { fill_in(within, (entry, buffer, bytes, result, error), look_up) }
    }

    /// getnetbyaddr_r(3).
    fn getnetbyaddr_r(
        number: u32, family: c_int, entry: *mut Network, buffer: *mut c_char, bytes: size_t, result: *mut *mut Network,
        error: *mut c_int,
    ) -> c_int, |within| -> c {
        let look_up = look_up_host!(getnetbyaddr_r(number => u32, family => c_int): Network);
        // SAFETY: the caller's promise.
        unsafe { fill_in(within, (entry, buffer, bytes, result, error), look_up) }
    }

    /// getspnam_r(3).
    fn getspnam_r(
        name: *const c_char, entry: *mut spwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut spwd,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let look_up = look_up!(getspnam_r(name.as_ptr() => *const c_char): spwd);
        // SAFETY: as above.
        unsafe { fill_in(within, (entry, buffer, bytes, result, null_mut()), look_up) }
    }
}
