//! A started fiber stays on its worker for life.

use std::thread;
use std::time::Duration;

#[test]
fn a_fiber_never_changes_threads() {
    for workers in [1, 2, 8] {
        let runtime = abaca::Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let (sender, receiver) = abaca::channel::bounded::<usize>(1);
            let mutex = std::sync::Arc::new(abaca::sync::Mutex::new(0));
            let handles: Vec<_> = (0..64)
                .map(|n: usize| {
                    let (sender, receiver, mutex) = (sender.clone(), receiver.clone(), mutex.clone());
                    abaca::spawn(move || {
                        let home = thread::current().id();
                        for round in 0..50 {
                            match (n + round) % 5 {
                                0 => abaca::yield_now(),
                                1 => abaca::sleep(Duration::from_micros(50)),
                                2 => abaca::park_timeout(Duration::from_micros(20)),
                                3 => drop(sender.send_timeout(n, Duration::from_micros(100))),
                                _ => drop(receiver.recv_timeout(Duration::from_micros(100))),
                            }
                            *mutex.lock().unwrap() += 1;
                            assert_eq!(thread::current().id(), home);
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.join().unwrap();
            }
            assert_eq!(*mutex.lock().unwrap(), 64 * 50);
        });
    }
}

#[abaca::test(workers = 2)]
fn thread_locals_and_rc_survive_parking() {
    thread_local!(static COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
    let handles: Vec<_> = (0..100)
        .map(|_| {
            abaca::spawn(|| {
                let before = COUNT.with(|count| std::ptr::from_ref(count) as usize);
                let shared = std::rc::Rc::new(1);
                abaca::sleep(Duration::from_micros(100));
                assert_eq!(COUNT.with(|count| std::ptr::from_ref(count) as usize), before);
                *shared
            })
        })
        .collect();
    assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).sum::<i32>(), 100);
}
