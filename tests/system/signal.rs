//! `abaca::signal`, each test in a process of its own, since signals are sent to processes.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::Cancelled;
use abaca::signal::{Signal, Signals, ctrl_c};

use super::{in_child, is_child, one_worker, wait_until};

/// Sends this process a signal.
fn send(signal: Signal) {
    let script = format!("kill -{} {}", signal.number(), std::process::id());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// Sends this process a signal and waits until it has been delivered.
fn raise(signal: Signal) {
    let mut delivered = Signals::new([signal]).unwrap();
    send(signal);
    assert_eq!(delivered.wait().unwrap(), signal);
}

/// Runs the rest of the test in a child, which must pass there.
macro_rules! in_a_process_of_its_own {
    ($name:literal) => {
        if !is_child() {
            let output = in_child(concat!("signal::", $name), "exec \"$@\"");
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            return;
        }
    };
}

#[test]
fn a_fiber_waits_while_its_worker_runs_the_sender() {
    in_a_process_of_its_own!("a_fiber_waits_while_its_worker_runs_the_sender");
    one_worker().run(|| {
        let mut signals = Signals::new([Signal::Hangup, Signal::Terminate]).unwrap();
        assert_eq!(format!("{signals:?}"), "{Hangup, Terminate}");
        let waiter = abaca::spawn(move || [signals.wait().unwrap(), signals.next().unwrap().unwrap()]);
        abaca::yield_now();
        raise(Signal::Terminate);
        let sender = abaca::spawn(|| raise(Signal::Hangup));
        let mut seen = waiter.join().unwrap();
        seen.sort();
        assert_eq!(seen, [Signal::Hangup, Signal::Terminate]);
        sender.join().unwrap();
    });
}

#[test]
fn every_receiver_sees_a_signal_in_every_runtime_and_on_threads() {
    in_a_process_of_its_own!("every_receiver_sees_a_signal_in_every_runtime_and_on_threads");
    let count = Arc::new(AtomicUsize::new(0));
    let runtimes = [one_worker(), one_worker()];
    let mut fibers = Vec::new();
    for runtime in &runtimes {
        for _ in 0..2 {
            let (mut signals, count) = (Signals::new([Signal::User1]).unwrap(), Arc::clone(&count));
            fibers.push(runtime.spawn(move || {
                for _ in 0..3 {
                    assert_eq!(signals.wait().unwrap(), Signal::User1);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
    }
    let (mut signals, counts) = (Signals::new([Signal::User1]).unwrap(), Arc::clone(&count));
    let thread = std::thread::spawn(move || {
        for signal in signals.by_ref().take(3) {
            assert_eq!(signal.unwrap(), Signal::User1);
            counts.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(signals.wait_timeout(Duration::from_millis(1)).unwrap(), None);
    });
    for round in 1..=3 {
        raise(Signal::User1);
        while count.load(Ordering::SeqCst) < 5 * round {
            std::thread::yield_now();
        }
    }
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    thread.join().unwrap();
}

#[test]
fn receivers_never_sleep_through_the_last_of_many_signals() {
    in_a_process_of_its_own!("receivers_never_sleep_through_the_last_of_many_signals");
    const ROUNDS: usize = 20;
    const EACH: usize = 50;
    // The last signal comes last in the order as well: a receiver that reports it has looked for the others.
    let of = [Signal::User1, Signal::User2, Signal::Terminate];
    let receive = move |mut signals: Signals, ended: &AtomicUsize| {
        let mut reports = [0; 3];
        for _ in 0..ROUNDS {
            loop {
                let signal = signals.wait().unwrap();
                reports[of.iter().position(|one| *one == signal).unwrap()] += 1;
                if signal == Signal::Terminate {
                    break;
                }
            }
            ended.fetch_add(1, Ordering::SeqCst);
        }
        let rest = std::iter::from_fn(|| signals.try_wait()).count();
        assert!((1..=ROUNDS * EACH).contains(&reports[0]), "{reports:?}");
        assert!((1..=ROUNDS * EACH).contains(&reports[1]), "{reports:?}");
        assert_eq!(reports[2], ROUNDS);
        assert!(rest <= 2, "{rest}");
    };
    let ended = Arc::new(AtomicUsize::new(0));
    let runtimes = [one_worker(), one_worker()];
    let mut fibers = Vec::new();
    for runtime in &runtimes {
        for _ in 0..2 {
            let (signals, ended) = (Signals::new(of).unwrap(), Arc::clone(&ended));
            fibers.push(runtime.spawn(move || receive(signals, &ended)));
        }
    }
    let (signals, ends) = (Signals::new(of).unwrap(), Arc::clone(&ended));
    let thread = std::thread::spawn(move || receive(signals, &ends));
    let (first, second, last) = (of[0].number(), of[1].number(), of[2].number());
    let me = std::process::id();
    let script = format!(
        "i=0; while [ $i -lt {EACH} ]; do kill -{first} {me}; kill -{second} {me}; i=$((i+1)); done; kill -{last} {me}"
    );
    for round in 1..=ROUNDS {
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        while ended.load(Ordering::SeqCst) < 5 * round {
            std::thread::yield_now();
        }
    }
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    thread.join().unwrap();
}

#[test]
fn signals_that_nobody_has_looked_at_count_as_one() {
    in_a_process_of_its_own!("signals_that_nobody_has_looked_at_count_as_one");
    let mut signals = Signals::new([Signal::User2, Signal::User1]).unwrap();
    assert_eq!(signals.try_wait(), None);
    for signal in [Signal::User1, Signal::User2, Signal::User1] {
        raise(signal);
    }
    assert_eq!(signals.wait().unwrap(), Signal::User2);
    assert_eq!(signals.wait().unwrap(), Signal::User1);
    // A signal that comes after a receiver was made is not mistaken for an earlier one.
    let mut later = Signals::new([Signal::User1]).unwrap();
    assert_eq!(later.try_wait(), None);
}

#[test]
fn the_disposition_returns_with_the_last_receiver() {
    // Not SIGINT, which a shell's background jobs are born to ignore.
    if is_child() {
        let (first, second) =
            (Signals::new([Signal::User1]).unwrap(), Signals::new([Signal::User1]).unwrap());
        drop(first);
        raise(Signal::User1);
        println!("still here");
        drop(second);
        send(Signal::User1);
        std::thread::sleep(Duration::from_secs(60));
        unreachable!("it kills again");
    }
    let output = in_child("signal::the_disposition_returns_with_the_last_receiver", "exec \"$@\"");
    assert_eq!(output.status.signal(), Some(Signal::User1.number()), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("still here"), "{output:?}");
}

#[test]
fn ctrl_c_ends_a_program_in_its_own_way() {
    in_a_process_of_its_own!("ctrl_c_ends_a_program_in_its_own_way");
    one_worker().run(|| {
        let waits = Arc::new(AtomicUsize::new(0));
        let says = Arc::clone(&waits);
        let fiber = abaca::spawn(move || {
            says.store(1, Ordering::SeqCst);
            ctrl_c().unwrap();
        });
        // There is one worker: when this fiber runs again, the other one waits.
        wait_until(|| waits.load(Ordering::SeqCst) == 1);
        raise(Signal::Interrupt);
        fiber.join().unwrap();
    });
}

#[test]
fn a_wait_is_cancelled_and_times_out() {
    in_a_process_of_its_own!("a_wait_is_cancelled_and_times_out");
    let runtime = one_worker();
    runtime.run(|| {
        let mut signals = Signals::new([Signal::WindowChange]).unwrap();
        assert_eq!(signals.wait_timeout(Duration::from_millis(1)).unwrap(), None);
        assert!(abaca::time::timeout(Duration::from_millis(1), || signals.wait()).is_err());
        let waits = Arc::new(AtomicUsize::new(0));
        let says = Arc::clone(&waits);
        let fiber = abaca::spawn(move || {
            says.store(1, Ordering::SeqCst);
            signals.wait().unwrap()
        });
        wait_until(|| waits.load(Ordering::SeqCst) == 1);
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<Cancelled>());
    });
    let mut signals = Signals::new([Signal::WindowChange]).unwrap();
    let fiber = runtime.spawn(move || signals.wait().unwrap());
    runtime.run(abaca::yield_now);
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn signals_have_their_names_and_numbers() {
    assert_eq!(Signal::Hangup.to_string(), "SIGHUP");
    assert_eq!(format!("{:>8}", Signal::Pipe), " SIGPIPE");
    assert_eq!(Signal::Terminate.number(), 15);
}

#[test]
fn a_signal_that_is_named_twice_arrives_once() {
    in_a_process_of_its_own!("a_signal_that_is_named_twice_arrives_once");
    let mut signals = Signals::new([Signal::User2, Signal::User2]).unwrap();
    raise(Signal::User2);
    assert_eq!(signals.try_wait(), Some(Signal::User2));
    assert_eq!(signals.try_wait(), None);
}

/// The kernel wakes some five hundred of them by one descriptor; the others look for themselves.
#[test]
fn more_receivers_may_wait_than_the_kernel_wakes() {
    in_a_process_of_its_own!("more_receivers_may_wait_than_the_kernel_wakes");
    one_worker().run(|| {
        let receivers: Vec<_> = (0..600)
            .map(|_| {
                let mut signals = Signals::new([Signal::User1]).unwrap();
                abaca::spawn(move || {
                    assert_eq!(signals.wait().unwrap(), Signal::User1);
                    assert_eq!(signals.wait_timeout(Duration::from_millis(1)).unwrap(), None);
                })
            })
            .collect();
        abaca::yield_now();
        send(Signal::User1);
        receivers.into_iter().for_each(|receiver| receiver.join().unwrap());
    });
}
