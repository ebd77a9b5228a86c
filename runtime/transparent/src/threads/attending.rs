//! How a fiber runs the handlers of what was sent to it: it takes the signals, and then has the kernel run their handlers, on its stack.
//!
//! It takes them while its wait is in lists of the runtime's, and runs the handlers when it is in none any more: they may not return.

#![expect(unsafe_code, reason = "sends signals to the calling thread, and changes its mask")]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::ptr;

use abaca::hook::Interrupted;
use libc::siginfo_t;

use super::frames::attending;
use super::handlers::effect;
use super::queued::is_queued;
use super::relay::{has_started, start_relay};
use super::waiting::{self, Taken};
use crate::answer::failed;
use crate::calls::kick::set_mask;
use crate::kernel::kernel;

thread_local! {
    /// What the calling fiber has taken, until its wait is over. It is there to the end of the fiber's storage: [`attend`] leaves it empty. In a
    /// box: a word in the storage of each fiber.
    static TAKEN: Cell<Option<ManuallyDrop<Box<All>>>> = const { Cell::new(None) };
}

struct All(Vec<Taken>);

fn all_taken() -> Vec<Taken> {
    TAKEN.take().map_or_else(Vec::new, |all| ManuallyDrop::into_inner(all).0)
}

/// Takes the signals that were sent to the calling thread, or to any, and that it does not block, and says what their handlers do. If there is
/// one that it waits for, its wait ends.
pub(super) fn take() -> Interrupted {
    if !has_started() {
        start_relay();
    }
    let effect_of_all = if waiting::has_awaited() { Interrupted::Restarts } else { Interrupted::Not };
    let taken = waiting::take_unblocked();
    if taken.is_empty() {
        return effect_of_all;
    }
    let effect_of_all = taken.iter().fold(effect_of_all, |all, (signal, _)| all.max(effect(*signal)));
    let mut all = all_taken();
    all.extend(taken);
    TAKEN.set(Some(ManuallyDrop::new(Box::new(All(all)))));
    effect_of_all
}

/// Runs the handlers of what the caller has taken, and of what it can take now, and says what they do.
pub(crate) fn attend() -> Interrupted {
    let effect_of_all = take();
    let taken = all_taken();
    if !taken.is_empty() {
        run_handlers(&taken);
    }
    effect_of_all
}

/// As many signals as may be taken where no memory can be asked for.
pub(super) struct Few {
    taken: [Taken; 8],
    count: usize,
}

impl Few {
    pub(super) const NONE: Self = Self { taken: [(0, None); 8], count: 0 };

    /// Takes some of these that wait for the caller, or for the process.
    pub(super) fn take(wanted: u64) -> Self {
        let mut few = Self::NONE;
        while few.count < few.taken.len()
            && let Some((signal, info)) = waiting::take_first(wanted)
        {
            few.taken[few.count] = (signal, Some(info));
            few.count += 1;
        }
        few
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Runs their handlers.
    pub(super) fn run_handlers(&self) {
        run_handlers(&self.taken[..self.count]);
    }
}

/// Runs the handlers of what waits for the process, on a plain thread whose mask in the kernel this is, or is about to be.
pub(super) fn attend_on_thread(mask: u64) {
    while waiting::with_effect(!mask) != 0 {
        let few = Few::take(!mask);
        if !few.is_empty() {
            few.run_handlers();
        }
    }
}

/// Runs the handlers, where one signal may be told twice: it was sent to the caller and to the process. The kernel keeps one at a time.
fn run_handlers(mut taken: &[Taken]) {
    while !taken.is_empty() {
        let is_second = |at: &usize| {
            let signal = taken[*at].0;
            !is_queued(signal) && taken[..*at].iter().any(|(other, _)| *other == signal)
        };
        let end = (1..taken.len()).find(is_second).unwrap_or(taken.len());
        run_those(&taken[..end]);
        taken = &taken[end..];
    }
}

/// Has the kernel run the handlers here, with all that belongs to them, in the order in which it runs those of signals that have waited.
fn run_those(taken: &[Taken]) {
    // SAFETY: sets, and what the kernel has told of the signals, for the calling thread, which may block them.
    unsafe {
        let (process, thread) = (kernel!(libc::SYS_getpid), kernel!(libc::SYS_gettid));
        let (mut set, mut mask) = (std::mem::zeroed(), std::mem::zeroed());
        taken.iter().for_each(|(signal, _)| _ = libc::sigaddset(&mut set, *signal as c_int));
        let send = |signal: usize, info: &Option<siginfo_t>| match info {
            Some(info) => {
                kernel!(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, ptr::from_ref(info))
            }
            None => kernel!(libc::SYS_tgkill, process, thread, signal),
        };
        // None of these comes between.
        set_mask(libc::SIG_BLOCK, &set, &mut mask);
        attending(taken, mask, || {
            for (signal, info) in taken {
                if send(*signal, info) == failed(libc::EAGAIN) {
                    // The kernel keeps no more: those before run first.
                    set_mask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
                    set_mask(libc::SIG_BLOCK, &set, ptr::null_mut());
                    send(*signal, info);
                }
            }
            set_mask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
        });
        set_mask(libc::SIG_SETMASK, &mask, ptr::null_mut());
    }
}
