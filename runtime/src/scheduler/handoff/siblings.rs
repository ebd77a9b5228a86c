//! A worker that is about to sleep looks at sleeping siblings: one for which there is something to do, and whose thread does not get up,
//! it exchanges for itself. `README.md` tells why.

use std::ptr::NonNull;
use std::time::Duration;

use super::Spares;
use super::sleep::SleepNumber;
use crate::os::epoll::Ready;
use crate::os::slack;
use crate::scheduler::hub::Departure;
use crate::scheduler::worker::Worker;

/// How many siblings a worker looks at before it sleeps. A look is a system call.
const LOOKS: usize = 2;

/// How long a sibling may take to get up. From an idle core a thread needs 30 to 47 us.
const GETTING_UP: Duration = Duration::from_micros(50);

/// A sleep of this length, some centuries, has no end.
const FOR_EVER_NS: u64 = u64::MAX / 2;

/// A sibling that slept although there was something for it to do: the worker's index, its sleep, and when that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::scheduler) struct Suspicion(Option<(usize, SleepNumber, u64)>);

/// The result of a look at the siblings.
enum Look<'a> {
    /// All is well.
    Well,
    /// It pays to look again after this time.
    Again(Duration),
    /// The sibling is the calling thread's now, and the caller's worker is not.
    Exchanged(&'a Worker),
}

impl Worker {
    /// Waits until there is something to do, and takes the events of the poller. Meanwhile other threads may take the worker, or the
    /// caller takes another one in its place: then this fails.
    pub(in crate::scheduler) fn await_event(
        &self,
        now_ns: u64,
        timeout: Option<Duration>,
    ) -> Result<(), Departure> {
        let Some(spares) = self.shared().spares.get() else {
            self.wait_in_kernel(timeout);
            return Ok(());
        };
        spares.hasten_sleeper(self.carrier());
        let result = self.await_event_beside(spares, now_ns, timeout);
        if result.is_ok() {
            spares.make_slice_usual(self.carrier());
        }
        result
    }

    fn await_event_beside(
        &self,
        spares: &Spares,
        now_ns: u64,
        timeout: Option<Duration>,
    ) -> Result<(), Departure> {
        let shared = self.shared();
        if (shared.workers.len() > 1 || spares.is_eager())
            && let Some(poller) = shared.poller_of(self.index)
            && let Some(summons) = self.carrier().summons()
        {
            let ends_ns = timeout.map(|timeout| now_ns + timeout.as_nanos() as u64);
            self.remote.sleep.begin(ends_ns);
            let mut now_ns = now_ns;
            loop {
                let again = match self.look_at_siblings(spares, now_ns) {
                    Look::Well => None,
                    Look::Again(after) => Some(after),
                    Look::Exchanged(other) => return Err(Departure::For(NonNull::from(other))),
                };
                let carrier = self.carrier();
                let ward = carrier.ward().get();
                let left = ends_ns.map(|at| Duration::from_nanos(at.saturating_sub(now_ns)));
                let ward_left = ward.map(|ward| ward.remote.sleep.ends_ns().saturating_sub(now_ns));
                let ward_left = ward_left.filter(|left| *left < FOR_EVER_NS).map(Duration::from_nanos);
                let timeout = left.into_iter().chain(again).chain(ward_left).min();
                let other = ward.and_then(|ward| shared.poller_of(ward.index));
                carrier.leave();
                let ready = slack::sleep(timeout, |timeout| {
                    poller.await_event(summons, other.map(|other| &**other), timeout)
                });
                if !carrier.enter() {
                    return Err(Departure::InItsSleep);
                }
                if ready == Ready::Other {
                    now_ns = shared.now_ns();
                    continue;
                }
                if ready == Ready::Own {
                    self.poll(poller, Some(Duration::ZERO));
                    break;
                }
                now_ns = shared.now_ns();
                if again.is_none() || left.is_some_and(|_| self.remote.sleep.is_over(now_ns)) {
                    break;
                }
            }
            self.remote.sleep.end();
            return Ok(());
        }
        self.wait_in_kernel(timeout);
        Ok(())
    }

    /// Looks for a sibling that sleeps although there is something for it to do. One that did so at an earlier look as well is
    /// exchanged for this worker, which is about to sleep.
    fn look_at_siblings(&self, spares: &Spares, now_ns: u64) -> Look<'_> {
        let ward = self.carrier().ward().get();
        let has_ward = ward.is_some();
        if let Some(ward) = ward
            && ward.should_be_awake(now_ns)
            && spares.exchange(self, ward)
        {
            return Look::Exchanged(ward);
        }
        let before = self.hub_state.suspicion.take();
        for sibling in self.shared().others(self.index, self.next_random()).take(LOOKS) {
            let Some(sleep) = sibling.remote.sleep.current() else { continue };
            if !spares.is_eager() && !sibling.should_be_awake(now_ns) {
                continue;
            }
            let since_ns = match before.0 {
                Some((index, number, since_ns)) if (index, number) == (sibling.index, sleep) => since_ns,
                _ => now_ns,
            };
            let left = GETTING_UP.saturating_sub(Duration::from_nanos(now_ns - since_ns));
            let left = if spares.lets_rest() && !has_ward { Duration::ZERO } else { left };
            if (left.is_zero() || spares.is_eager()) && spares.exchange(self, sibling) {
                return Look::Exchanged(sibling);
            }
            if !left.is_zero() {
                self.hub_state.suspicion.set(Suspicion(Some((sibling.index, sleep, since_ns))));
                return Look::Again(left);
            }
        }
        Look::Well
    }

    /// Whether the worker that this one's thread looks after waits for it: then the thread takes no more on before it has run what is ready.
    pub(in crate::scheduler) fn yields_to_ward(&self, now_ns: u64) -> bool {
        let ward = self.try_carrier().and_then(|carrier| carrier.ward().get());
        ward.is_some_and(|ward| ward.should_be_awake(now_ns))
    }

    /// Whether there is something to do for this worker, which sleeps.
    pub(super) fn should_be_awake(&self, now_ns: u64) -> bool {
        self.remote.sleep.is_over(now_ns)
            || self.shared().poller_of(self.index).is_some_and(|poller| poller.has_events())
    }

    /// Begins with the worker on the calling thread: it has just been made, or its former thread is stuck, or it was taken in its
    /// sleep.
    pub(in crate::scheduler) fn come_to_thread(&self) {
        if self.try_carrier().is_none() {
            return;
        }
        if !self.remote.sleep.end() {
            // Timers and events, before what is next in line: they have waited.
            return self.check_everything();
        }
        if let Some(poller) = self.shared().poller_of(self.index) {
            // Notifications are taken as well, also if no descriptor is registered.
            self.poll(poller, Some(Duration::ZERO));
        }
        self.end_sleep();
        let search = self.after_sleep();
        self.end_search(search);
    }
}
