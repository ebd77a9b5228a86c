//! Programs in C (`c/`), each where its library was installed when this was built, and libcurl by its crate.

#![expect(unsafe_code, reason = "calls programs in C")]

use super::{Gone, Program, Version, always, half_page, slow_page, text};
use crate::call::{Answer, Call};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "curl",
        version: Version::With("curl", || format!("libcurl {}", curl::Version::get().version())),
        is_there: always,
        slow: |call| by_curl(call, &slow_page(call)),
        look: None,
        gone: Gone::Closes(|call| by_curl(call, &half_page(call))),
        goes_on: None,
    },
    #[cfg(has_libpq)]
    Program {
        name: "libpq",
        version: Version::Library(libraries::libpq_is),
        is_there: |servers| servers.postgres.is_some(),
        slow: libraries::by_libpq,
        look: Some(super::sql::look_at_postgres),
        gone: Gone::Killed(crate::servers::Which::Postgres),
        goes_on: None,
    },
    #[cfg(has_mariadb)]
    Program {
        name: "libmariadb",
        version: Version::Library(libraries::mariadb_is),
        is_there: |servers| servers.mariadb.is_some(),
        slow: libraries::by_mariadb,
        look: Some(super::sql::look_at_mariadb),
        gone: Gone::Killed(crate::servers::Which::Mariadb),
        goes_on: None,
    },
    #[cfg(has_hiredis)]
    Program {
        name: "hiredis",
        version: Version::Library(libraries::hiredis_is),
        is_there: super::redis::has_redis,
        slow: libraries::by_hiredis,
        look: Some(super::redis::look_at_redis),
        gone: Gone::Killed(crate::servers::Which::Redis),
        goes_on: None,
    },
    #[cfg(has_rdkafka)]
    Program {
        name: "librdkafka",
        version: Version::Library(libraries::rdkafka_is),
        is_there: always,
        slow: libraries::by_rdkafka,
        look: None,
        gone: Gone::Never,
        goes_on: super::WAITS_FOR_A_THREAD,
    },
    #[cfg(has_zmq)]
    Program {
        name: "libzmq",
        version: Version::Library(libraries::zmq_is),
        is_there: always,
        slow: libraries::by_zmq,
        look: None,
        gone: Gone::Never,
        goes_on: None,
    },
    #[cfg(has_uv)]
    Program {
        name: "libuv",
        version: Version::Library(libraries::uv_is),
        is_there: always,
        slow: |call| libraries::by_uv(call, &format!("/slow/{}", call.time.as_millis())),
        look: None,
        gone: Gone::Closes(|call| libraries::by_uv(call, "/half")),
        goes_on: None,
    },
];

fn by_curl(call: &Call<'_>, url: &str) -> Answer {
    let mut handle = curl::easy::Easy::new();
    handle.url(url).map_err(text)?;
    let mut answer = Vec::new();
    call.ready();
    let mut transfer = handle.transfer();
    transfer
        .write_function(|data| {
            answer.extend_from_slice(data);
            Ok(data.len())
        })
        .map_err(text)?;
    transfer.perform().map_err(text)?;
    drop(transfer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(any(has_libpq, has_mariadb, has_hiredis, has_rdkafka, has_zmq, has_uv))]
mod libraries {
    use std::cell::Cell;
    use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
    use std::sync::OnceLock;

    use crate::call::{Answer, Call};
    use crate::seen::{self, Served};

    /// `struct call` of `c/call.h`.
    #[repr(C)]
    struct CCall {
        server: *const c_char,
        seconds: c_double,
        ready: extern "C" fn(*const c_void),
        begin: extern "C" fn(*const c_void),
        end: extern "C" fn(*const c_void),
        context: *const c_void,
        text: *mut c_char,
        text_bytes: usize,
    }

    /// What the callbacks use.
    struct Context<'a> {
        call: &'a Call<'a>,
        served: Cell<Option<Served>>,
    }

    extern "C" fn ready(context: *const c_void) {
        // SAFETY: it is the context of `in_c`, which lives while the program runs.
        unsafe { &*context.cast::<Context<'_>>() }.call.ready();
    }

    extern "C" fn begin(context: *const c_void) {
        // SAFETY: as in `ready`.
        unsafe { &*context.cast::<Context<'_>>() }.served.set(Some(seen::begin()));
    }

    extern "C" fn end(context: *const c_void) {
        // SAFETY: as in `ready`.
        unsafe { &*context.cast::<Context<'_>>() }.served.set(None);
    }

    /// Lets a program in C make the call.
    fn in_c(call: &Call<'_>, program: unsafe extern "C" fn(*const CCall) -> c_int, server: &str) -> Answer {
        let server = CString::new(server).expect("no zero byte");
        let mut text: [c_char; 512] = [0; 512];
        let context = Context { call, served: Cell::new(None) };
        let told = CCall {
            server: server.as_ptr(),
            seconds: call.time.as_secs_f64(),
            ready,
            begin,
            end,
            context: (&raw const context).cast(),
            text: text.as_mut_ptr(),
            text_bytes: text.len(),
        };
        // SAFETY: what it points to lives while the program runs, which writes a string of at most so many bytes.
        let (failed, text) = unsafe { (program(&raw const told) != 0, CStr::from_ptr(text.as_ptr())) };
        let text = text.to_string_lossy().trim().to_owned();
        if failed { Err(text) } else { Ok(text) }
    }

    unsafe extern "C" {
        #[cfg(has_libpq)]
        safe fn libpq_version() -> c_int;
        #[cfg(has_libpq)]
        fn libpq_call(call: *const CCall) -> c_int;
        #[cfg(has_hiredis)]
        safe fn hiredis_version() -> c_int;
        #[cfg(has_hiredis)]
        fn hiredis_call(call: *const CCall) -> c_int;
        #[cfg(has_rdkafka)]
        safe fn rdkafka_version() -> *const c_char;
        #[cfg(has_rdkafka)]
        safe fn rdkafka_start() -> *const c_char;
        #[cfg(has_rdkafka)]
        fn rdkafka_call(call: *const CCall) -> c_int;
        #[cfg(has_mariadb)]
        safe fn mariadb_version() -> *const c_char;
        #[cfg(has_mariadb)]
        fn mariadb_call(call: *const CCall) -> c_int;
        #[cfg(has_zmq)]
        safe fn zmq_library() -> *const c_char;
        #[cfg(has_zmq)]
        safe fn zmq_server() -> *const c_char;
        #[cfg(has_zmq)]
        safe fn zmq_serve();
        #[cfg(has_zmq)]
        fn zmq_call(call: *const CCall) -> c_int;
        #[cfg(has_uv)]
        safe fn uv_library() -> *const c_char;
        #[cfg(has_uv)]
        fn uv_call(call: *const CCall) -> c_int;
    }

    /// A string of a library's, which it keeps, if there is one.
    fn string(address: *const c_char) -> Option<String> {
        // SAFETY: the programs in C return null, or a string that stays.
        (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) }.to_string_lossy().into_owned())
    }

    #[cfg(has_libpq)]
    pub(super) fn libpq_is() -> String {
        let version = libpq_version();
        format!("{}.{}", version / 10000, version % 10000)
    }

    #[cfg(has_libpq)]
    pub(super) fn by_libpq(call: &Call<'_>) -> Answer {
        let folder = call.servers.postgres.as_ref().expect("it runs");
        in_c(call, libpq_call, &format!("host={} user=abaca dbname=postgres", folder.display()))
    }

    #[cfg(has_hiredis)]
    pub(super) fn hiredis_is() -> String {
        let version = hiredis_version();
        format!("{}.{}.{}", version / 10000, version / 100 % 100, version % 100)
    }

    #[cfg(has_hiredis)]
    pub(super) fn by_hiredis(call: &Call<'_>) -> Answer {
        in_c(call, hiredis_call, &call.servers.redis.as_ref().expect("it runs").display().to_string())
    }

    #[cfg(has_rdkafka)]
    pub(super) fn rdkafka_is() -> String {
        string(rdkafka_version()).unwrap_or_default()
    }

    #[cfg(has_rdkafka)]
    pub(super) fn by_rdkafka(call: &Call<'_>) -> Answer {
        static CLUSTER: OnceLock<Option<String>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| string(rdkafka_start()));
        in_c(call, rdkafka_call, cluster.as_ref().ok_or("no cluster")?)
    }

    #[cfg(has_mariadb)]
    pub(super) fn mariadb_is() -> String {
        string(mariadb_version()).unwrap_or_default()
    }

    #[cfg(has_mariadb)]
    pub(super) fn by_mariadb(call: &Call<'_>) -> Answer {
        in_c(call, mariadb_call, &call.servers.mariadb.as_ref().expect("it runs").display().to_string())
    }

    #[cfg(has_zmq)]
    pub(super) fn zmq_is() -> String {
        string(zmq_library()).unwrap_or_default()
    }

    /// The clients' own threads are fibers, where threads are; the server is none.
    #[cfg(has_zmq)]
    pub(super) fn by_zmq(call: &Call<'_>) -> Answer {
        static SERVER: OnceLock<Option<String>> = OnceLock::new();
        let server = SERVER.get_or_init(|| {
            abaca_transparent::as_kernel_threads(|| {
                let address = string(zmq_server());
                std::thread::spawn(|| zmq_serve());
                address
            })
        });
        in_c(call, zmq_call, server.as_ref().ok_or("no server")?)
    }

    #[cfg(has_uv)]
    pub(super) fn uv_is() -> String {
        string(uv_library()).unwrap_or_default()
    }

    #[cfg(has_uv)]
    pub(super) fn by_uv(call: &Call<'_>, page: &str) -> Answer {
        in_c(call, uv_call, &format!("{} {page}", call.servers.http.port()))
    }
}
