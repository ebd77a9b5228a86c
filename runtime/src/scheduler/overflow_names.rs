//! The names of the frames of a stack overflow.
//!
//! The handler must not look them up itself: that allocates, and the overflow may have come in the middle of an allocation. So it leaves
//! the addresses here for the monitor, and waits for a moment. The report without names is out by then: whatever goes wrong here, such as
//! a lock of the allocator that the faulting thread has, costs the names and that moment.

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::backtrace::Trace;
use super::shared::Shared;
use crate::os::{futex, stderr};

/// How long the handler waits. Reading the debug information of a large program takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most frames that are named.
pub(super) const MOST: usize = 24;

/// Nobody has asked; the process asks once.
const NOT_ASKED: u32 = 0;
/// The frames are there.
const ASKED: u32 = 1;
/// The names were written.
const ANSWERED: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(NOT_ASKED);
/// The addresses, innermost first, and zeros.
static FRAMES: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// Asks for the names of these frames and waits until they are written, in a signal handler. Does nothing where no monitor is.
pub(super) fn ask(shared: &Shared, frames: &[usize]) {
    if shared.check_period().is_none() || STATE.load(Ordering::Relaxed) != NOT_ASKED {
        return;
    }
    for (slot, frame) in FRAMES.iter().zip(frames) {
        slot.store(*frame, Ordering::Relaxed);
    }
    // Release: pairs with the Acquire in `answer`. Two overflows at once mix their frames, and die.
    STATE.store(ASKED, Ordering::Release);
    shared.monitor_parker.unpark_by(|| 1);
    let deadline = Instant::now() + PATIENCE;
    while STATE.load(Ordering::Relaxed) == ASKED && Instant::now() < deadline {
        futex::wait(&STATE, ASKED, Some(deadline));
    }
}

/// Writes the names if somebody has asked. In the monitor.
pub(super) fn answer() {
    // Acquire: pairs with the Release in `ask`.
    if STATE.load(Ordering::Acquire) != ASKED {
        return;
    }
    let frames = FRAMES.iter().map(|frame| frame.load(Ordering::Relaxed)).take_while(|frame| *frame != 0);
    let names = Trace::of_frames(frames);
    stderr::write(format!("Their names:\n{}", names.text()).as_bytes());
    STATE.store(ANSWERED, Ordering::Relaxed);
    futex::wake_one(ptr::from_ref(&STATE).cast());
}
