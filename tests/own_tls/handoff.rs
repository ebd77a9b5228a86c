//! Workers that leave their threads as often as they can: at whatever point a fiber is.

#![expect(unsafe_code, reason = "forks")]

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::channel::{bounded, unbounded};
use abaca::sync::{Barrier, Mutex, Semaphore};

use crate::own;

const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 2_000 };

fn eager(workers: usize) -> Runtime {
    own().eager_handoff().workers(workers).build().expect("this machine can have it")
}

/// Computes for a little while, outside of the runtime.
fn compute(turns: usize) {
    for _ in 0..turns * 200 {
        std::hint::spin_loop();
    }
}

#[test]
fn messages_arrive_once_and_in_order() {
    for workers in [1, 2, 4] {
        eager(workers).run(|| {
            let pairs: Vec<_> = (0..4)
                .map(|capacity| {
                    let (sender, receiver) = bounded(capacity);
                    let sending = abaca::spawn(move || {
                        for number in 0..ROUNDS {
                            compute(number % 3);
                            sender.send(number).unwrap();
                        }
                    });
                    let receiving = abaca::spawn(move || {
                        for number in 0..ROUNDS {
                            compute(number % 5);
                            assert_eq!(receiver.recv().unwrap(), number);
                        }
                        assert!(receiver.recv().is_err());
                    });
                    [sending, receiving]
                })
                .collect();
            pairs.into_iter().flatten().for_each(|fiber| fiber.join().unwrap());
        });
    }
}

#[test]
fn locks_exclude_and_permits_are_counted() {
    eager(2).run(|| {
        let lock = Arc::new(Mutex::new(0));
        let permits = Arc::new(Semaphore::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(Barrier::new(6));
        let fibers: Vec<_> = (0..6)
            .map(|number| {
                let (lock, permits) = (Arc::clone(&lock), Arc::clone(&permits));
                let (inside, barrier) = (Arc::clone(&inside), Arc::clone(&barrier));
                abaca::spawn(move || {
                    for round in 0..ROUNDS / 6 {
                        let mut value = lock.lock().unwrap();
                        let before = *value;
                        compute(number);
                        if round % 7 == number {
                            abaca::yield_now();
                        }
                        *value = before + 1;
                        drop(value);
                        let permit = permits.acquire().unwrap();
                        assert!(inside.fetch_add(1, SeqCst) < 2);
                        compute(1);
                        inside.fetch_sub(1, SeqCst);
                        drop(permit);
                        if round % 50 == 0 {
                            barrier.wait();
                        }
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 6 * (ROUNDS / 6));
    });
}

#[test]
fn spawns_joins_timeouts_and_cancellations_lose_nothing() {
    for workers in [1, 3] {
        eager(workers).run(|| {
            let ended = Arc::new(AtomicUsize::new(0));
            for round in 0..ROUNDS / 10 {
                let fibers: Vec<_> = (0..8)
                    .map(|number| {
                        let ended = Arc::clone(&ended);
                        abaca::spawn(move || {
                            struct Ends(Arc<AtomicUsize>);
                            impl Drop for Ends {
                                fn drop(&mut self) {
                                    self.0.fetch_add(1, SeqCst);
                                }
                            }
                            let _ends = Ends(ended);
                            compute(number);
                            match number % 4 {
                                0 => abaca::yield_now(),
                                1 => abaca::sleep(Duration::from_micros(20)),
                                2 => _ = abaca::time::timeout(Duration::from_micros(30), abaca::park),
                                _ => abaca::park(),
                            }
                        })
                    })
                    .collect();
                compute(round % 4);

                for (number, fiber) in fibers.into_iter().enumerate() {
                    if number % 4 == 3 {
                        fiber.cancel();
                        let result = fiber.join();
                        assert!(result.is_ok() || result.unwrap_err().is::<abaca::Cancelled>());
                    } else {
                        fiber.join().unwrap();
                    }
                }
                // Some were cancelled before they ran.
                assert!(ended.load(SeqCst) >= 6 * (round + 1));
            }
        });
    }
}

#[test]
fn sockets_and_blocking_calls_go_on() {
    eager(2).run(|| {
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = abaca::spawn(move || {
            for _ in 0..4 {
                let (stream, _) = listener.accept().unwrap();
                abaca::spawn(move || {
                    use std::io::{Read, Write};
                    let mut buffer = [0; 16];
                    loop {
                        match (&stream).read(&mut buffer).unwrap() {
                            0 => return,
                            read => {
                                compute(2);
                                (&stream).write_all(&buffer[..read]).unwrap();
                            }
                        }
                    }
                });
            }
        });
        let clients: Vec<_> = (0..4_u8)
            .map(|number| {
                abaca::spawn(move || {
                    use std::io::{Read, Write};
                    let stream = abaca::net::TcpStream::connect(address).unwrap();
                    for _ in 0..ROUNDS / 10 {
                        (&stream).write_all(&[number; 16]).unwrap();
                        let mut answer = [0; 16];
                        (&stream).read_exact(&mut answer).unwrap();
                        assert_eq!(answer, [number; 16]);
                        compute(1);
                    }
                    abaca::blocking::run(move || number)
                })
            })
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            assert_eq!(usize::from(client.join().unwrap()), number);
        }
        server.join().unwrap();
    });
}

/// Pairs of fibers that answer each other on sockets, while timers are due.
fn play_on_sockets() {
    let pairs: Vec<_> = (0..6)
        .map(|_| {
            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            let [near, far] = [near, far].map(abaca::net::UnixStream::from);
            let echo = |stream: abaca::net::UnixStream, begins: bool| {
                use std::io::{Read, Write};
                let mut byte = [0];
                for round in 0..ROUNDS / 4 {
                    if begins || round > 0 {
                        (&stream).write_all(&[round as u8]).unwrap();
                    }
                    // A timer is due beside the event.
                    let reading =
                        abaca::time::timeout(Duration::from_secs(60), || (&stream).read_exact(&mut byte));
                    reading.expect("no event is lost").unwrap();
                }
                if !begins {
                    (&stream).write_all(&[0]).unwrap();
                }
            };
            [abaca::spawn(move || echo(near, true)), abaca::spawn(move || echo(far, false))]
        })
        .collect();
    pairs.into_iter().flatten().for_each(|fiber| fiber.join().unwrap());
}

#[test]
fn workers_that_sleep_are_exchanged_and_lose_nothing() {
    let runtime = eager(3);
    // Who is asleep, and who computes, when one looks, is the kernel's choice.
    while runtime.worker_exchanges() == 0 || runtime.hand_offs() == 0 {
        runtime.run(play_on_sockets);
    }
}

#[test]
fn fibers_that_roam_are_handed_off_as_well() {
    eager(2).run(|| {
        let (sender, receiver) = unbounded();
        let fibers: Vec<_> = (0..20)
            .map(|number| {
                let sender = sender.clone();
                let body = move || {
                    for round in 0..ROUNDS / 20 {
                        compute(round % 4);
                        abaca::yield_now();
                        if round % 10 == 0 {
                            abaca::sleep(Duration::from_micros(10));
                        }
                        sender.send(number).unwrap();
                    }
                };
                abaca::Builder::new().spawn_roaming(body).unwrap()
            })
            .collect();
        drop(sender);
        assert_eq!(receiver.iter().count(), 20 * (ROUNDS / 20));
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn a_runtime_ends_while_its_workers_move() {
    for round in 0..20 {
        let runtime = eager(1 + round % 3);
        let parked: Vec<_> = (0..5).map(|_| runtime.spawn(abaca::park)).collect();
        runtime.run(|| compute(10));
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        parked.into_iter().for_each(|fiber| assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>()));
    }
}

/// The kernel's number of the calling fiber's thread, which its worker leaves before this returns.
fn leave_thread() -> i64 {
    // SAFETY: it takes nothing.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    let has_run = Arc::new(AtomicBool::new(false));
    let other = abaca::spawn({
        let has_run = Arc::clone(&has_run);
        move || has_run.store(true, SeqCst)
    });
    while !has_run.load(SeqCst) {
        compute(1);
    }
    other.join().unwrap();
    thread
}

fn is_there(thread: i64) -> bool {
    Path::new(&format!("/proc/self/task/{thread}")).exists()
}

#[test]
fn a_thread_that_has_forked_stays_and_with_it_its_child() {
    let runtime = own()
        .workers(1)
        .spare_keep_alive(Duration::from_millis(50))
        .build()
        .expect("this machine can have it");
    runtime.run(|| {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: the child calls what a child of fork(2) may, and ends by a signal.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let _ = writer.write_all(b"!");
            loop {
                // SAFETY: as above.
                unsafe { libc::pause() };
            }
        }
        reader.read_exact(&mut [0]).unwrap();
        let parent = leave_thread();
        // It has no worker, and its time as a spare is over many times.
        for _ in 0..100 {
            abaca::sleep(Duration::from_millis(5));
            assert!(is_there(parent));
        }
        // SAFETY: a child of this process's.
        let (ended, killed) = unsafe {
            (libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG), libc::kill(child, libc::SIGKILL))
        };
        assert_eq!((ended, killed), (0, 0));
        // SAFETY: as above.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    });
}
