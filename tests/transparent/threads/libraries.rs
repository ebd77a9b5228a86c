//! Crates that wait in ways of their own: parking_lot's futexes, crossbeam's channels, rayon's pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;

use super::{as_on_threads, spawn, until};

#[test]
fn parking_lots_locks_park_the_fiber() {
    let _same = as_on_threads(|| {
        let state =
            Arc::new((parking_lot::Mutex::new(0), parking_lot::Condvar::new(), parking_lot::RwLock::new(0)));
        let threads: Vec<_> = (0..10)
            .map(|n| {
                let state = state.clone();
                spawn(move || {
                    for _ in 0..5 {
                        let mut count = state.0.lock();
                        let before = *count;
                        thread::sleep(Duration::from_micros(100));
                        *count = before + 1;
                    }
                    if n % 2 == 0 {
                        *state.2.write() += 1;
                    } else {
                        let value = state.2.read();
                        thread::sleep(Duration::from_micros(100));
                        drop(value);
                    }
                    let mut count = state.0.lock();
                    while *count < 50 {
                        state.1.wait(&mut count);
                    }
                    drop(count);
                    state.1.notify_all();
                })
            })
            .collect();
        until(|| *state.0.lock() == 50);
        state.1.notify_all();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut count = state.0.lock();
        let timed_out = state.1.wait_for(&mut count, Duration::from_millis(2)).timed_out();
        (*count, *state.2.read(), timed_out, state.0.try_lock_for(Duration::from_millis(2)).is_none())
    });
}

#[test]
fn crossbeams_channels_park_the_fiber() {
    let _same = as_on_threads(|| {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let producers: Vec<_> = (0..4)
            .map(|n| {
                let sender = sender.clone();
                spawn(move || (0..100).for_each(|m| sender.send(n * 100 + m).unwrap()))
            })
            .collect();
        drop(sender);
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                spawn(move || receiver.iter().sum::<u32>())
            })
            .collect();
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        let sum = consumers.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>();
        (sum, receiver.recv_timeout(Duration::from_millis(1)))
    });
}

#[test]
fn rayons_pool_works_as_fibers_and_as_threads() {
    let _same = as_on_threads(|| {
        let build = || rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let pool =
            if abaca::hook::on_fiber() { build() } else { abaca_transparent::as_kernel_threads(build) };
        let calls = AtomicU32::new(0);
        let sum = pool.install(|| {
            (0..10_000_u64)
                .into_par_iter()
                .map(|n| {
                    if n % 1000 == 0 {
                        calls.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_micros(200));
                    }
                    n
                })
                .sum::<u64>()
        });
        let (left, right) = pool.join(|| 1, || 2);
        (sum, calls.into_inner(), left + right)
    });
}

#[test]
fn fibers_use_a_pool_of_threads_of_the_kernel() {
    abaca_transparent::threads_are_fibers().unwrap();
    let pool = abaca_transparent::as_kernel_threads(|| {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
    });
    let sums: Vec<u64> = crate::support::on_one_worker(move || {
        thread::scope(|scope| {
            let fibers: Vec<_> = (0..10)
                .map(|_| scope.spawn(|| pool.install(|| (0..1000_u64).into_par_iter().sum::<u64>())))
                .collect();
            fibers.into_iter().map(|fiber| fiber.join().unwrap()).collect()
        })
    });
    assert_eq!(sums, [499_500; 10]);
}
