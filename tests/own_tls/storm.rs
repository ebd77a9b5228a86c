//! A storm of fibers that compute, beside others that wait for sockets and timers.

use std::io::{Read, Write};
use std::time::Duration;

use crate::own;

/// Workers change their threads at any time, in each of the ways: to idle ones, to spares, and back.
#[test]
fn computations_come_and_go_beside_sockets_and_timers() {
    for (workers, spares) in [(2, 0), (2, 1), (3, 1), (4, 8)] {
        let runtime = own().workers(workers).max_spare_threads(spares).build().unwrap();
        runtime.run(|| {
            let echoes: Vec<_> = (0..6)
                .map(|_| {
                    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
                    let [near, far] = [near, far].map(abaca::net::UnixStream::from);
                    let echo = abaca::spawn(move || {
                        let mut byte = [0];
                        while (&far).read(&mut byte).unwrap() == 1 {
                            (&far).write_all(&byte).unwrap();
                        }
                    });
                    let asking = abaca::spawn(move || {
                        for round in 0..100 {
                            (&near).write_all(&[round]).unwrap();
                            let mut byte = [0];
                            (&near).read_exact(&mut byte).unwrap();
                            assert_eq!(byte, [round]);
                            if round % 10 == 0 {
                                abaca::sleep(Duration::from_micros(300));
                            }
                        }
                    });
                    [echo, asking]
                })
                .collect();
            let hogs: Vec<_> = (0..12_u32)
                .map(|number| {
                    abaca::spawn(move || {
                        abaca::sleep(Duration::from_millis(number.into()));
                        // Longer than the monitor waits.
                        let began = std::time::Instant::now();
                        while began.elapsed() < Duration::from_millis(3) {
                            std::hint::spin_loop();
                        }
                    })
                })
                .collect();
            echoes.into_iter().flatten().chain(hogs).for_each(|fiber| fiber.join().unwrap());
        });
        assert!(runtime.spare_threads() <= spares);
    }
}
