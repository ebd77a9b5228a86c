//! Switching the hooks on.

#![expect(unsafe_code, reason = "asks the dynamic linker whose functions the process uses")]

use std::io;

use crate::enter::{is_installed, set_installed};
use crate::executable::has_code_on_stacks;
use crate::own::find_all;
use crate::{descriptors, refused, report, table};

/// Makes libc's blocking functions park fibers, and gives each fiber of the runtimes that are built from now on thread-local storage
/// of its own, without which code that was written for threads cannot run on fibers. Call it first in `main`. Later calls do nothing.
///
/// `#[abaca::main(transparent)]` calls it.
///
/// # Errors
///
/// * [`Unsupported`](io::ErrorKind::Unsupported), with the reason: fibers can have no storage of their own here
///   ([`Builder::own_tls`](abaca::runtime::Builder::own_tls)), as with a sanitizer, under valgrind, and with a libc that is not
///   known; or the functions of this crate are not the process's, as in a static binary;
///   or a filter of system calls (seccomp) refuses what fibers need, such as ppoll(2).
///
/// ```
/// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
/// abaca_transparent::install().unwrap();
/// abaca_transparent::install().unwrap();
/// ```
pub fn install() -> io::Result<()> {
    if is_installed() {
        return Ok(());
    }
    table::keep();
    if !is_in_force() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "abaca-transparent takes the place of functions of a shared libc, in a program that is linked with it: not in a static \
             binary, nor in a library that is loaded later",
        ));
    }
    if let Some(name) = refused::first_refused() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, refused::reason(name)));
    }
    abaca::hook::own_tls_by_default()?;
    if has_code_on_stacks() {
        abaca::hook::make_stacks_executable();
    }
    find_all();
    report::begin();
    crate::calls::kick::reserve_signal();
    crate::threads::own_notes();
    crate::threads::listening::find_single_threaded();
    crate::threads::uncontended::find();
    abaca::hook::keep_float_control();
    abaca::hook::watch_forks(crate::threads::became_thread, crate::threads::await_others);
    set_installed();
    crate::threads::relay::start_relay_if_needed();
    Ok(())
}

/// Whether the process uses this crate's functions, and libc's own are found behind them.
fn is_in_force() -> bool {
    // SAFETY: the names end in a zero byte.
    let (first, next) = unsafe {
        let name = c"close".as_ptr();
        (libc::dlsym(libc::RTLD_DEFAULT, name), libc::dlsym(libc::RTLD_NEXT, name))
    };
    first.cast_const().cast() == descriptors::HOOKS[0][0].0 && !next.is_null()
}
