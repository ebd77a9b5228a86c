//! Users, groups and hosts: NSS asks a server or reads files, with locks of libc held. So a fiber must not park in it, and the call runs on
//! another thread, with copies of what it is given. A fiber that is cancelled leaves it behind.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};

use abaca::hook::offload_or_leave;
use libc::{
    EAI_SYSTEM, NI_NUMERICHOST, NI_NUMERICSERV, gid_t, group, hostent, passwd, size_t, sockaddr, socklen_t,
    uid_t,
};

use super::entries::{Kept, Places, cancelled, fill_in, host_error, set_host_error};
use super::resolver::Settings;
use crate::answer::{errno, set_errno};
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;
use crate::threads::wait_at_point;

/// A look-up in libc's own function of this name, which ends in an `_r`: `own` arguments first, then the places that it fills in.
macro_rules! look_up {
    ($name:ident($($argument:expr => $t:ty),*): $entry:ty) => {
        // SAFETY: the arguments are the closure's, and the places those of the look-up.
        move |(entry, buffer, bytes, result, _): Places<$entry>| unsafe {
            own!(fn $name($($t,)* *mut $entry, *mut c_char, size_t, *mut *mut $entry) -> c_int)($($argument,)* entry, buffer, bytes, result)
        }
    };
}

/// The same for hosts and networks, of which there is one more place.
macro_rules! look_up_host {
    ($name:ident($($argument:expr => $t:ty),*): $entry:ty) => {
        // SAFETY: as above.
        move |(entry, buffer, bytes, result, error): Places<$entry>| unsafe {
            own!(fn $name($($t,)* *mut $entry, *mut c_char, size_t, *mut *mut $entry, *mut c_int) -> c_int)(
                $($argument,)* entry, buffer, bytes, result, error
            )
        }
    };
    ($name:ident($($argument:expr => $t:ty),*)) => { look_up_host!($name($($argument => $t),*): hostent) };
}

pub(super) use {look_up, look_up_host};

/// # Safety
///
/// The string ends in a zero byte.
pub(super) unsafe fn copy(string: *const c_char) -> CString {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_owned()
}

/// # Safety
///
/// There are so many bytes, if there are to be some.
unsafe fn copy_bytes(bytes: *const c_void, count: socklen_t) -> Vec<u8> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize) }.to_vec()
}

hooks! {
    /// getpwnam(3).
    fn getpwnam(name: *const c_char) -> *mut passwd, |within| -> c {
        static KEPT: Kept<passwd> = Kept::new();
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up!(getpwnam_r(name.as_ptr() => *const c_char): passwd))
    }

    /// getpwuid(3).
    fn getpwuid(user: uid_t) -> *mut passwd, |within| -> c {
        static KEPT: Kept<passwd> = Kept::new();
        KEPT.look_up(within, look_up!(getpwuid_r(user => uid_t): passwd))
    }

    /// getgrnam(3).
    fn getgrnam(name: *const c_char) -> *mut group, |within| -> c {
        static KEPT: Kept<group> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up!(getgrnam_r(name.as_ptr() => *const c_char): group))
    }

    /// getgrgid(3).
    fn getgrgid(number: gid_t) -> *mut group, |within| -> c {
        static KEPT: Kept<group> = Kept::new();
        KEPT.look_up(within, look_up!(getgrgid_r(number => gid_t): group))
    }

    /// gethostbyname(3).
    fn gethostbyname(name: *const c_char) -> *mut hostent, |within| -> c {
        static KEPT: Kept<hostent> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up_host!(gethostbyname_r(name.as_ptr() => *const c_char)))
    }

    /// gethostbyname2(3).
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent, |within| -> c {
        static KEPT: Kept<hostent> = Kept::new();
        // SAFETY: the caller's promise.
        let name = unsafe { copy(name) };
        KEPT.look_up(within, look_up_host!(gethostbyname2_r(name.as_ptr() => *const c_char, family => c_int)))
    }

    /// gethostbyaddr(3).
    fn gethostbyaddr(address: *const c_void, bytes: socklen_t, family: c_int) -> *mut hostent, |within| -> c {
        static KEPT: Kept<hostent> = Kept::new();
        // SAFETY: the caller's promise.
        let address = unsafe { copy_bytes(address, bytes) };
        KEPT.look_up(
            within,
            look_up_host!(gethostbyaddr_r(address.as_ptr().cast() => *const c_void, address.len() as socklen_t => socklen_t, family => c_int)),
        )
    }

    /// getpwnam_r(3).
    fn getpwnam_r(
        name: *const c_char, entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let places = (entry, buffer, bytes, result, std::ptr::null_mut());
        let look_up = look_up!(getpwnam_r(name.as_ptr() => *const c_char): passwd);
        // SAFETY: as above.
        unsafe { fill_in(within, places, look_up) }
    }

    /// getpwuid_r(3).
    fn getpwuid_r(
        user: uid_t, entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd,
    ) -> c_int, |within| -> c {
        let places = (entry, buffer, bytes, result, std::ptr::null_mut());
        let look_up = look_up!(getpwuid_r(user => uid_t): passwd);
        // SAFETY: the caller's promise.
        unsafe { fill_in(within, places, look_up) }
    }

    /// getgrnam_r(3).
    fn getgrnam_r(
        name: *const c_char, entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let places = (entry, buffer, bytes, result, std::ptr::null_mut());
        let look_up = look_up!(getgrnam_r(name.as_ptr() => *const c_char): group);
        // SAFETY: as above.
        unsafe { fill_in(within, places, look_up) }
    }

    /// getgrgid_r(3).
    fn getgrgid_r(
        number: gid_t, entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group,
    ) -> c_int, |within| -> c {
        let places = (entry, buffer, bytes, result, std::ptr::null_mut());
        let look_up = look_up!(getgrgid_r(number => gid_t): group);
        // SAFETY: the caller's promise.
        unsafe { fill_in(within, places, look_up) }
    }

    /// gethostbyname_r(3).
    fn gethostbyname_r(
        name: *const c_char, entry: *mut hostent, buffer: *mut c_char, bytes: size_t, result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let places = (entry, buffer, bytes, result, error);
        let look_up = look_up_host!(gethostbyname_r(name.as_ptr() => *const c_char));
        // SAFETY: as above.
        unsafe { fill_in(within, places, look_up) }
    }

    /// gethostbyname2_r(3).
    fn gethostbyname2_r(
        name: *const c_char, family: c_int, entry: *mut hostent, buffer: *mut c_char, bytes: size_t, result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        let places = (entry, buffer, bytes, result, error);
        let look_up = look_up_host!(gethostbyname2_r(name.as_ptr() => *const c_char, family => c_int));
        // SAFETY: as above.
        unsafe { fill_in(within, places, look_up) }
    }

    /// gethostbyaddr_r(3).
    fn gethostbyaddr_r(
        address: *const c_void, address_bytes: socklen_t, family: c_int, entry: *mut hostent, buffer: *mut c_char, bytes: size_t,
        result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int, |within| -> c {
        // SAFETY: the caller's promise, here and below.
        let address = unsafe { copy_bytes(address, address_bytes) };
        let places = (entry, buffer, bytes, result, error);
        let look_up = look_up_host!(
            gethostbyaddr_r(address.as_ptr().cast() => *const c_void, address.len() as socklen_t => socklen_t, family => c_int)
        );
        // SAFETY: as above.
        unsafe { fill_in(within, places, look_up) }
    }

    /// getnameinfo(3): in figures on the spot.
    fn getnameinfo(
        address: *const sockaddr, address_bytes: socklen_t, host: *mut c_char, host_bytes: socklen_t, service: *mut c_char,
        service_bytes: socklen_t, flags: c_int,
    ) -> c_int, |within| -> c_wait {
        let own = own!(fn getnameinfo(*const sockaddr, socklen_t, *mut c_char, socklen_t, *mut c_char, socklen_t, c_int) -> c_int);
        let is_asked = |name: *mut c_char, bytes: socklen_t, in_figures| !name.is_null() && bytes > 0 && flags & in_figures == 0;
        let asks = is_asked(host, host_bytes, NI_NUMERICHOST) || is_asked(service, service_bytes, NI_NUMERICSERV);
        if address.is_null() || !asks {
            // Nobody is asked.
            // SAFETY: the caller's promise.
            let result = unsafe { own(address, address_bytes, host, host_bytes, service, service_bytes, flags) };
            within.fails_with(errno());
            return result;
        }
        // SAFETY: the caller's promise.
        let address = unsafe { copy_bytes(address.cast(), address_bytes) };
        let has = [!host.is_null(), !service.is_null()];
        let look_up = move || {
            let mut names = [vec![0_u8; host_bytes as usize], vec![0_u8; service_bytes as usize]];
            let [host, service] = &mut names;
            let place = |name: &mut Vec<u8>, is_wanted: bool| if is_wanted { name.as_mut_ptr().cast() } else { std::ptr::null_mut() };
            // SAFETY: the buffers are the closure's.
            let code = unsafe {
                own(
                    address.as_ptr().cast(), address_bytes, place(host, has[0]), host_bytes, place(service, has[1]), service_bytes, flags,
                )
            };
            (code, names)
        };
        let answer = wait_at_point(|| None, || leave(within, look_up));
        let Some((code, names)) = answer else { return EAI_SYSTEM };
        for (name, to) in names.iter().zip([host, service]).filter(|(_, to)| code == 0 && !to.is_null()) {
            // SAFETY: the caller's promise.
            unsafe { name.as_ptr().cast::<c_char>().copy_to_nonoverlapping(to, name.len()) };
        }
        code
    }

    /// res_query(3).
    fn res_query(name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        // SAFETY: as above; the buffer is the look-up's.
        unsafe { query(within, answer, bytes, move |answer| own!(fn res_query(*const c_char, c_int, c_int, *mut c_uchar, c_int) -> c_int)(name.as_ptr(), class, kind, answer, bytes)) }
    }

    /// res_search(3).
    fn res_search(name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below.
        let name = unsafe { copy(name) };
        // SAFETY: as above; the buffer is the look-up's.
        unsafe { query(within, answer, bytes, move |answer| own!(fn res_search(*const c_char, c_int, c_int, *mut c_uchar, c_int) -> c_int)(name.as_ptr(), class, kind, answer, bytes)) }
    }

    /// res_querydomain(3).
    fn res_querydomain(
        name: *const c_char, domain: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int, |within| -> c_wait {
        // SAFETY: the caller's promise, here and below. Without a domain the name is absolute.
        let (name, domain) = unsafe { (copy(name), (!domain.is_null()).then(|| copy(domain))) };
        let look_up = move |answer: *mut c_uchar| {
            let domain = domain.as_ref().map_or(std::ptr::null(), |domain| domain.as_ptr());
            let own = own!(fn res_querydomain(*const c_char, *const c_char, c_int, c_int, *mut c_uchar, c_int) -> c_int);
            // SAFETY: the buffer is the look-up's.
            unsafe { own(name.as_ptr(), domain, class, kind, answer, bytes) }
        };
        // SAFETY: as above.
        unsafe { query(within, answer, bytes, look_up) }
    }

    /// initgroups(3): the look-up, and then the change of the process, which nobody else makes for the caller.
    fn initgroups(user: *const c_char, number: gid_t) -> c_int, |within| -> c {
        // SAFETY: the caller's promise.
        let user = unsafe { copy(user) };
        let own = own!(fn getgrouplist(*const c_char, gid_t, *mut gid_t, *mut c_int) -> c_int);
        let found = leave(within, move || {
            let mut groups: Vec<gid_t> = vec![0; 64];
            loop {
                let mut count = groups.len() as c_int;
                // SAFETY: the list has so many elements.
                let result = unsafe { own(user.as_ptr(), number, groups.as_mut_ptr(), &mut count) };
                groups.resize(count.max(0) as usize, 0);
                if result >= 0 {
                    return groups;
                }
            }
        });
        let Some(groups) = found else { return -1 };
        let mut count = groups.len();
        set_errno(within.errno());
        // As libc, which sets as many as the kernel takes.
        // SAFETY: the list has as many elements.
        while unsafe { libc::setgroups(count, groups.as_ptr()) } != 0 {
            if errno() != libc::EINVAL || count <= 1 {
                within.fails_with(errno());
                return -1;
            }
            count -= 1;
        }
        0
    }
}

/// Makes a call that owns what it uses on a thread of the pool. The caller finds its `errno` and `h_errno` as if it had made it itself.
/// `None` if it was cancelled, and has left the call behind.
fn leave<T: Send + 'static>(within: &Within, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let before = within.errno();
    let settings = Settings::of_caller();
    let answer = offload_or_leave(move || {
        set_errno(before);
        let result = settings.lend(call);
        (result, errno(), host_error())
    });
    match answer {
        Some((result, error, host_error)) => {
            within.fails_with(error);
            set_host_error(host_error);
            Some(result)
        }
        None => {
            cancelled(within);
            None
        }
    }
}

/// A question to a name server: the bytes of its answer, or -1.
///
/// # Safety
///
/// The answer has room for so many bytes.
unsafe fn query(
    within: &Within,
    answer: *mut c_uchar,
    bytes: c_int,
    look_up: impl FnOnce(*mut c_uchar) -> c_int + Send + 'static,
) -> c_int {
    /// libc writes the head of an answer, whether there is room or not.
    const HEAD_BYTES: usize = 64;
    let room = usize::try_from(bytes).unwrap_or(0);
    let ask = move || {
        let mut found = vec![0; room.max(HEAD_BYTES)];
        (look_up(found.as_mut_ptr()), found)
    };
    let found = wait_at_point(|| None, || leave(within, ask));
    let Some((count, found)) = found else { return -1 };
    // An answer that is too long is told by its size, and cut off.
    let copied = room.min(usize::try_from(count).unwrap_or(0));
    // SAFETY: the caller's promise.
    unsafe { answer.copy_from_nonoverlapping(found.as_ptr(), copied) };
    count
}
