//! Tells in advance how far an unwinding would get.
//!
//! An unwinding ends the process if it comes to a function that must not unwind: an `extern "C"` function in Rust, a
//! `noexcept` one in C++, a frame without unwind tables. Rust's personality function learns this from the frame's
//! language-specific data, in which such a function has a *filter* that lets nothing pass, or no entry for the call, or
//! a cleanup that does not return (`last_call.rs`). This file reads the same data in the same way (`dwarf.rs`), and
//! runs nothing of it.

#![expect(unsafe_code, reason = "calls the unwinder and reads the compiler's tables for it")]

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

/// The effect of a frame on an unwinding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Passes,
    /// The function that starts at this address catches the unwinding.
    Catches(usize),
    /// The process would end.
    Blocks,
}

/// The path of an unwinding of the calling stack to its target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// An address in the first frame that counts; the frames below are the runtime's own.
    pub(crate) from: usize,
    /// An address in the target frame; 0 if the target is the first frame that catches.
    pub(crate) to: usize,
}

/// The relay, a function that catches an unwinding which its caller resumes: where it catches, the unwinding is not over.
///
/// The catch itself is a function that the compiler makes. If it is not inlined (in a build without optimisation), or if the
/// linker folds equal functions, many functions share one. So a frame that catches is the relay's only if the relay's frame is
/// as many frames away as in the relay's own call.
#[derive(Clone, Copy, Debug)]
struct Relay {
    /// The address of the function that catches; 0 as long as that is not known.
    catch: usize,
    /// The address of the relay itself, and the number of frames from the one that catches to the relay's.
    function: usize,
    frames: usize,
}

struct Walk {
    path: Path,
    relay: Relay,
    /// After how many more frames the relay's must come, if the catch that was passed is the relay's.
    until_relay: Option<usize>,
    /// The stack pointer of the frame before this one.
    below: usize,
    /// The effect of the frame before this one.
    pending: Option<Effect>,
    has_begun: bool,
    /// Whether a frame catches the unwinding. The walk only looks for the target's frame from there on.
    is_caught: bool,
    verdict: Option<bool>,
}

/// How far below [`Path::from`] the runtime's own frames reach, in bytes.
const OWN_BYTES: usize = 32 * 1024;

/// More than the frame of a target has. The first frame of a coroutine seems to reach to that of its resumer, across the guard of
/// a stack at least, and perhaps across the stack of a coroutine that is suspended.
const TARGET_BYTES: usize = 32 * 1024;

/// Whether the walk sees the frames of a stack as they are, in this build: other switches and sanitizers have ways of their own.
pub(crate) const SEES_FRAMES: bool = !cfg!(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind));

/// The parts of the [`Relay`]. `CATCH` is written last.
static CATCH: AtomicUsize = AtomicUsize::new(0);
static FUNCTION: AtomicUsize = AtomicUsize::new(0);
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// The most frames between the catch and the relay.
const MOST_FRAMES: usize = 16;

impl Path {
    /// Whether the unwinding would get to its target. Walks the calling stack. If a frame catches on the way, the path ends there
    /// and counts as free, unless the frame is the relay of [`note_relay`], which resumes the unwinding. The target's frame must
    /// be on the stack all the same: it is not if it belongs to a coroutine that is suspended.
    #[inline(never)]
    pub(crate) fn can_unwind(self) -> bool {
        // Acquire: pairs with the Release in `note_relay`. The others are Relaxed: they were written before, and all writers
        // write the same.
        let relay = Relay {
            catch: CATCH.load(Ordering::Acquire),
            function: FUNCTION.load(Ordering::Relaxed),
            frames: FRAMES.load(Ordering::Relaxed),
        };
        let until_relay = None;
        let mut walk = Walk {
            path: self,
            relay,
            until_relay,
            below: 0,
            pending: None,
            has_begun: false,
            is_caught: false,
            verdict: None,
        };
        backtrace(step, (&raw mut walk).cast());
        // If the walk ends early, an unwinding would not go on either. Beyond a frame that catches, that does not matter.
        walk.verdict.unwrap_or(!walk.has_begun || walk.is_caught)
    }
}

/// Keeps the compiler from finding out that the calling function never unwinds: of a call of such a function its caller's tables say
/// nothing, which counts as an end of the path. For functions from which, or at whose call, an unwinding seems to begin.
#[inline(always)]
pub(crate) fn seem_to_unwind() {
    if std::hint::black_box(false) {
        std::panic::resume_unwind(Box::new(()));
    }
}

/// The address at which the program, or the library of which this is a part, is loaded.
#[cfg(feature = "backtrace")]
pub(crate) fn program() -> usize {
    unsafe extern "C" {
        /// The linker's name for the first byte of the file.
        safe static __ehdr_start: u8;
    }
    (&raw const __ehdr_start).addr()
}

/// Notes the relay, the function that starts at `function`. Must be called inside of the relay's catch.
#[inline(never)]
pub(crate) fn note_relay(function: usize) {
    unsafe extern "C" fn first_catch(context: *mut Context, relay: *mut c_void) -> c_int {
        // SAFETY: the unwinder passes the argument that was given to it.
        let relay = unsafe { &mut *relay.cast::<Relay>() };
        // SAFETY: the unwinder passes a frame.
        match unsafe { effect(context, false) } {
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
    // Release: pairs with the Acquire in `can_unwind`.
    CATCH.store(relay.catch, Ordering::Release);
}

/// Whether [`note_relay`] has not been called yet.
#[inline]
pub(crate) fn wants_relay() -> bool {
    CATCH.load(Ordering::Relaxed) == 0
}

fn backtrace(visit: unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int, argument: *mut c_void) {
    // SAFETY: both callbacks only read the frame that they get, and write to the argument that is meant for them.
    unsafe { _Unwind_Backtrace(visit, argument) };
}

unsafe extern "C" fn step(context: *mut Context, walk: *mut c_void) -> c_int {
    // SAFETY: the unwinder passes the argument that `can_unwind` gave to it.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // The stack pointer of the frame, which reaches from here to the stack pointer of the next frame.
    // SAFETY: the unwinder passes a frame.
    let here = unsafe { _Unwind_GetCFA(context) };
    let Path { from, to } = walk.path;
    if !walk.has_begun && !(from.saturating_sub(OWN_BYTES)..=from).contains(&here) {
        // The frame before, if there was one, was the last that begins below `from`, so it contains `from`.
        walk.has_begun = walk.pending.is_some();
    }
    if walk.has_begun {
        if !walk.is_caught {
            // SAFETY: as above.
            walk.decide(unsafe { _Unwind_GetRegionStart(context) });
        }
        let frame = walk.below..here;
        if walk.verdict.is_none() && frame.contains(&to) && frame.len() < TARGET_BYTES {
            walk.verdict = Some(true);
        }
        if walk.verdict.is_some() {
            return STOP;
        }
        let mut is_exact = 0;
        // The caller of a stack's first frame has no address.
        // SAFETY: as above.
        if walk.is_caught && unsafe { _Unwind_GetIPInfo(context, &raw mut is_exact) } == 0 {
            walk.verdict = Some(false);
            return STOP;
        }
    } else if !(from.saturating_sub(OWN_BYTES)..=from).contains(&here) {
        return NO_REASON;
    }
    let is_first = walk.below == 0;
    walk.below = here;
    if !walk.is_caught {
        // SAFETY: as above.
        walk.pending = Some(unsafe { effect(context, is_first) });
    }
    NO_REASON
}

impl Walk {
    /// Decides by the effect of the frame before this one, which counts. `here` is the address of its function.
    fn decide(&mut self, here: usize) {
        match self.pending.take() {
            Some(Effect::Blocks) => self.verdict = Some(false),
            Some(Effect::Catches(at)) if at != self.relay.catch => self.catch(),
            // The frame before is zero frames from itself.
            Some(Effect::Catches(_)) if self.relay.frames > 0 => self.until_relay = Some(self.relay.frames),
            Some(Effect::Catches(_) | Effect::Passes) | None => {}
        }
        let Some(left) = self.until_relay.as_mut() else { return };
        *left -= 1;
        if *left == 0 {
            self.until_relay = None;
            if here != self.relay.function {
                self.catch();
            }
        }
    }

    /// The frame before this one catches the unwinding.
    fn catch(&mut self) {
        self.is_caught = true;
        if self.path.to == 0 {
            self.verdict = Some(true);
        }
    }
}

/// The effect of a frame, by its language-specific data. If it `is_first`, it may be that of the switch that suspended a fiber, which is
/// no call, so the data say nothing about its address: the unwinding will begin at a call behind it.
///
/// # Safety
///
/// `context` must be a frame that the unwinder has passed to a callback, which has not returned.
unsafe fn effect(context: *mut Context, is_first: bool) -> Effect {
    // SAFETY: the contract of this function; the compiler wrote the data.
    unsafe {
        let data = _Unwind_GetLanguageSpecificData(context);
        if data.is_null() {
            return Effect::Passes;
        }
        let mut is_exact = 0;
        let ip = _Unwind_GetIPInfo(context, &raw mut is_exact);
        let start = _Unwind_GetRegionStart(context);
        // A return address may be the first address of the next call site.
        let ip = if is_exact == 0 { ip - 1 } else { ip };
        match (Reader { at: data }).action_of(ip.wrapping_sub(start)) {
            None if is_first && !ends_the_process(start) => Effect::Passes,
            None => Effect::Blocks,
            Some(Action::None) => Effect::Passes,
            Some(Action::Cleanup) if ends_the_process(start) => Effect::Blocks,
            Some(Action::Cleanup) => Effect::Passes,
            Some(Action::Catch) => Effect::Catches(start),
            Some(Action::Filter) => Effect::Blocks,
        }
    }
}
