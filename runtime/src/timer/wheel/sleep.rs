//! How long the owner of a wheel sleeps. Where many timers are due shortly after one another it wakes once for those of a *span*.
//!
//! The kernel wakes it some time after it has asked for: an idle core takes 5 to 60 us, the more the deeper it sleeps, and in a virtual machine.
//! At the end of a span it asks for so much less as it was late of late: then the timers of a span are late by half of it, and not by the
//! kernel's delay as well, and a longer span costs no more precision than a shorter one that is not corrected. A wake-up for few timers is asked for
//! when the first is due, since one that comes early would need a second.

use std::cell::Cell;

use super::{Position, SLOTS, TICK_NS, Wheel};

/// The ticks of a span: twenty wake-ups of an idle core become one.
const SPAN: usize = 24;

/// Timers are many if so many ticks of a span have one. With fewer each tick gets a wake-up of its own.
const MANY: u32 = 6;

/// A span is shortened by this at most, in nanoseconds: half of it.
const MOST_EARLY_NS: u64 = SPAN as u64 / 2 * TICK_NS;

/// How much a new delay changes the one that is expected.
const WEIGHT: u64 = 8;

/// What a wheel knows of its owner's sleeps.
pub(super) struct Sleep {
    /// The tick up to which timers are taken for many where that cannot be seen.
    many_until: Cell<u64>,
    /// How much later than asked for the kernel is expected to wake the owner, in nanoseconds.
    delay_ns: Cell<u64>,
}

impl Sleep {
    pub(super) const fn new() -> Self {
        Self { many_until: Cell::new(0), delay_ns: Cell::new(0) }
    }
}

impl Wheel {
    /// When an owner that sleeps should ask to be woken to call [`expire`](Self::expire); `None` without timers. That is at the
    /// [first deadline](Self::next_deadline), unless many timers are due within one [`SPAN`] of it. Then it is for the last of these, less the
    /// delay of the kernel's that is expected.
    ///
    /// The timers of a span are seen in the bitmap of level 0. Where the span goes beyond that, they are taken for many if they were so
    /// less than a round of level 0 before.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        let (Position { level, slot }, start) = self.first_slot()?;
        let many_until = &self.sleep.many_until;
        let last = if level == 0 && slot + SPAN <= SLOTS {
            let ticks = self.levels[0].slots_in_use.get() >> slot & ((1 << SPAN) - 1);
            let is_many = ticks.count_ones() >= MANY;
            many_until.set(if is_many { start + SLOTS as u64 } else { 0 });
            is_many.then(|| start + u64::from(ticks.ilog2()))
        } else {
            (start <= many_until.get()).then(|| start + SPAN as u64 - 1)
        };
        let Some(last) = last else { return self.next_deadline() };
        let early_ns = self.sleep.delay_ns.get().min(MOST_EARLY_NS);
        // Not before the first is due.
        Some(last.saturating_mul(TICK_NS).saturating_sub(early_ns).max(start.saturating_mul(TICK_NS)))
    }

    /// Notes that the owner was to be woken at `asked_ns`, and woke at `woke_ns`, if that is not before.
    pub(crate) fn note_wake(&self, asked_ns: u64, woke_ns: u64) {
        if let Some(delay_ns) = woke_ns.checked_sub(asked_ns) {
            let delay_ns = delay_ns.min(2 * MOST_EARLY_NS);
            let expected = &self.sleep.delay_ns;
            expected.set((expected.get() * (WEIGHT - 1) + delay_ns) / WEIGHT);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[expect(unsafe_code, reason = "a wheel's entries stay where they are")]
mod tests {
    use std::ptr;

    use super::*;
    use crate::timer::Entry;

    #[test]
    fn a_span_is_shortened_by_the_delay_that_is_expected_and_by_half_at_most() {
        let wheel = Wheel::new(0);
        let entries: Vec<_> = (0..40).map(|_| Entry::new(ptr::null())).collect();
        for (entry, tick) in entries.iter().zip(1..) {
            // SAFETY: the entries are in no wheel, stay where they are, and leave it below.
            unsafe { wheel.insert(entry, tick * TICK_NS) };
        }
        let whole = SPAN as u64 * TICK_NS;
        assert_eq!(wheel.next_wake(), Some(whole));
        // Who is woken by something else has not waited for the kernel.
        wheel.note_wake(whole, whole - 1);
        assert_eq!(wheel.next_wake(), Some(whole));
        for (delay_ns, early_ns) in [(TICK_NS, TICK_NS), (0, 0), (whole * 10, whole / 2)] {
            (0..200).for_each(|_| wheel.note_wake(whole, whole + delay_ns));
            let early = whole - wheel.next_wake().unwrap();
            assert!(early.abs_diff(early_ns) < WEIGHT, "{early} for {early_ns}");
        }
        // SAFETY: they are in this wheel.
        entries.iter().for_each(|entry| unsafe { wheel.cancel(entry) });
        // A timer that is alone has its own wake-up.
        // SAFETY: as above.
        unsafe { wheel.insert(&entries[0], 3 * TICK_NS) };
        assert_eq!(wheel.next_wake(), Some(3 * TICK_NS));
        // SAFETY: as above.
        unsafe { wheel.cancel(&entries[0]) };
    }
}
