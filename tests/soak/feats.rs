//! The kinds of work that need no network: a piece of each, which checks what came out.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::process::{Command, Stdio};
use abaca::sync::{Condvar, Mutex, RwLock, Semaphore};
use abaca::time::timeout;
use abaca::{Cancelled, JoinSet, Runtime, channel};
use abaca_tests::Choices;

/// Everything that is sent is received once, by whoever, however impatient the receivers are.
pub(crate) fn channels(choices: &mut Choices) {
    const EACH: u64 = 200;
    let room = choices.below(5) as usize;
    let (sender, receiver) =
        if choices.once_in(4) { channel::unbounded() } else { channel::bounded::<u64>(room) };
    let sum = Arc::new(AtomicU64::new(0));
    let (producers, consumers) = (1 + choices.below(4), 1 + choices.below(4));
    let patience = choices.patience();
    let mut fibers = JoinSet::new();
    for _ in 0..consumers {
        let (receiver, sum) = (receiver.clone(), Arc::clone(&sum));
        fibers.spawn(move || {
            loop {
                match receiver.recv_timeout(patience) {
                    Ok(number) => drop(sum.fetch_add(number, SeqCst)),
                    Err(channel::RecvTimeoutError::Timeout) => abaca::yield_now(),
                    Err(channel::RecvTimeoutError::Disconnected) => return,
                }
            }
        });
    }
    for _ in 0..producers {
        let sender = sender.clone();
        fibers.spawn(move || (1..=EACH).for_each(|number| sender.send(number).unwrap()));
    }
    drop((sender, receiver));
    fibers.join_all();
    assert_eq!(sum.load(SeqCst), producers * EACH * (EACH + 1) / 2);
}

/// Counters behind locks count what was done, and what was given up was not done.
pub(crate) fn locks(choices: &mut Choices) {
    let state = Arc::new((Mutex::new(0_u64), Condvar::new(), RwLock::new(0_u64), Semaphore::new(2)));
    let patience = choices.patience();
    let mut fibers = JoinSet::new();
    for number in 0..8_u64 {
        let state = Arc::clone(&state);
        fibers.spawn(move || {
            let (mutex, changed, shared, permits) = &*state;
            for _ in 0..20 {
                let _ = timeout(patience, || {
                    let _permit = permits.acquire();
                    abaca::yield_now();
                });
                *mutex.lock().unwrap() += 1;
                changed.notify_all();
                if number % 2 == 0 {
                    *shared.write().unwrap() += 1;
                } else {
                    let before = shared.read().unwrap();
                    abaca::yield_now();
                    assert!(*before <= 80);
                }
            }
        });
    }
    let (mutex, changed, shared, permits) = &*state;
    let mut count = mutex.lock().unwrap();
    while *count < 160 {
        count = changed.wait(count).unwrap();
    }
    drop(count);
    fibers.join_all();
    assert_eq!((*shared.read().unwrap(), permits.available_permits()), (80, 2));
}

/// Sleeps are not shorter than asked for, and ticks come.
pub(crate) fn timers(choices: &mut Choices) {
    let mut fibers = JoinSet::new();
    for _ in 0..20 {
        let time = Duration::from_micros(choices.below(3_000));
        fibers.spawn(move || {
            let begun = std::time::Instant::now();
            abaca::sleep(time);
            assert!(begun.elapsed() >= time);
            assert!(timeout(time / 4, || abaca::sleep(Duration::MAX)).is_err());
        });
    }
    let mut ticks = abaca::time::interval(Duration::from_micros(300));
    (0..5).for_each(|_| _ = ticks.tick());
    fibers.join_all();
}

/// Who is cancelled ends, and drops what it has.
pub(crate) fn cancellations(choices: &mut Choices) {
    struct Counted(Arc<AtomicU64>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    const FIBERS: u64 = 30;
    let drops = Arc::new(AtomicU64::new(0));
    let (_sender, receiver) = channel::bounded::<()>(0);
    let token = CancellationToken::new();
    let fibers: Vec<_> = (0..FIBERS)
        .map(|number| {
            let counted = Counted(Arc::clone(&drops));
            let (receiver, token, way) = (receiver.clone(), token.clone(), choices.below(4));
            abaca::spawn(move || {
                let _counted = counted;
                match way {
                    0 => _ = receiver.recv(),
                    1 => abaca::sleep(Duration::MAX),
                    2 => assert_eq!(token.run_until_cancelled(|| abaca::sleep(Duration::MAX)), None),
                    _ => abaca::scope(|scope| {
                        scope.spawn(abaca::park);
                        scope.spawn(|| _ = receiver.recv());
                    }),
                }
                assert!(way == 2, "fiber {number} waits for ever");
            })
        })
        .collect();
    (0..choices.below(4)).for_each(|_| abaca::yield_now());
    token.cancel();
    fibers.iter().for_each(|fiber| fiber.cancel());
    for fiber in fibers {
        let ended = fiber.join();
        assert!(ended.is_ok() || ended.is_err_and(|payload| payload.is::<Cancelled>()));
    }
    assert_eq!(drops.load(SeqCst), FIBERS);
}

/// Children are run, fed, killed and given up.
pub(crate) fn processes(choices: &mut Choices) {
    match choices.below(4) {
        0 => assert!(Command::new("true").status().unwrap().success()),
        1 => {
            let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"through a child").unwrap();
            assert_eq!(child.wait_with_output().unwrap().stdout, b"through a child");
        }
        2 => {
            let mut sleep = Command::new("sleep");
            sleep.arg("60").kill_on_drop(true);
            assert!(timeout(Duration::from_millis(2), || sleep.output()).is_err());
        }
        // It ends later, by itself.
        _ => drop(timeout(Duration::from_millis(2), || Command::new("sleep").arg("0.01").output())),
    }
}

/// What is written is read.
pub(crate) fn files(choices: &mut Choices) {
    let name = format!("abaca-soak-{}-{}", std::process::id(), choices.below(u64::MAX));
    let path = std::env::temp_dir().join(name);
    let content: Vec<u8> = (0..choices.below(100_000)).map(|at| at as u8).collect();
    abaca::fs::write(&path, &content).unwrap();
    let mut read = Vec::new();
    abaca::fs::File::open(&path).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == content);
    abaca::fs::remove_file(&path).unwrap();
}

/// Runtimes start beside this one, and stop with fibers that have not ended.
pub(crate) fn runtimes(choices: &mut Choices) {
    let workers = 1 + choices.below(3) as usize;
    let leftover = choices.below(5);
    let answer = abaca::blocking::run(move || {
        let runtime = Runtime::builder().workers(workers).name("short").build().unwrap();
        let answer = runtime.run(|| {
            (0..leftover).for_each(|_| drop(abaca::spawn(abaca::park)));
            abaca::blocking::run(|| ());
            abaca::spawn(|| 42).join().unwrap()
        });
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        answer
    });
    assert_eq!(answer, 42);
}
