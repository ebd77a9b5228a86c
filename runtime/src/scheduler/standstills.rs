//! Turns that took long, as the monitor saw them: what a log of turns does not know of itself.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::shared::Shared;
use super::worker::Worker;

/// How many are kept of a runtime; the last ones.
const MOST: usize = 256;

/// What stands still for less is not noted.
const LEAST: Duration = Duration::from_millis(2);

/// A worker was in one turn during this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standstill {
    /// The worker's index.
    pub(crate) worker: usize,
    /// How many records were in its log then: the next one is of the turn.
    pub(crate) records: u64,
    /// Begin and end, on the recorder's clock.
    pub(crate) during: [u64; 2],
}

/// See the module's documentation. The monitor writes them, and whoever makes a recording reads them.
#[derive(Default)]
pub(crate) struct Standstills(Mutex<VecDeque<Standstill>>);

impl Standstills {
    /// Those that are kept, in the order in which they began.
    pub(crate) fn all(&self) -> Vec<Standstill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn note(&self, new: Standstill) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |old: &&mut Standstill| (old.worker, old.records) == (new.worker, new.records);
        if let Some(old) = all.iter_mut().rev().find(is_same) {
            old.during[1] = new.during[1];
            return;
        }
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(new);
    }
}

impl Shared {
    /// Notes that the worker has been in one turn for so long. From the monitor, which has seen it in one position since then.
    pub(super) fn note_standstill(&self, worker: &Worker, lasted: Duration) {
        if lasted >= LEAST
            && let Some(recorder) = self.recorder.get()
            && let Some(records) = worker.log.ring.count()
        {
            let (now, scale) = (recorder.ticks.now(), recorder.ticks.scale());
            let began = now.saturating_sub(recorder.ticks.count_of(lasted.as_nanos() as u64, scale));
            recorder.standstills.note(Standstill { worker: worker.index, records, during: [began, now] });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_goes_on_is_noted_once_and_the_last_ones_are_kept() {
        let stands = Standstills::default();
        let standstill = |records, during| Standstill { worker: 0, records, during };
        stands.note(standstill(7, [1, 2]));
        stands.note(standstill(7, [1, 5]));
        assert_eq!(stands.all(), [standstill(7, [1, 5])]);
        (0..MOST as u64).for_each(|number| stands.note(standstill(8 + number, [9, 9])));
        assert_eq!((stands.all().len(), stands.all()[0].records), (MOST, 8));
    }
}
