//! Fibers that keep their thread, by computing or by a call that blocks, while others wait for their worker. None of these tests
//! would end if the worker stayed with the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Cancelled;
use abaca::channel::unbounded;
use abaca::runtime::Poller;

use crate::{own, runtime};

/// Computes until `count` is at least `enough`.
pub(crate) fn hog_until(count: &AtomicUsize, enough: usize) {
    while count.load(SeqCst) < enough {
        std::hint::spin_loop();
    }
}

/// Counts up, with a sleep before each step, until `enough`.
pub(crate) fn tick(count: &AtomicUsize, enough: usize) {
    while count.load(SeqCst) < enough {
        abaca::sleep(Duration::from_micros(100));
        count.fetch_add(1, SeqCst);
    }
}

/// Blocks its thread, without the runtime's knowledge, until `count` is at least `enough`.
pub(crate) fn block_until(count: &AtomicUsize, enough: usize) {
    while count.load(SeqCst) < enough {
        #[expect(unsafe_code, reason = "a C function that blocks")]
        // SAFETY: there are no descriptors.
        unsafe {
            libc::poll(std::ptr::null_mut(), 0, 1);
        }
    }
}

#[test]
fn a_fiber_that_computes_keeps_nobody_waiting() {
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let ticker = abaca::spawn(move || tick(&theirs, 20));
        hog_until(&count, 20);
        ticker.join().unwrap();
    });
}

#[test]
fn many_fibers_that_block_their_threads_keep_nobody_waiting() {
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let blocked: Vec<_> = (0..10)
            .map(|_| {
                let count = Arc::clone(&count);
                abaca::spawn(move || block_until(&count, 20))
            })
            .collect();
        let ticker = abaca::spawn(move || tick(&count, 20));
        blocked.into_iter().for_each(|fiber| fiber.join().unwrap());
        ticker.join().unwrap();
    });
}

#[test]
fn several_that_compute_at_once_wait_for_each_other_as_threads_may() {
    runtime(2).run(|| {
        // Each computes until all have begun.
        let begun = Arc::new(AtomicUsize::new(0));
        let fibers: Vec<_> = (0..5)
            .map(|_| {
                let begun = Arc::clone(&begun);
                abaca::spawn(move || {
                    begun.fetch_add(1, SeqCst);
                    hog_until(&begun, 5);
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn a_lock_of_std_that_is_held_over_a_park_blocks_those_who_want_it_and_nobody_else() {
    runtime(1).run(|| {
        let lock = Arc::new(std::sync::Mutex::new(0));
        let fibers: Vec<_> = (0..20)
            .map(|_| {
                let lock = Arc::clone(&lock);
                abaca::spawn(move || {
                    let mut value = lock.lock().unwrap();
                    abaca::yield_now();
                    *value += 1;
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 20);
    });
}

#[test]
fn channels_of_std_and_its_thread_park_are_the_fibers() {
    runtime(1).run(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let receiving = abaca::spawn(move || receiver.iter().sum::<u32>());
        let sending = abaca::spawn(move || (0..10).for_each(|number| sender.send(number).unwrap()));
        sending.join().unwrap();
        assert_eq!(receiving.join().unwrap(), 45);

        let thread = abaca::spawn(std::thread::current).join().unwrap();
        assert_ne!(thread.id(), std::thread::current().id());
        let (give, take) = std::sync::mpsc::channel();
        let parked = abaca::spawn(move || {
            give.send(std::thread::current()).unwrap();
            std::thread::park();
        });
        abaca::spawn(move || take.recv().unwrap().unpark()).join().unwrap();
        parked.join().unwrap();
    });
}

/// What a fiber may do while its worker is elsewhere.
#[test]
fn an_absent_fiber_spawns_wakes_cancels_panics_and_ends() {
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let absent = || {
            let count = Arc::clone(&count);
            let enough = count.load(SeqCst) + 10;
            // The ticker of each goes on only if the worker has left.
            let theirs = Arc::clone(&count);
            let ticker = abaca::spawn(move || tick(&theirs, enough));
            hog_until(&count, enough);
            ticker
        };
        // Spawns.
        let ticker = absent();
        let spawned = abaca::spawn(|| 5);
        assert_eq!(spawned.join().unwrap(), 5);
        ticker.join().unwrap();
        // Wakes.
        let (sender, receiver) = unbounded();
        let waiting = abaca::spawn(move || receiver.recv().unwrap());
        let ticker = absent();
        sender.send(7).unwrap();
        assert_eq!(waiting.join().unwrap(), 7);
        ticker.join().unwrap();
        // Cancels.
        let parked = abaca::spawn(abaca::park);
        let ticker = absent();
        parked.cancel();
        assert!(parked.join().unwrap_err().is::<Cancelled>());
        ticker.join().unwrap();
        // Panics, and is joined by one that was waiting.
        let theirs = Arc::clone(&count);
        let fiber = abaca::spawn(move || {
            let enough = theirs.load(SeqCst) + 10;
            let ticks = Arc::clone(&theirs);
            abaca::spawn(move || tick(&ticks, enough));
            hog_until(&theirs, enough);
            std::panic::resume_unwind(Box::new("absent"));
        });
        assert_eq!(fiber.join().unwrap_err().downcast_ref::<&str>(), Some(&"absent"));
        // Catches a panic, and ends.
        let ticker = absent();
        assert!(catch_unwind(AssertUnwindSafe(|| std::panic::resume_unwind(Box::new(())))).is_err());
        ticker.join().unwrap();
        drop(absent());
    });
}

#[test]
fn an_absent_fiber_that_is_cancelled_unwinds_from_its_next_wait() {
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let hog = abaca::spawn(move || {
            hog_until(&theirs, 1);
            abaca::park();
        });
        // It has begun, and the worker has left it, or this would not go on.
        abaca::yield_now();
        hog.cancel();
        count.fetch_add(1, SeqCst);
        assert!(hog.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_deadline_around_an_absent_fiber_ends_its_next_wait() {
    runtime(1).run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let ticker = abaca::spawn(move || tick(&theirs, 10));
        let result = abaca::time::timeout(Duration::from_millis(1), || {
            hog_until(&count, 10);
            abaca::park();
        });
        assert!(result.is_err());
        ticker.join().unwrap();
    });
}

#[test]
fn a_runtime_whose_fiber_is_absent_shuts_down() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let hog = runtime.spawn(move || {
            hog_until(&theirs, 10);
            abaca::park();
        });
        let theirs = Arc::clone(&count);
        // It ends by the shutdown.
        let parked = runtime.spawn(abaca::park);
        runtime.spawn(move || tick(&theirs, 10)).join().unwrap();
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        assert!(hog.join().unwrap_err().is::<Cancelled>());
        assert!(parked.join().unwrap_err().is::<Cancelled>());
    }
}

#[test]
fn with_a_poller_thread_and_a_limit_of_fibers_it_is_the_same() {
    let runtime = own().workers(1).poller(Poller::Thread).max_fibers(3).build().unwrap();
    runtime.run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let ticker = abaca::spawn(move || tick(&theirs, 20));
        hog_until(&count, 20);
        let third = abaca::Builder::new().spawn(|| 3).unwrap();
        assert_eq!(third.join().unwrap(), 3);
        ticker.join().unwrap();
    });
}

#[test]
fn spares_are_as_many_as_are_needed_and_no_more_than_are_allowed() {
    let runtime = own().workers(1).max_spare_threads(2).build().unwrap();
    runtime.run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        // Two of them leave the worker two spares to go on with.
        let blocked: Vec<_> = (0..2)
            .map(|_| {
                let count = Arc::clone(&count);
                abaca::spawn(move || block_until(&count, 20))
            })
            .collect();
        let theirs = Arc::clone(&count);
        abaca::spawn(move || tick(&theirs, 20)).join().unwrap();
        blocked.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    assert!(runtime.spare_threads() <= 2);
}

#[test]
fn a_spare_without_a_worker_retires() {
    let runtime = own().workers(1).spare_keep_alive(Duration::from_millis(1)).build().unwrap();
    for _ in 0..3 {
        let count = Arc::new(AtomicUsize::new(0));
        runtime.run(|| {
            let theirs = Arc::clone(&count);
            let ticker = abaca::spawn(move || tick(&theirs, 20));
            hog_until(&count, 20);
            ticker.join().unwrap();
        });
        // Nothing else ends the threads.
        while runtime.spare_threads() > 0 {
            std::thread::yield_now();
        }
    }
}

/// One thread, that of the idle worker, runs both workers then.
#[test]
fn an_idle_workers_thread_runs_the_worker_that_a_fiber_keeps_and_its_own() {
    use std::io::{Read, Write};

    let runtime = own().workers(2).max_spare_threads(0).build().unwrap();
    let [begun, count] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let theirs = [Arc::clone(&begun), Arc::clone(&count)];
    let echoes: Vec<_> = (0..4)
        .map(|_| {
            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            let far = abaca::net::UnixStream::from(far);
            let echo = runtime.spawn(move || {
                let mut byte = [0];
                while (&far).read(&mut byte).unwrap() == 1 {
                    (&far).write_all(&byte).unwrap();
                }
            });
            (near, echo)
        })
        .collect();
    let ask = |rounds: usize| {
        for _ in 0..rounds {
            for (near, _) in &echoes {
                let mut near = near;
                near.write_all(&[5]).unwrap();
                near.read_exact(&mut [0]).unwrap();
            }
        }
    };
    ask(1);
    let hog = runtime.spawn(move || {
        let ticks = Arc::clone(&theirs[1]);
        let ticker = abaca::spawn(move || tick(&ticks, 50));
        // It starts here, and so stays.
        abaca::yield_now();
        theirs[0].store(1, SeqCst);
        hog_until(&theirs[1], 50);
        ticker.join().unwrap();
    });
    hog_until(&begun, 1);
    ask(50);
    hog.join().unwrap();
    ask(10);
    for (near, echo) in echoes {
        drop(near);
        echo.join().unwrap();
    }
    assert_eq!(runtime.spare_threads(), 0);
}

#[test]
fn the_process_may_end_in_an_absent_fiber() {
    if std::env::var_os("ABSENT_EXIT").is_some() {
        runtime(1).run(|| {
            let count = Arc::new(AtomicUsize::new(0));
            let theirs = Arc::clone(&count);
            let _ticker = abaca::spawn(move || tick(&theirs, 10));
            hog_until(&count, 10);
            std::process::exit(7);
        });
    }
    let this = std::env::current_exe().unwrap();
    let name = "hogs::the_process_may_end_in_an_absent_fiber";
    let status = Command::new(this).args([name, "--exact"]).env("ABSENT_EXIT", "1").output().unwrap().status;
    assert_eq!(status.code(), Some(7));
}
