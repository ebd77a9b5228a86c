//! Signals: an alternate stack for a thread, and the process's handler of memory faults.

#![expect(unsafe_code, reason = "signal dispositions, and a handler that runs between any two instructions")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// What is asked about each memory fault: whether the address is its own affair.
pub(crate) type FaultHook = fn(address: usize) -> Verdict;

/// What a [`FaultHook`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has reported the fault: the process dies of the signal.
    Die,
    /// None of its business: the handler that was there before decides.
    Pass,
}

/// The disposition of SIGSEGV belongs to the process, so what was there before ours is kept per process: set
/// once, before our handler can run, and only read by it.
static PREVIOUS: OnceLock<(libc::sigaction, FaultHook)> = OnceLock::new();

/// Sends every later SIGSEGV of this process past `hook` first. The first call wins; later ones change nothing.
pub(crate) fn watch_faults(hook: FaultHook) -> io::Result<()> {
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    // SAFETY: an all-zero sigaction is a valid value to be written over.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; `before` is a live local.
    if unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), &mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if PREVIOUS.set((before, hook)).is_err() {
        return Ok(());
    }
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_fault as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and keeps to what a handler may do.
    if unsafe { libc::sigaction(libc::SIGSEGV, &ours, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields.
extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some((previous, hook)) = PREVIOUS.get() else { return };
    // SAFETY: the kernel passes a valid siginfo_t, which has an address for SIGSEGV.
    let address = unsafe { (*info).si_addr() } as usize;
    if hook(address) == Verdict::Pass && previous.sa_sigaction != libc::SIG_DFL {
        if previous.sa_sigaction == libc::SIG_IGN {
            return;
        }
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: SA_SIGINFO says that the address is a function of this signature.
            let handler = unsafe {
                std::mem::transmute::<
                    usize,
                    extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
                >(previous.sa_sigaction)
            };
            return handler(signal, info, context);
        }
        // SAFETY: without SA_SIGINFO it is a function of the signal's number.
        let handler =
            unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(previous.sa_sigaction) };
        return handler(signal);
    }
    // Return to the faulting instruction with the default disposition: the process dies of the very fault, and
    // a core dump shows it.
    // SAFETY: as in `watch_faults`.
    let mut default: libc::sigaction = unsafe { std::mem::zeroed() };
    default.sa_sigaction = libc::SIG_DFL;
    // SAFETY: sigaction(2) may be called in a handler.
    unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
}

/// Writes to standard error without locks or allocation; what cannot be written is lost.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: write(2) reads a live slice, and may be called in a signal handler.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// The calling thread's alternate signal stack, for as long as the value lives.
///
/// `std` gives its threads one as well, but only if it found SIGSEGV unhandled at start, and of a size that it
/// chooses.
pub(crate) struct AlternateStack {
    memory: NonNull<libc::c_void>,
    before: libc::stack_t,
}

const ALTERNATE_BYTES: usize = 64 * 1024;

impl AlternateStack {
    pub(crate) fn install() -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address that the kernel chooses.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                ALTERNATE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ours = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: ALTERNATE_BYTES };
        let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the memory is mapped and used for nothing else until `drop`.
        if unsafe { libc::sigaltstack(&ours, &mut before) } != 0 {
            let error = io::Error::last_os_error();
            // SAFETY: mapped above.
            unsafe { libc::munmap(memory, ALTERNATE_BYTES) };
            return Err(error);
        }
        Ok(Self { memory: NonNull::new(memory).expect("mmap does not map page 0"), before })
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: on the thread that installed it (the type is not `Send`), outside of a handler.
        unsafe { libc::sigaltstack(&self.before, ptr::null_mut()) };
        // SAFETY: mapped by `install`, and no longer the thread's signal stack.
        unsafe { libc::munmap(self.memory.as_ptr(), ALTERNATE_BYTES) };
    }
}
