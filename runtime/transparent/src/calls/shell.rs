//! system(3), as libc makes it: while the command runs, the process ignores SIGINT and SIGQUIT, and the fiber waits for the child. libc's
//! own kills the child if the thread is cancelled; so does this one if the fiber is, or its time is up.
//!
//! What the process does with the two signals is counted: the first command changes it, and the last restores it. So one function has to
//! make all of the process's, on plain threads as well.

#![expect(
    unsafe_code,
    reason = "takes the place of a function of libc, starts a child and sets up what its signals do"
)]

use std::ffi::{CStr, c_char, c_int};
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{null, null_mut};
use std::sync::MutexGuard;

use abaca::hook::descriptors::files_shared;
use abaca::hook::{PerProcess, is_cancelled, offload};
use libc::{
    SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGCHLD, SIGINT, SIGKILL, SIGQUIT, pid_t, posix_spawn_file_actions_t,
    posix_spawnattr_t, sigset_t,
};

use super::children::wait_for;
use super::kick::{set_mask, sigaction};
use crate::answer::{failed, set_errno};
use crate::enter::{enter, is_installed};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::CancellationPoint;

hooks! {
    /// system(3).
    fn system(command: *const c_char) -> c_int, |_| -> always {
        if !is_installed() {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn system(*const c_char) -> c_int)(command) };
        }
        if command.is_null() {
            return c_int::from(run(c"exit 0") == 0);
        }
        // SAFETY: the caller's promise.
        run(unsafe { CStr::from_ptr(command) })
    }
}

/// What SIGINT and SIGQUIT do to the process when no command runs.
struct Before {
    commands: usize,
    actions: [MaybeUninit<libc::sigaction>; 2],
}

static BEFORE: PerProcess<Before> =
    PerProcess::new(|| Before { commands: 0, actions: [const { MaybeUninit::uninit() }; 2] });

const IGNORED: [c_int; 2] = [SIGINT, SIGQUIT];

fn before() -> MutexGuard<'static, Before> {
    BEFORE.lock()
}

/// A command that runs.
struct Command {
    /// The signals that the child is not to ignore.
    restored: sigset_t,
}

impl Command {
    fn begin() -> Self {
        let mut before = before();
        let is_first = before.commands == 0;
        // SAFETY: all zeros are an empty set, and an action without flags; the actions are written before they are read.
        let restored = unsafe {
            let mut ignores: libc::sigaction = zeroed();
            ignores.sa_sigaction = SIG_IGN;
            let mut restored = zeroed();
            for (signal, action) in IGNORED.into_iter().zip(&mut before.actions) {
                if is_first {
                    sigaction(signal, &ignores, action.as_mut_ptr());
                }
                if action.assume_init_ref().sa_sigaction != SIG_IGN {
                    libc::sigaddset(&mut restored, signal);
                }
            }
            restored
        };
        before.commands += 1;
        Self { restored }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let mut before = before();
        before.commands -= 1;
        if before.commands == 0 {
            for (signal, action) in IGNORED.into_iter().zip(&before.actions) {
                // SAFETY: `begin` has written it.
                unsafe { sigaction(signal, action.as_ptr(), null_mut()) };
            }
        }
    }
}

/// Runs the command, and returns what waitpid(2) tells of it; -1, and `errno`, if that fails.
fn run(text: &CStr) -> c_int {
    let within = enter();
    let is_fiber = within.is_some();
    let point = within.as_ref().map(CancellationPoint::of);
    let call = || {
        let command = Command::begin();
        // On a plain thread SIGCHLD waits until the child has been waited for, as with libc's.
        // SAFETY: two sets of this function's.
        let mask = unsafe {
            let (mut child_ends, mut mask): (sigset_t, sigset_t) = (zeroed(), zeroed());
            libc::sigaddset(&mut child_ends, SIGCHLD);
            set_mask(SIG_BLOCK, if is_fiber { null() } else { &child_ends }, &mut mask);
            mask
        };
        // On a fiber the child gets the fiber's.
        let mask = if is_fiber { crate::threads::given::set_of_caller() } else { mask };
        let start = || start(text, &command.restored, &mask);
        let waited = match if is_fiber { offload(start) } else { start() } {
            Ok(child) => wait(child, is_fiber).map_or_else(|error| (-1, error), |status| (status, 0)),
            // As of a shell that finds no program.
            Err(error) => (127 << 8, error),
        };
        if !is_fiber {
            // SAFETY: it is the mask from above.
            unsafe { set_mask(SIG_SETMASK, &mask, null_mut()) };
        }
        drop(command);
        waited
    };
    let (status, error) = match &point {
        Some(point) => point.call(call),
        None => call(),
    };
    match within {
        Some(within) if error != 0 => within.fails_with(error),
        None if error != 0 => set_errno(error),
        _ => {}
    }
    if let Some(point) = point {
        point.test();
    }
    status
}

/// Starts a shell. The error is its number.
fn start(text: &CStr, restored: &sigset_t, mask: &sigset_t) -> Result<pid_t, c_int> {
    // SAFETY: as libc and its environment define them.
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), c"--".as_ptr(), text.as_ptr(), null()]
        .map(<*const c_char>::cast_mut);
    let own = own!(fn posix_spawn(
        *mut pid_t, *const c_char, *const posix_spawn_file_actions_t, *const posix_spawnattr_t, *const *mut c_char, *const *mut c_char
    ) -> c_int);
    let mut child = -1;
    // It may get any file of this process, and change its mode.
    files_shared();
    // SAFETY: the attributes are initialised, and destroyed once; the arguments end in a null.
    let error = unsafe {
        let mut attributes = MaybeUninit::uninit();
        libc::posix_spawnattr_init(attributes.as_mut_ptr());
        libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), restored);
        libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), mask);
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags as i16);
        let error =
            own(&mut child, c"/bin/sh".as_ptr(), null(), attributes.as_ptr(), arguments.as_ptr(), environ);
        libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
        error
    };
    if error == 0 { Ok(child) } else { Err(error) }
}

/// Waits for the child, which no handler of a signal ends. What waitpid(2) tells of it, or an error's number.
fn wait(child: pid_t, is_fiber: bool) -> Result<c_int, c_int> {
    let mut status = 0;
    let interrupted = failed(libc::EINTR);
    // SAFETY: a number to be written, here and below.
    let in_kernel = |status: *mut c_int| loop {
        // SAFETY: as above.
        match unsafe { kernel!(libc::SYS_wait4, child, status, 0, 0) } {
            result if result != interrupted => return result,
            _ => {}
        }
    };
    if !is_fiber {
        let waited = in_kernel(&raw mut status);
        return if waited == child as isize { Ok(status) } else { Err(-waited as c_int) };
    }
    loop {
        // SAFETY: as above.
        match unsafe { wait_for(child, &raw mut status, 0, null_mut()) } {
            result if result == child as isize => return Ok(status),
            result if result == interrupted => {}
            result if result == failed(libc::ECANCELED) || is_cancelled() => {
                // SAFETY: no memory is involved. Nobody but this function waits for the child.
                unsafe { kernel!(libc::SYS_kill, child, SIGKILL) };
                offload(move || in_kernel(null_mut()));
                return Err(libc::ECANCELED);
            }
            error => return Err(-error as c_int),
        }
    }
}
