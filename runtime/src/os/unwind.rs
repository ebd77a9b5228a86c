//! Where an unwinding would come to, asked of the unwinder before there is one.
//!
//! An unwinding ends the process when it comes to a function that must not unwind: an `extern "C"` function in Rust, a
//! `noexcept` one in C++, a frame without unwind tables. Rust's personality function learns this from the frame's
//! language-specific data, in which such a function has a *filter* that lets nothing pass, or no entry for the call, or
//! a cleanup that does not come back (`last_call.rs`). This file reads the same data in the same way (`dwarf.rs`), and
//! runs nothing of it.

#![expect(unsafe_code, reason = "calls the unwinder and reads what the compiler wrote for it")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dwarf::{Action, Reader};
use super::last_call::ends_the_process;

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

/// A function that catches what its caller lets on: where it catches, the unwinding is not over.
///
/// The catch itself is a function of the compiler's, of which there is one for many that catch where it is not inlined, as in
/// builds that are not optimised, or where a linker folds what is equal. So a frame that catches is the relay's only if the
/// relay is as far behind it as it is in the relay's own call.
#[derive(Clone, Copy, Debug)]
struct Relay {
    /// Where the function starts that catches; 0 as long as that is not known.
    catch: usize,
    /// Where the relay itself starts, and how many frames lie from the one that catches to its own.
    function: usize,
    frames: usize,
}

struct Walk {
    path: Path,
    relay: Relay,
    /// How many frames on the relay has to come, if it was its catch that was passed.
    until_relay: Option<usize>,
    /// Where the frame before this one begins, and what it does, unless it does not count.
    below: usize,
    pending: Option<Effect>,
    has_begun: bool,
    verdict: Option<bool>,
}

/// How far below [`Path::from`] frames of the runtime's own reach.
const OWN_BYTES: usize = 32 * 1024;

/// The parts of the [`Relay`]; that of its catch is written last.
static CATCH: AtomicUsize = AtomicUsize::new(0);
static FUNCTION: AtomicUsize = AtomicUsize::new(0);
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// The relay is no more frames from its catch than this.
const MOST_FRAMES: usize = 16;

impl Path {
    /// Walks the calling stack. Whoever catches on the way is taken to know what he does, but for [`note_relay`]'s.
    #[inline(never)]
    pub(crate) fn is_free(self) -> bool {
        // Acquire: pairs with the Release in `note_relay`. Relaxed, the others: written before, by all who did with the same.
        let relay = Relay {
            catch: CATCH.load(Ordering::Acquire),
            function: FUNCTION.load(Ordering::Relaxed),
            frames: FRAMES.load(Ordering::Relaxed),
        };
        let until_relay = None;
        let mut walk =
            Walk { path: self, relay, until_relay, below: 0, pending: None, has_begun: false, verdict: None };
        backtrace(step, (&raw mut walk).cast());
        // Where the walk ends early, an unwinding would not go on either.
        walk.verdict.unwrap_or(!walk.has_begun)
    }
}

/// The function that starts at `function` is a relay, which has caught the call of this.
#[inline(never)]
pub(crate) fn note_relay(function: usize) {
    unsafe extern "C" fn first_catch(context: *mut Context, relay: *mut c_void) -> c_int {
        // SAFETY: the unwinder passes what was given to it.
        let relay = unsafe { &mut *relay.cast::<Relay>() };
        // SAFETY: the unwinder passes a frame.
        match unsafe { effect(context) } {
            Effect::Catches(at) if relay.catch == 0 => relay.catch = at,
            _ if relay.catch == 0 => return NO_REASON,
            _ => relay.frames += 1,
        }
        // SAFETY: as above.
        let is_there = unsafe { _Unwind_GetRegionStart(context) } == relay.function;
        if is_there || relay.frames == MOST_FRAMES { STOP } else { NO_REASON }
    }
    let mut relay = Relay { catch: 0, function, frames: 0 };
    backtrace(first_catch, (&raw mut relay).cast());
    FUNCTION.store(relay.function, Ordering::Relaxed);
    FRAMES.store(relay.frames, Ordering::Relaxed);
    // Release: pairs with the Acquire in `is_free`.
    CATCH.store(relay.catch, Ordering::Release);
}

/// Whether [`note_relay`] has not been called yet.
#[inline]
pub(crate) fn wants_relay() -> bool {
    CATCH.load(Ordering::Relaxed) == 0
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
    let Path { from, to } = walk.path;
    if !walk.has_begun && !(from.saturating_sub(OWN_BYTES)..=from).contains(&here) {
        // The frame before was the last that begins below, so it contains the address; if there was one.
        walk.has_begun = walk.pending.is_some();
    }
    if walk.has_begun {
        // SAFETY: as above.
        walk.decide(unsafe { _Unwind_GetRegionStart(context) });
        if walk.verdict.is_none() && (walk.below..here).contains(&to) {
            walk.verdict = Some(true);
        }
        if walk.verdict.is_some() {
            return STOP;
        }
    } else if !(from.saturating_sub(OWN_BYTES)..=from).contains(&here) {
        return NO_REASON;
    }
    walk.below = here;
    // SAFETY: as above.
    walk.pending = Some(unsafe { effect(context) });
    NO_REASON
}

impl Walk {
    /// The frame before this one counts, which is of the function that starts at `here`.
    fn decide(&mut self, here: usize) {
        match self.pending.take() {
            Some(Effect::Bars) => self.verdict = Some(false),
            Some(Effect::Catches(at)) if at != self.relay.catch => self.verdict = Some(true),
            // The frame before is none behind itself.
            Some(Effect::Catches(_)) if self.relay.frames > 0 => self.until_relay = Some(self.relay.frames),
            Some(Effect::Catches(_) | Effect::Passes) | None => {}
        }
        let Some(left) = self.until_relay.as_mut() else { return };
        *left -= 1;
        if *left == 0 {
            self.until_relay = None;
            if here != self.relay.function {
                self.verdict = Some(true);
            }
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
            Some(Action::None) => Effect::Passes,
            Some(Action::Cleanup) if ends_the_process(start) => Effect::Bars,
            Some(Action::Cleanup) => Effect::Passes,
            Some(Action::Catch) => Effect::Catches(start),
            Some(Action::Filter) => Effect::Bars,
        }
    }
}
