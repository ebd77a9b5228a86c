//! Threads that rest, while another one runs their workers in turn with its own.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::net::UnixStream;

use crate::hogs::hog_until;
use crate::own;

const ROUNDS: usize = if cfg!(debug_assertions) { 200 } else { 2_000 };

/// A runtime, half of whose threads may rest.
fn restful(workers: usize) -> Runtime {
    own().workers(workers).resting_threads(workers / 2).build().expect("this machine can have it")
}

/// Clients on threads, whose connections all workers serve, each in a fiber; until a thread has rested, and then once more.
fn rests_while_serving(runtime: &Runtime) {
    let mut times = 0;
    while times < 2 {
        serve(runtime);
        times += usize::from(times > 0 || runtime.resting_threads() > 0);
    }
}

/// Each client is answered in order.
fn serve(runtime: &Runtime) {
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            let mut far = UnixStream::from(far);
            let fiber = runtime.spawn(move || {
                let mut byte = [0];
                while far.read(&mut byte).unwrap() == 1 {
                    far.write_all(&byte).unwrap();
                }
            });
            let client = std::thread::spawn(move || {
                for round in 0..ROUNDS {
                    let (sent, mut got) = ([(round + number) as u8], [0]);
                    near.write_all(&sent).unwrap();
                    near.read_exact(&mut got).unwrap();
                    assert_eq!(got, sent);
                }
            });
            (fiber, client)
        })
        .collect();
    for (fiber, client) in clients {
        client.join().unwrap();
        fiber.join().unwrap();
    }
}

#[test]
fn workers_that_share_a_thread_answer_all() {
    for workers in [2, 4] {
        rests_while_serving(&restful(workers));
    }
}

#[test]
fn a_thread_that_rests_wakes_when_another_is_stuck() {
    let runtime = restful(2);
    rests_while_serving(&runtime);
    // Each computes until all have begun, so there must be threads for all.
    let begun = Arc::new(AtomicUsize::new(0));
    let fibers: Vec<_> = (0..3)
        .map(|_| {
            let begun = Arc::clone(&begun);
            runtime.spawn(move || {
                begun.fetch_add(1, SeqCst);
                hog_until(&begun, 3);
            })
        })
        .collect();
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    rests_while_serving(&runtime);
}

#[test]
fn a_timer_of_a_worker_whose_thread_rests_is_not_forgotten() {
    let runtime = restful(2);
    for _ in 0..3 {
        let sleepers: Vec<_> = (0..20)
            .map(|number| runtime.spawn(move || abaca::sleep(Duration::from_millis(number % 7))))
            .collect();
        rests_while_serving(&runtime);
        sleepers.into_iter().for_each(|fiber| fiber.join().unwrap());
    }
}

#[test]
fn a_runtime_ends_while_a_thread_rests() {
    for _ in 0..5 {
        let runtime = restful(2);
        let parked: Vec<_> = (0..4).map(|_| runtime.spawn(abaca::park)).collect();
        rests_while_serving(&runtime);
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        parked.into_iter().for_each(|fiber| assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>()));
    }
}
