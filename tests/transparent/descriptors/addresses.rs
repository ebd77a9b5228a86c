//! Addresses in figures: getaddrinfo and getnameinfo ask nobody for them, so they stay on the worker; with libc's own answers.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::CStr;
use std::ptr::{null, null_mut};

use libc::c_int;

use crate::support::{on_one_worker, same};

const NODES: &[Option<&CStr>] = &[
    None,
    Some(c"127.0.0.1"),
    Some(c"127.1"),
    Some(c"0x7f.1"),
    Some(c"2130706433"),
    Some(c"::1"),
    Some(c"::ffff:1.2.3.4"),
    Some(c"fe80::1%lo"),
];
/// They look like addresses at first.
const OTHER_NODES: [&CStr; 4] = [c"1.2.3.4.5", c"300.1.1.1", c":::", c""];
const SERVICES: &[Option<&CStr>] = &[None, Some(c"80"), Some(c"70000")];
const FLAGS: &[c_int] = &[
    0,
    libc::AI_PASSIVE,
    libc::AI_CANONNAME,
    libc::AI_NUMERICHOST | libc::AI_NUMERICSERV,
    libc::AI_ADDRCONFIG,
    libc::AI_V4MAPPED | libc::AI_ALL,
    // No flag.
    0x4000_0000,
];
const FAMILIES: &[c_int] = &[libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6, 99];

fn string(string: Option<&CStr>) -> *const libc::c_char {
    string.map_or(null(), CStr::as_ptr)
}

/// What getaddrinfo answers: each entry's address in bytes, and what is beside it.
fn ask(node: Option<&CStr>, service: Option<&CStr>, hints: Option<(c_int, c_int)>) -> String {
    // SAFETY: zeros are hints for anything.
    let mut filled: libc::addrinfo = unsafe { std::mem::zeroed() };
    (filled.ai_flags, filled.ai_family) = hints.unwrap_or_default();
    let hints_pointer = if hints.is_some() { &raw const filled } else { null() };
    let mut list = null_mut();
    // SAFETY: C strings, hints, and a place for the list.
    let code = unsafe { libc::getaddrinfo(string(node), string(service), hints_pointer, &mut list) };
    let mut text = format!("{node:?} {service:?} {hints:?}: {code}");
    // Null after an error, as it was before.
    let mut next = list;
    // SAFETY: null, or an entry of a list that ends in null.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: of so many bytes.
        let address =
            unsafe { std::slice::from_raw_parts(entry.ai_addr.cast::<u8>(), entry.ai_addrlen as usize) };
        // SAFETY: null, or a C string.
        let name = (!entry.ai_canonname.is_null()).then(|| unsafe { CStr::from_ptr(entry.ai_canonname) });
        text += &format!(
            "\n  {} {} {} {} {address:?} {name:?}",
            entry.ai_flags, entry.ai_family, entry.ai_socktype, entry.ai_protocol
        );
        next = entry.ai_next;
    }
    if code == 0 {
        // SAFETY: libc's list, which nobody uses any more.
        unsafe { libc::freeaddrinfo(list) };
    }
    text
}

fn ask_all(nodes: &[Option<&CStr>], services: &[Option<&CStr>]) -> Vec<String> {
    let hints = FLAGS.iter().flat_map(|flags| FAMILIES.iter().map(move |family| Some((*flags, *family))));
    let hints: Vec<_> = hints.chain([None]).collect();
    let questions = nodes.iter().flat_map(|node| services.iter().map(move |service| (*node, *service)));
    questions.flat_map(|(node, service)| hints.iter().map(move |hints| ask(node, service, *hints))).collect()
}

/// The name of 127.0.0.1 and port 80.
fn name(flags: c_int, host_bytes: u32, service_bytes: u32) -> String {
    // SAFETY: zeros are an address.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    (address.sin_family, address.sin_port) = (libc::AF_INET as u16, 80_u16.to_be());
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    let (mut host, mut service) = ([0_u8; 64], [0_u8; 64]);
    // SAFETY: an address, and places that have at least so many bytes.
    let code = unsafe {
        libc::getnameinfo(
            (&raw const address).cast(),
            size_of_val(&address) as u32,
            host.as_mut_ptr().cast(),
            host_bytes,
            service.as_mut_ptr().cast(),
            service_bytes,
            flags,
        )
    };
    let text = |bytes: &[u8]| CStr::from_bytes_until_nul(bytes).unwrap().to_owned();
    format!("{code} {:?} {:?}", text(&host), text(&service))
}

fn names() -> Vec<String> {
    let figures = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
    vec![
        name(figures, 64, 64),
        name(figures, 2, 64),
        name(figures, 64, 0),
        name(figures, 0, 0),
        name(libc::NI_NUMERICHOST, 64, 0),
        name(libc::NI_NUMERICSERV, 0, 64),
    ]
}

#[test]
fn addresses_in_figures_are_libcs() {
    same("addresses", |_| ask_all(NODES, SERVICES));
    same("what only looks like one", |_| {
        OTHER_NODES.map(|node| ask(Some(node), None, Some((0, libc::AF_INET))))
    });
    same("named services", |_| {
        [c"http", c"no-service"].map(|service| ask(Some(c"127.0.0.1"), Some(service), None))
    });
    same("names", |_| (names(), name(0, 0, 64)));
}

#[test]
fn nobody_is_asked_for_addresses_in_figures() {
    on_one_worker(|| {
        let before = abaca::blocking::metrics().completed;
        for node in NODES {
            ask(*node, Some(c"80"), None);
        }
        names();
        assert_eq!(abaca::blocking::metrics().completed, before);
        ask(Some(c"localhost"), None, None);
        ask(None, Some(c"http"), None);
        name(0, 0, 64);
        assert_eq!(abaca::blocking::metrics().completed, before + 3);
    });
}
