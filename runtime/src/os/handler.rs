//! Chained signal handlers: our handler is installed over the one that was there before, which goes on being called.
//!
//! A disposition belongs to the process, and so do the statics that use this file. Several libraries may install handlers over
//! each other's, in any order, and each passes signals on to the handler that it found. So ours are in [`Layers`]: each layer
//! has an entry function of its own, and records the disposition that it covers.
//!
//! ```text
//! our entry 1         installed over theirs by a later use; passes on to theirs
//! theirs              installed over ours, which was in use; passes on to entry 0, or not
//! our entry 0         passes on to the disposition that the program began with
//! ```
//!
//! With one entry function for both layers, the later one would cover a handler that leads back to itself. Only the topmost
//! entry handles a signal; the entries below merely pass it on.
//!
//! While our handler runs, every signal is blocked: a signal's frame takes 3.4 kB on a processor with AVX-512 and 11 kB
//! with AMX, and `std` gives its threads alternate stacks of 8 KiB, on which two such frames do not fit.
//!
//! Rejected: the crate signal-hook-registry. Its handlers run on the stack that they interrupt, which is a fiber's, and with
//! an empty mask; and it never restores the disposition that it has covered.

#![expect(unsafe_code, reason = "signal dispositions, and calls of handlers that others have made")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::mask;

/// The handler function that the kernel calls.
/// One that is compared with what is installed is taken from a static, which has one value: the compiler may make a function several
/// times, each with an address of its own.
pub(crate) type Entry = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// The most layers: how often our handler can be installed over one that covers ours.
pub(crate) const LAYERS: usize = 4;

/// The arguments with which the kernel has called an entry of ours. Valid during that call.
pub(crate) struct Delivery {
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
}

/// The covered disposition to which a [`Delivery`] was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    Default,
    Ignored,
    Called,
}

/// The signals that are blocked while a covered handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// All except the faults that the handler itself may raise: the alternate stack may have room for one frame only.
    Narrow,
    /// Those that the kernel would have blocked for the handler: it may never return, but leave by a jump.
    Own,
}

/// The signals that code raises itself, by faults.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

impl Delivery {
    /// # Safety
    ///
    /// Must be called in a handler with SA_SIGINFO, with its arguments. The value must not outlive the handler's call.
    pub(crate) unsafe fn new(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) -> Self {
        Self { signal, info, context }
    }

    /// The origin of the signal. Above 0 it is the kernel, for something that the process did.
    pub(crate) fn code(&self) -> libc::c_int {
        // SAFETY: the contract of `new`: the kernel passes a valid value.
        unsafe { (*self.info).si_code }
    }

    /// The address of a memory fault.
    pub(crate) fn address(&self) -> usize {
        // SAFETY: as in `code`. For other signals the bytes mean something else.
        unsafe { (*self.info).si_addr() as usize }
    }

    /// The value that was given to the timer that sent the signal.
    #[cfg(feature = "backtrace")]
    pub(crate) fn value(&self) -> usize {
        // SAFETY: as in `code`. For other signals the bytes mean something else.
        unsafe { (*self.info).si_value().sival_ptr as usize }
    }

    /// The address of the interrupted instruction; 0 on architectures whose context we do not know.
    #[cfg(feature = "backtrace")]
    pub(crate) fn program_counter(&self) -> usize {
        // SAFETY: the kernel passes a valid context to a handler with SA_SIGINFO.
        let context = unsafe { &(*self.context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        return context.gregs[libc::REG_RIP as usize] as usize;
        #[cfg(target_arch = "aarch64")]
        return context.pc as usize;
        #[cfg(target_arch = "riscv64")]
        return context.__gregs[libc::REG_PC] as usize;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        {
            let _ = context;
            0
        }
    }

    /// The general registers of the interrupted code; none on architectures whose context we do not know.
    #[cfg(feature = "backtrace")]
    pub(crate) fn registers(&self) -> impl Iterator<Item = usize> {
        // SAFETY: the kernel passes a valid context to a handler with SA_SIGINFO.
        let context = unsafe { &(*self.context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        let registers = &context.gregs;
        #[cfg(target_arch = "aarch64")]
        let registers = &context.regs;
        #[cfg(target_arch = "riscv64")]
        let registers = &context.__gregs;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        let registers = {
            let _ = context;
            &[0_u64; 0]
        };
        registers.iter().map(|register| *register as usize)
    }

    /// Whether the flags of `action` exclude this signal.
    fn is_excluded_by(&self, action: &libc::sigaction) -> bool {
        self.signal == libc::SIGCHLD
            && action.sa_flags & libc::SA_NOCLDSTOP != 0
            && matches!(self.code(), libc::CLD_STOPPED | libc::CLD_CONTINUED)
    }

    /// Calls the handler of `action`, which must be a handler and not `SIG_DFL` or `SIG_IGN`.
    fn call(&self, action: &libc::sigaction, which: Mask) {
        let blocked = match which {
            Mask::Narrow => {
                let mut set = mask::all();
                for fault in FAULTS {
                    // SAFETY: the set is a live local, or one that sigaction(2) has filled.
                    if unsafe { libc::sigismember(&action.sa_mask, fault) } == 0 {
                        // SAFETY: as above.
                        unsafe { libc::sigdelset(&mut set, fault) };
                    }
                }
                set
            }
            Mask::Own => {
                // SAFETY: the kernel passes a valid context to a handler with SA_SIGINFO.
                let mut set = unsafe { (*self.context.cast::<libc::ucontext_t>()).uc_sigmask };
                for signal in 1..=libc::SIGRTMAX() {
                    // SAFETY: as above.
                    if unsafe { libc::sigismember(&action.sa_mask, signal) } == 1 {
                        // SAFETY: as above.
                        unsafe { libc::sigaddset(&mut set, signal) };
                    }
                }
                if action.sa_flags & libc::SA_NODEFER == 0 {
                    // SAFETY: as above.
                    unsafe { libc::sigaddset(&mut set, self.signal) };
                }
                set
            }
        };
        let before = mask::set(&blocked);
        let handler = ptr::without_provenance::<()>(action.sa_sigaction);
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: SA_SIGINFO says that the address is a function of this signature.
            let handler = unsafe { std::mem::transmute::<*const (), Entry>(handler) };
            handler(self.signal, self.info, self.context);
        } else {
            // SAFETY: without SA_SIGINFO the address is a function of the signal's number.
            let handler = unsafe { std::mem::transmute::<*const (), extern "C" fn(libc::c_int)>(handler) };
            handler(self.signal);
        }
        mask::set(&before);
    }
}

/// Our layers for one signal, with the disposition that each covers.
pub(crate) struct Layers {
    /// The values are never freed, since a handler may be using them: as many as there were different dispositions.
    covered: [AtomicPtr<libc::sigaction>; LAYERS],
    /// The number of installed layers.
    count: AtomicUsize,
}

impl Layers {
    pub(crate) const fn new() -> Self {
        Self { covered: [const { AtomicPtr::new(ptr::null_mut()) }; LAYERS], count: AtomicUsize::new(0) }
    }

    /// Installs the next of `entries` over the disposition of `signal`, unless one of them is on top. The caller must keep other
    /// threads from doing the same meanwhile.
    ///
    /// If ours has been covered [`LAYERS`] times, no further layer is installed: ours then gets the signals that the handlers
    /// above pass on.
    pub(crate) fn cover(&self, signal: libc::c_int, entries: &[Entry; LAYERS]) -> io::Result<()> {
        let now = exchange(signal, None)?;
        if let Some(layer) = entries.iter().position(|entry| is(&now, *entry)) {
            // A library that had covered a later layer has removed that layer together with its own handler.
            self.count.store(layer + 1, Ordering::Release);
            return Ok(());
        }
        let layer = self.count.load(Ordering::Relaxed);
        if layer == LAYERS {
            return Ok(());
        }
        // Before our entry can be called.
        self.remember(layer, &now);
        let ours = over(&now, entries[layer]);
        // Release: pairs with the Acquire in `is_top`.
        self.count.store(layer + 1, Ordering::Release);
        match exchange(signal, Some(&ours)) {
            Ok(found) => {
                // The disposition may have changed between the two calls.
                self.remember(layer, &found);
                Ok(())
            }
            Err(error) => {
                self.count.store(layer, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Restores the disposition that the topmost layer covers. If another handler covers that layer, both stay installed.
    pub(crate) fn uncover(&self, signal: libc::c_int, entries: &[Entry; LAYERS]) {
        let Some(layer) = self.count.load(Ordering::Relaxed).checked_sub(1) else { return };
        if exchange(signal, None).is_ok_and(|now| is(&now, entries[layer])) {
            // This cannot fail: the signal's number was valid before.
            let _ = exchange(signal, Some(self.covered_by(layer)));
            self.count.store(layer, Ordering::Release);
        }
    }

    /// Whether this layer is the topmost one, which handles the signal.
    pub(crate) fn is_top(&self, layer: usize) -> bool {
        // Acquire: pairs with the Release in `cover`.
        self.count.load(Ordering::Acquire) == layer + 1
    }

    /// In a handler: passes the signal on to the handler that this layer covers, if it covers one. Returns what it covers.
    pub(crate) fn pass_on(&self, layer: usize, delivery: &Delivery, mask: Mask) -> Below {
        let action = self.covered_by(layer);
        match action.sa_sigaction {
            libc::SIG_DFL => Below::Default,
            libc::SIG_IGN => Below::Ignored,
            _ if delivery.is_excluded_by(action) => Below::Ignored,
            _ if action.sa_flags & libc::SA_RESETHAND != 0 && !self.use_up(layer, action) => Below::Default,
            _ => {
                delivery.call(action, mask);
                Below::Called
            }
        }
    }

    fn covered_by(&self, layer: usize) -> &'static libc::sigaction {
        // Acquire: pairs with the Release in `remember`.
        let action = self.covered[layer].load(Ordering::Acquire);
        // SAFETY: the pointer is null, or from `remember`, whose values are never freed and never change.
        unsafe { action.as_ref() }.unwrap_or(&DEFAULT.0)
    }

    fn remember(&self, layer: usize, action: &libc::sigaction) {
        if !are_equal(self.covered_by(layer), action) {
            // Release: pairs with the Acquire in `covered_by`.
            self.covered[layer].store(Box::leak(Box::new(*action)), Ordering::Release);
        }
    }

    /// Removes a covered handler that must be called only once (SA_RESETHAND). Returns false if another thread was faster.
    fn use_up(&self, layer: usize, action: &'static libc::sigaction) -> bool {
        let action = ptr::from_ref(action).cast_mut();
        // AcqRel: the Acquire pairs with the Release in `remember`, the Release with the Acquire in `covered_by`.
        let result = self.covered[layer].compare_exchange(
            action,
            ptr::null_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        result.is_ok()
    }
}

struct Default(libc::sigaction);

// SAFETY: the value never changes.
unsafe impl Sync for Default {}

/// No handler, no flags, an empty mask.
// SAFETY: all-zero bytes are a valid value: SIG_DFL is 0, and the rest are numbers and a pointer that may be null.
static DEFAULT: Default = Default(unsafe { MaybeUninit::zeroed().assume_init() });

/// The disposition that a program begins with.
pub(super) fn default() -> libc::sigaction {
    DEFAULT.0
}

/// The action that installs `entry` over `covered`.
fn over(covered: &libc::sigaction, entry: Entry) -> libc::sigaction {
    let mut ours = DEFAULT.0;
    ours.sa_sigaction = entry as *const () as usize;
    // On the alternate stack: a fiber's own may be nearly used up.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    ours.sa_mask = mask::all();
    let has_handler = !matches!(covered.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
    // If the covered handler ends the system calls that it interrupts, ours does so as well.
    ours.sa_flags |= if has_handler { covered.sa_flags & libc::SA_RESTART } else { libc::SA_RESTART };
    // If children leave no zombies, they leave none with ours either.
    let leaves_none = covered.sa_sigaction == libc::SIG_IGN || covered.sa_flags & libc::SA_NOCLDWAIT != 0;
    ours.sa_flags |= if leaves_none { libc::SA_NOCLDWAIT } else { 0 };
    ours
}

fn is(action: &libc::sigaction, entry: Entry) -> bool {
    action.sa_sigaction == entry as *const () as usize
}

fn are_equal(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    let has = |action: &libc::sigaction, signal| {
        // SAFETY: sigaction(2) has filled the set, or it is all zeroes.
        unsafe { libc::sigismember(&action.sa_mask, signal) == 1 }
    };
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags == other.sa_flags
        && (1..=libc::SIGRTMAX()).all(|signal| has(one, signal) == has(other, signal))
}

/// Sets the disposition of a signal, unless `new` is `None`. Returns the one before.
pub(super) fn exchange(signal: libc::c_int, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null, or a live value whose handler has the signature that its flags say, or a value that sigaction(2)
    // returned earlier; `before` is a live local. The call may be made in a handler.
    if unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written `before`.
    Ok(unsafe { before.assume_init() })
}

/// Runs `body` in a handler, and restores errno afterwards, which belongs to the interrupted code.
pub(super) fn with_errno_kept(body: impl FnOnce()) {
    // SAFETY: the location is the calling thread's.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    body();
    // SAFETY: as above.
    unsafe { *errno = before };
}
