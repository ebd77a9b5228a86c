//! The body of the threads that run workers, one after the other, and give back the fibers that their workers have left.

#![expect(unsafe_code, reason = "follows the addresses of fibers, of their homes, and of workers")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cell::Header;
use crate::scheduler::here;
use crate::scheduler::hub::Departure;
use crate::scheduler::shared::Shared;
use crate::scheduler::worker::{Stealable, Worker};

/// The body of a thread that runs workers, beginning with `worker` if it has one.
pub(in crate::scheduler) fn run_thread(shared: &Shared, worker: Option<&Worker>) {
    let spares = shared.spares.get().expect("the runtime has own storage");
    let carrier = spares.enroll(shared);
    here::set_carrier(&carrier);
    match worker {
        Some(worker) => worker.set_carrier(&carrier),
        None => spares.crowd.has_come(),
    }
    let mut next = worker;
    while let Some(worker) = next.take().or_else(|| spares.await_worker(&carrier)) {
        // One that has exchanged workers in its sleep has it still.
        spares.make_slice_usual(&carrier);
        match worker.run() {
            Departure::WithoutFiber(absent) => {
                if carrier.computes() {
                    spares.crowd.has_computed();
                }
                carrier.renew();
                give_back(absent, &spares.absent);
            }
            Departure::InItsSleep => carrier.renew(),
            // SAFETY: workers live as long as the runtime, and with it its threads.
            Departure::For(other) => next = Some(unsafe { other.as_ref() }),
            // The carrier stays, as others may be looking at it.
            Departure::End => {
                spares.unpark_ward_of(&carrier);
                return shared.end_worker(worker);
            }
        }
    }
    spares.dismiss(&carrier);
}

/// Gives a fiber that went on while its home had left it back to that home, and takes it from the count of those.
fn give_back(absent: NonNull<Header>, count: &AtomicUsize) {
    // SAFETY: the fiber is suspended, and nobody else continues it.
    let header = unsafe { absent.as_ref() };
    // SAFETY: a home outlives its fibers.
    let home = unsafe { &*header.home.load(Ordering::Relaxed).cast::<Worker>() };
    let shared = home.shared();
    home.remote.returned.push(Stealable(absent));
    shared.unpark(home);
    // Release: pairs with the Acquire in `has_absent`. Last, so that a runtime that has none, and sleeps, is quiet.
    count.fetch_sub(1, Ordering::Release);
}
