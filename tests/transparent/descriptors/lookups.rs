//! Look-ups of users, groups, hosts, services, protocols and networks: on a fiber they answer as on a thread.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

use libc::FILE;

use crate::support::same;

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn gethostbyname(name: *const c_char) -> *mut libc::hostent;
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut libc::hostent;
    fn gethostbyaddr(address: *const c_void, bytes: c_uint, family: c_int) -> *mut libc::hostent;
    fn fgetpwent(file: *mut FILE) -> *mut libc::passwd;
    fn fgetgrent(file: *mut FILE) -> *mut libc::group;
    fn getservbyname_r(
        name: *const c_char,
        protocol: *const c_char,
        entry: *mut libc::servent,
        buffer: *mut c_char,
        bytes: usize,
        result: *mut *mut libc::servent,
    ) -> c_int;
    fn getservent() -> *mut libc::servent;
    fn endservent();
    fn endprotoent();
    fn endhostent();
    fn getprotoent() -> *mut libc::protoent;
    fn gethostent() -> *mut libc::hostent;
    fn getnetbyname(name: *const c_char) -> *mut c_void;
    fn innetgr(name: *const c_char, host: *const c_char, user: *const c_char, domain: *const c_char)
    -> c_int;
    fn getlogin_r(name: *mut c_char, bytes: usize) -> c_int;
}

/// A look-up, and what it returns.
type Call = (&'static str, fn() -> String);

fn name(name: *const c_char) -> String {
    if name.is_null() {
        "none".into()
    } else {
        // SAFETY: a C string of libc's, or of a test's buffer.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }
}

fn user(entry: *mut libc::passwd) -> String {
    // SAFETY: null, or an entry of libc's.
    unsafe { entry.as_ref() }
        .map_or("none".into(), |entry| format!("{} {}", name(entry.pw_name), entry.pw_uid))
}

fn group(entry: *mut libc::group) -> String {
    // SAFETY: null, or an entry of libc's.
    unsafe { entry.as_ref() }
        .map_or("none".into(), |entry| format!("{} {}", name(entry.gr_name), entry.gr_gid))
}

fn host(entry: *mut libc::hostent) -> String {
    // SAFETY: null, or an entry of libc's.
    unsafe { entry.as_ref() }
        .map_or("none".into(), |entry| format!("{} {}", name(entry.h_name), entry.h_addrtype))
}

fn service(entry: *mut libc::servent) -> String {
    // SAFETY: null, or an entry of libc's, whose first alias is a string or null.
    unsafe { entry.as_ref() }.map_or("none".into(), |entry| {
        // SAFETY: as above.
        let alias = unsafe { *entry.s_aliases };
        format!("{} {} {} {}", name(entry.s_name), entry.s_port, name(entry.s_proto), name(alias))
    })
}

/// All entries of a list, and how it ends.
fn all(mut next: impl FnMut() -> String) -> String {
    std::iter::from_fn(|| Some(next()).filter(|text| text != "none")).take(500).collect::<Vec<_>>().join(", ")
}

// SAFETY: for all, C strings; values and buffers that live as long as the call and are as large as it is told; files that are there. Only one test
// makes the look-ups that return a buffer of libc's, and it reads each before the next.
const CALLS: &[Call] = unsafe {
    &[
        ("getpwnam", || user(libc::getpwnam(c"root".as_ptr()))),
        ("getpwnam of none", || user(libc::getpwnam(c"no such user".as_ptr()))),
        ("getpwuid", || user(libc::getpwuid(0))),
        ("getpwnam_r", || {
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2048]);
            let result =
                libc::getpwnam_r(c"root".as_ptr(), &mut entry, buffer.as_mut_ptr(), 2048, &mut found);
            format!("{result} {}", user(found))
        }),
        ("getpwuid_r", || {
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 1]);
            let result = libc::getpwuid_r(0, &mut entry, buffer.as_mut_ptr(), 1, &mut found);
            format!("{result} {}", user(found))
        }),
        ("getpwent", || {
            libc::setpwent();
            let first = user(libc::getpwent());
            libc::endpwent();
            first
        }),
        ("getpwent to the end", || {
            libc::setpwent();
            let users = all(|| user(libc::getpwent()));
            let again = user(libc::getpwent());
            libc::endpwent();
            format!("{users}; {again}")
        }),
        ("getpwent_r to the end", || {
            libc::setpwent();
            let users = all(|| {
                let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2048]);
                libc::getpwent_r(&mut entry, buffer.as_mut_ptr(), 2048, &mut found);
                user(found)
            });
            libc::setpwent();
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2]);
            let small = libc::getpwent_r(&mut entry, buffer.as_mut_ptr(), 2, &mut found);
            let first = user(libc::getpwent());
            libc::endpwent();
            format!("{users}; {small} {first}")
        }),
        ("getgrent to the end", || {
            libc::setgrent();
            let groups = all(|| group(libc::getgrent()));
            libc::endgrent();
            groups
        }),
        ("getspent", || {
            libc::setspent();
            let first = libc::getspent().as_ref().map_or("none".into(), |entry| name(entry.sp_namp));
            libc::endspent();
            first
        }),
        ("getservent, getprotoent, gethostent", || {
            let services = all(|| service(getservent()));
            let protocols = all(|| {
                getprotoent()
                    .as_ref()
                    .map_or("none".into(), |entry| format!("{} {}", name(entry.p_name), entry.p_proto))
            });
            let hosts = all(|| host(gethostent()));
            // From their beginnings again.
            endservent();
            endprotoent();
            endhostent();
            format!("{services}; {protocols}; {hosts}")
        }),
        ("getservbyname", || service(libc::getservbyname(c"http".as_ptr(), null()))),
        ("getservbyname of a protocol", || service(libc::getservbyname(c"domain".as_ptr(), c"udp".as_ptr()))),
        ("getservbyname of none", || service(libc::getservbyname(c"no such service".as_ptr(), null()))),
        ("getservbyport", || service(libc::getservbyport(c_int::from(25_u16.to_be()), c"tcp".as_ptr()))),
        ("getservbyname_r", || {
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2048]);
            let http = c"http".as_ptr();
            let code = getservbyname_r(http, null(), &mut entry, buffer.as_mut_ptr(), 2048, &mut found);
            format!("{code} {}", service(found))
        }),
        ("getprotobyname and number", || {
            [libc::getprotobyname(c"tcp".as_ptr()), libc::getprotobynumber(17)]
                .map(|entry| entry.as_ref().map_or("none".into(), |entry| name(entry.p_name)))
                .join(" ")
        }),
        ("getnetbyname", || getnetbyname(c"no such network".as_ptr()).is_null().to_string()),
        ("getspnam", || {
            libc::getspnam(c"root".as_ptr()).as_ref().map_or("none".into(), |entry| name(entry.sp_namp))
        }),
        ("innetgr", || innetgr(c"none".as_ptr(), null(), null(), null()).to_string()),
        ("getlogin_r", || getlogin_r([0; 64].as_mut_ptr(), 64).to_string()),
        ("fgetgrent", || {
            let file = libc::fopen(c"/etc/group".as_ptr(), c"r".as_ptr());
            let first = group(fgetgrent(file));
            libc::fclose(file);
            first
        }),
        ("fgetpwent", || {
            let file = libc::fopen(c"/etc/passwd".as_ptr(), c"r".as_ptr());
            let first = user(fgetpwent(file));
            libc::fclose(file);
            first
        }),
        ("getgrnam", || group(libc::getgrnam(c"root".as_ptr()))),
        ("getgrgid", || group(libc::getgrgid(0))),
        ("getgrnam_r", || {
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2048]);
            let result =
                libc::getgrnam_r(c"root".as_ptr(), &mut entry, buffer.as_mut_ptr(), 2048, &mut found);
            format!("{result} {}", group(found))
        }),
        ("getgrgid_r", || {
            let (mut entry, mut found, mut buffer) = (std::mem::zeroed(), null_mut(), [0; 2048]);
            let result = libc::getgrgid_r(0, &mut entry, buffer.as_mut_ptr(), 2048, &mut found);
            format!("{result} {}", group(found))
        }),
        ("getgrouplist", || {
            let (mut groups, mut count) = ([0; 64], 64);
            let result = libc::getgrouplist(c"root".as_ptr(), 0, groups.as_mut_ptr(), &mut count);
            format!("{result} {count}")
        }),
        ("gethostbyname", || host(gethostbyname(c"localhost".as_ptr()))),
        ("gethostbyname2", || host(gethostbyname2(c"127.0.0.1".as_ptr(), libc::AF_INET))),
        ("gethostbyaddr", || host(gethostbyaddr([127_u8, 0, 0, 1].as_ptr().cast(), 4, libc::AF_INET))),
        ("getaddrinfo", || {
            let mut found = null_mut();
            let result = libc::getaddrinfo(c"localhost".as_ptr(), null(), null(), &mut found);
            let is_found = !found.is_null();
            libc::freeaddrinfo(found);
            format!("{result} {is_found}")
        }),
        ("getnameinfo", || {
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::AF_INET as u16;
            let (mut buffer, bytes) = ([0; 64], size_of_val(&address) as u32);
            let flags = libc::NI_NUMERICHOST;
            let result = libc::getnameinfo(
                (&raw const address).cast(),
                bytes,
                buffer.as_mut_ptr(),
                64,
                null_mut(),
                0,
                flags,
            );
            format!("{result} {}", name(buffer.as_ptr()))
        }),
        ("getnameinfo of none", || {
            let mut buffer = [0; 64];
            libc::getnameinfo(null(), 0, buffer.as_mut_ptr(), 64, null_mut(), 0, 0).to_string()
        }),
    ]
};

#[test]
fn look_ups_answer_as_libcs() {
    for (name, call) in CALLS {
        same(name, move |_| call());
    }
}
