//! Memory faults: the process's handler of SIGSEGV, and an alternate stack for a thread to run handlers on.

#![expect(unsafe_code, reason = "signal dispositions, and a handler that runs between any two instructions")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fork::PerProcess;
use super::handler::{Below, Delivery, Entry, LAYERS, Layers, Mask, exchange, with_errno_kept};
use super::page::page_bytes;
use super::thread;

/// Called for each memory fault. It decides whether it handles faults at this address.
pub(crate) type FaultHook = fn(address: usize) -> Verdict;

/// The decision of a [`FaultHook`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The hook has reported the fault: the process dies of the signal.
    Die,
    /// The hook does not handle the fault: the handler that was installed before decides.
    Pass,
}

/// The disposition of SIGSEGV belongs to the process, so the hook is a static. It is set once, before our handler can run.
static HOOK: OnceLock<FaultHook> = OnceLock::new();

static COVERED: Layers = Layers::new();

static ENTRIES: [Entry; LAYERS] = [on_fault::<0>, on_fault::<1>, on_fault::<2>, on_fault::<3>];

/// Calls `hook` first for every later SIGSEGV of this process. The first call wins. Later ones change nothing, even if another
/// handler was installed over ours: that handler passes on to ours the faults that it does not handle.
pub(crate) fn watch_faults(hook: FaultHook) -> io::Result<()> {
    static WATCHES: AtomicBool = AtomicBool::new(false);
    static CHANGING: PerProcess<()> = PerProcess::new(|| ());
    let _changing = CHANGING.lock();
    // Relaxed: the lock is held.
    if !WATCHES.load(Ordering::Relaxed) {
        HOOK.get_or_init(|| hook);
        COVERED.cover(libc::SIGSEGV, &ENTRIES)?;
        WATCHES.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields.
extern "C" fn on_fault<const LAYER: usize>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: these are the arguments of a handler that is installed with SA_SIGINFO.
    let delivery = unsafe { Delivery::new(signal, info, context) };
    // Another process may send the signal as well, without an address.
    let is_fault = delivery.code() > 0;
    with_errno_kept(|| {
        let verdict = match HOOK.get() {
            Some(hook) if is_fault => hook(delivery.address()),
            _ => Verdict::Pass,
        };
        if verdict == Verdict::Pass {
            match COVERED.pass_on(LAYER, &delivery, Mask::Own) {
                Below::Called => return,
                // The kernel does not ignore a fault.
                Below::Ignored if !is_fault => return,
                Below::Ignored | Below::Default => {}
            }
        }
        // Return to the faulting instruction with the default disposition: the process dies of the very fault, and
        // a core dump shows it.
        let _ = exchange(signal, Some(&super::handler::default()));
        if !is_fault {
            // There is no faulting instruction, so the signal is sent again, to be delivered after the return.
            // SAFETY: tgkill(2) takes numbers.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread::id(), signal) };
        }
    });
}

/// The calling thread's alternate signal stack, for as long as the value lives.
///
/// `std` gives its threads an alternate stack as well, but only if it found SIGSEGV unhandled at start, and of a size that
/// holds one signal's frame.
pub(crate) struct AlternateStack {
    memory: NonNull<libc::c_void>,
    bytes: usize,
    before: libc::stack_t,
}

/// The stack that our handlers, and the handlers that they call, may use beside the signal's frame, in bytes.
const ROOM: usize = 64 * 1024;

impl AlternateStack {
    pub(crate) fn install() -> io::Result<Self> {
        let page = page_bytes();
        // One more page, which stays inaccessible, is the guard.
        let bytes = (frame_bytes() + ROOM).next_multiple_of(page) + page;
        // SAFETY: an anonymous mapping at an address that the kernel chooses.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: a null new stack changes nothing; the current one is written into a live local.
        unsafe { libc::sigaltstack(ptr::null(), &mut before) };
        let memory = NonNull::new(memory).expect("mmap does not map page 0");
        // If a call below fails, the drop leaves the thread the stack that it has, and unmaps the memory.
        let this = Self { memory, bytes, before };
        // SAFETY: the address is inside the mapping, which has more than a page.
        let usable = unsafe { memory.byte_add(page) }.as_ptr();
        // SAFETY: the memory was mapped above, and is not used yet.
        if unsafe { libc::mprotect(usable, bytes - page, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let ours = libc::stack_t { ss_sp: usable, ss_flags: 0, ss_size: bytes - page };
        // SAFETY: the memory is mapped and used for nothing else until `drop`.
        if unsafe { libc::sigaltstack(&ours, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(this)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: this runs on the thread that installed the stack (the type is not `Send`), outside of a handler.
        unsafe { libc::sigaltstack(&self.before, ptr::null_mut()) };
        // SAFETY: `install` mapped the memory, and it is no longer the thread's signal stack.
        unsafe { libc::munmap(self.memory.as_ptr(), self.bytes) };
    }
}

/// The largest frame that the kernel puts on a stack for a signal on this processor, in bytes.
fn frame_bytes() -> usize {
    // SAFETY: getauxval(3) takes a number; it returns 0 if the kernel does not tell (before Linux 5.14 on x86).
    let bytes = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    bytes.max(libc::SIGSTKSZ)
}
