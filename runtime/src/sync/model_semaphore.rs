//! Every interleaving of a few acquisitions: permits are neither lost nor made, and nobody sleeps forever.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::Semaphore;

fn check(permits: usize, bodies: &'static [fn(&Semaphore)]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let semaphore = Arc::new(Semaphore::new(permits));
        let others: Vec<_> = bodies[1..]
            .iter()
            .map(|body| {
                let semaphore = Arc::clone(&semaphore);
                thread::spawn(move || body(&semaphore))
            })
            .collect();
        bodies[0](&semaphore);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(semaphore.available_permits(), permits);
    });
}

#[test]
fn one_permit_goes_round() {
    check(1, &[|s| drop(s.acquire()), |s| drop(s.acquire()), |s| drop(s.acquire())]);
}

#[test]
fn a_large_request_gets_what_small_ones_give_back() {
    check(2, &[|s| drop(s.acquire_many(2)), |s| drop(s.acquire()), |s| drop(s.acquire())]);
}

#[test]
fn an_acquisition_that_times_out_lets_those_behind_it_through() {
    check(
        2,
        &[
            |s| drop(s.acquire_many_timeout(2, Duration::ZERO)),
            |s| drop(s.acquire()),
            |s| {
                drop(s.acquire());
            },
        ],
    );
}

#[test]
fn a_close_ends_all_waits() {
    check(1, &[|s| drop(s.acquire()), |s| drop(s.acquire()), |s| s.close()]);
}
