//! Where an unwinding would come to, asked of the unwinder before there is one.
//!
//! An unwinding ends the process when it comes to a function that must not unwind: an `extern "C"` function in Rust, a
//! `noexcept` one in C++, a frame without unwind tables. Rust's personality function learns this from the frame's
//! language-specific data, in which such a function has a *filter* that lets nothing pass, or no entry for the call. This
//! file reads the same data in the same way, and calls nothing.
//!
//! The data (the "LSDA", as gcc's `unwind-pe.h` and LLVM's `EHStreamer` have it):
//!
//! ```text
//!   u8        encoding of the base of the landing pads; 0xff: none, it is the start of the function
//!   u8        encoding of the types; 0xff: none
//!   uleb128   distance to the types, unless there are none
//!   u8        encoding of the entries of the call sites
//!   uleb128   bytes of the call sites
//!   entries   start, length, landing pad, each as encoded; uleb128 action: 0 is a cleanup, else 1 + offset
//!   actions   sleb128 type: above 0 a catch, 0 a cleanup, below 0 a filter; sleb128 distance to the next
//! ```

#![expect(unsafe_code, reason = "calls the unwinder and reads what the compiler wrote for it")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The unwinder's view of a frame.
#[repr(C)]
struct Context([u8; 0]);

const NO_REASON: c_int = 0;
const STOP: c_int = 4;

unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(
        visit: unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetLanguageSpecificData(context: *mut Context) -> *const u8;
    fn _Unwind_GetRegionStart(context: *mut Context) -> usize;
    fn _Unwind_GetIPInfo(context: *mut Context, is_exact: *mut c_int) -> usize;
    fn _Unwind_GetCFA(context: *mut Context) -> usize;
}

/// What a frame does to an unwinding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Passes,
    /// Caught by the function that starts there.
    Catches(usize),
    /// The process would end.
    Bars,
}

/// The question: does an unwinding of the calling stack get to where it is to?
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// An address in the frame from which on frames count; those below are the runtime's own.
    pub(crate) from: usize,
    /// An address in the frame at which it is to be caught; 0 if it is whoever catches first.
    pub(crate) to: usize,
}

struct Walk {
    path: Path,
    relay: usize,
    /// Where the frame before this one begins, and what it does, until it is known to count.
    below: usize,
    pending: Option<Effect>,
    verdict: Option<bool>,
}

/// Where the function starts that catches only to go on unwinding; 0 as long as that is not known.
static RELAY: AtomicUsize = AtomicUsize::new(0);

impl Path {
    /// Walks the calling stack. Whoever catches on the way is taken to know what he does, but for [`note_relay`]'s.
    #[inline(never)]
    pub(crate) fn is_free(self) -> bool {
        // Relaxed: an address that is compared.
        let relay = RELAY.load(Ordering::Relaxed);
        let mut walk = Walk { path: self, relay, below: 0, pending: None, verdict: None };
        backtrace(step, (&raw mut walk).cast());
        // Where the walk ends early, an unwinding would not go on either.
        walk.verdict.unwrap_or(false)
    }
}

/// The function that catches what its caller lets on is a relay: where it catches, the unwinding is not over.
#[inline(never)]
pub(crate) fn note_relay() {
    unsafe extern "C" fn first_catch(context: *mut Context, start: *mut c_void) -> c_int {
        // SAFETY: the unwinder passes a frame, and what was given to it.
        unsafe {
            let Effect::Catches(at) = effect(context) else { return NO_REASON };
            start.cast::<usize>().write(at);
        }
        STOP
    }
    let mut start = 0_usize;
    backtrace(first_catch, (&raw mut start).cast());
    RELAY.store(start, Ordering::Relaxed);
}

/// Whether [`note_relay`] has not been called yet.
#[inline]
pub(crate) fn wants_relay() -> bool {
    RELAY.load(Ordering::Relaxed) == 0
}

fn backtrace(visit: unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int, argument: *mut c_void) {
    // SAFETY: both callbacks only read the frame that they are given, and write to the argument that is meant for them.
    unsafe { _Unwind_Backtrace(visit, argument) };
}

unsafe extern "C" fn step(context: *mut Context, walk: *mut c_void) -> c_int {
    // SAFETY: the unwinder passes what `is_free` gave to it.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // The stack pointer of the frame: it reaches from here to that of the next one.
    // SAFETY: the unwinder passes a frame.
    let here = unsafe { _Unwind_GetCFA(context) };
    if walk.path.from < here || walk.pending.is_none() && walk.path.from == 0 {
        walk.decide();
        if walk.verdict.is_none() && (walk.below..here).contains(&walk.path.to) {
            walk.verdict = Some(true);
        }
        if walk.verdict.is_some() {
            return STOP;
        }
        // From here on every frame counts, also on another stack.
        walk.path.from = 0;
    }
    walk.below = here;
    // SAFETY: as above.
    walk.pending = Some(unsafe { effect(context) });
    NO_REASON
}

impl Walk {
    /// The frame before this one counts.
    fn decide(&mut self) {
        match self.pending.take() {
            Some(Effect::Bars) => self.verdict = Some(false),
            Some(Effect::Catches(at)) if at != self.relay => self.verdict = Some(true),
            _ => {}
        }
    }
}

/// What the frame does, by its language-specific data.
///
/// # Safety
///
/// `context` is a frame that the unwinder has passed to a callback, which has not returned.
unsafe fn effect(context: *mut Context) -> Effect {
    // SAFETY: the contract of this function; the data is what the compiler wrote.
    unsafe {
        let data = _Unwind_GetLanguageSpecificData(context);
        if data.is_null() {
            return Effect::Passes;
        }
        let mut is_exact = 0;
        let ip = _Unwind_GetIPInfo(context, &raw mut is_exact);
        let start = _Unwind_GetRegionStart(context);
        // A return address may be the first of the next call site.
        let ip = if is_exact == 0 { ip - 1 } else { ip };
        match (Reader { at: data }).action_of(ip.wrapping_sub(start)) {
            None => Effect::Bars,
            Some(Action::Cleanup) => Effect::Passes,
            Some(Action::Catch) => Effect::Catches(start),
            Some(Action::Filter) => Effect::Bars,
        }
    }
}

enum Action {
    Cleanup,
    Catch,
    Filter,
}

/// Reads the data byte by byte.
struct Reader {
    at: *const u8,
}

const OMITTED: u8 = 0xff;

impl Reader {
    /// What the call site at `offset` of the function does; `None` if it may not unwind.
    ///
    /// # Safety
    ///
    /// For all functions of this type: it is at a place in a function's language-specific data.
    unsafe fn action_of(&mut self, offset: usize) -> Option<Action> {
        // SAFETY: the contract of this function.
        unsafe {
            let base = self.byte();
            if base != OMITTED {
                self.encoded(base);
            }
            if self.byte() != OMITTED {
                self.uleb();
            }
            let encoding = self.byte();
            let bytes = self.uleb();
            let actions = self.at.wrapping_add(bytes);
            while self.at < actions {
                let (start, length) = (self.encoded(encoding), self.encoded(encoding));
                let (pad, action) = (self.encoded(encoding), self.uleb());
                if offset < start {
                    // They are in order.
                    return None;
                }
                if offset >= start.wrapping_add(length) {
                    continue;
                }
                if pad == 0 || action == 0 {
                    return Some(Action::Cleanup);
                }
                let kind = Self { at: actions.wrapping_add(action - 1) }.sleb();
                return Some(match kind {
                    0 => Action::Cleanup,
                    1.. => Action::Catch,
                    _ => Action::Filter,
                });
            }
            None
        }
    }

    unsafe fn byte(&mut self) -> u8 {
        // SAFETY: the contract of this type.
        let byte = unsafe { self.at.read() };
        self.at = self.at.wrapping_add(1);
        byte
    }

    unsafe fn uleb(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            // SAFETY: the contract of this type.
            let byte = unsafe { self.byte() };
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    unsafe fn sleb(&mut self) -> isize {
        let (mut value, mut shift) = (0_isize, 0);
        loop {
            // SAFETY: the contract of this type.
            let byte = unsafe { self.byte() };
            value |= isize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return if byte & 0x40 != 0 { value | -1 << shift } else { value };
            }
        }
    }

    /// A number in an encoding of call sites, which are offsets: neither relative nor indirect.
    unsafe fn encoded(&mut self, encoding: u8) -> usize {
        // SAFETY: the contract of this type.
        unsafe {
            match encoding & 0x0f {
                0x1 => self.uleb(),
                0x9 => self.sleb().cast_unsigned(),
                0x2 | 0xa => self.fixed(2),
                0x3 | 0xb => self.fixed(4),
                _ => self.fixed(size_of::<usize>()),
            }
        }
    }

    unsafe fn fixed(&mut self, bytes: usize) -> usize {
        let mut value = [0; size_of::<usize>()];
        for byte in value.iter_mut().take(bytes) {
            // SAFETY: the contract of this type.
            *byte = unsafe { self.byte() };
        }
        usize::from_le_bytes(value)
    }
}
