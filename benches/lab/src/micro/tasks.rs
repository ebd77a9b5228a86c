//! What a scheduler does: spawn and join, pass a message, wait for one of two, set a timer that does not fire, and switch
//! among so many live tasks. abaca on one worker against tokio's current-thread runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{Question, Side, Started, on_fiber, on_tokio};

/// The parameter that counts tasks which are alive at a time.
pub(super) const LIVE: &str = "live tasks";

const FAR: Duration = Duration::from_secs(3600);

macro_rules! question {
    ($title:literal, $unit:literal, $parameter:expr, $places:expr, $fiber:expr, $task:expr) => {
        Question {
            title: $title,
            unit: $unit,
            parameter: $parameter,
            places: $places,
            sides: &[Side { name: "fiber", measure: $fiber }, Side { name: "tokio task", measure: $task }],
        }
    };
}

pub(super) const QUESTIONS: [Question; 6] = [
    question!("What does it cost to spawn and join?", "ns per task", "", &[0], fiber_spawn, task_spawn),
    question!(
        "What does the first task cost?",
        "ns, of a runtime that has just started",
        "",
        &[0],
        fiber_first,
        task_first
    ),
    question!(
        "What does a message cost there and back?",
        "ns per round trip",
        "",
        &[0],
        fiber_message,
        task_message
    ),
    question!(
        "What does a choice between two channels cost?",
        "ns per choice",
        "",
        &[0],
        fiber_choice,
        task_choice
    ),
    question!(
        "What does a timeout cost that does not fire?",
        "ns per timeout",
        "",
        &[0],
        fiber_timer,
        task_timer
    ),
    question!(
        "What does a switch cost among many live tasks?",
        "ns per switch",
        LIVE,
        &[1, 100, 10_000, 1_000_000],
        fiber_live,
        task_live
    ),
];

fn fiber_spawn(_at: u64, times: u64) -> (Duration, u64) {
    on_fiber(move || {
        let began = Instant::now();
        for number in 0..times {
            assert_eq!(abaca::spawn(move || number).join().ok(), Some(number));
        }
        (began.elapsed(), times)
    })
}

fn task_spawn(_at: u64, times: u64) -> (Duration, u64) {
    on_tokio(async move {
        let began = Instant::now();
        for number in 0..times {
            assert_eq!(tokio::spawn(async move { number }).await.ok(), Some(number));
        }
        (began.elapsed(), times)
    })
}

fn fiber_first(_at: u64, times: u64) -> (Duration, u64) {
    let first = |_| on_fiber(fiber_spawn_one);
    ((0..times).map(first).sum(), times)
}

fn fiber_spawn_one() -> Duration {
    let began = Instant::now();
    assert_eq!(abaca::spawn(|| 1).join().ok(), Some(1));
    began.elapsed()
}

fn task_first(_at: u64, times: u64) -> (Duration, u64) {
    let first = |_| {
        on_tokio(async {
            let began = Instant::now();
            assert_eq!(tokio::spawn(async { 1 }).await.ok(), Some(1));
            began.elapsed()
        })
    };
    ((0..times).map(first).sum(), times)
}

fn fiber_message(_at: u64, times: u64) -> (Duration, u64) {
    on_fiber(move || {
        let (there, arrives) = abaca::channel::bounded(1);
        let (back, returns) = abaca::channel::bounded(1);
        let echo = abaca::spawn(move || {
            for number in arrives {
                let number: u64 = number;
                back.send(number).expect("the other side waits");
            }
        });
        let began = Instant::now();
        for number in 0..times {
            there.send(number).expect("the echo waits");
            assert_eq!(returns.recv(), Ok(number));
        }
        let elapsed = began.elapsed();
        drop(there);
        echo.join().expect("the echo ends");
        (elapsed, times)
    })
}

fn task_message(_at: u64, times: u64) -> (Duration, u64) {
    on_tokio(async move {
        let (there, mut arrives) = tokio::sync::mpsc::channel(1);
        let (back, mut returns) = tokio::sync::mpsc::channel(1);
        let echo = tokio::spawn(async move {
            while let Some(number) = arrives.recv().await {
                back.send(number).await.expect("the other side waits");
            }
        });
        let began = Instant::now();
        for number in 0..times {
            there.send(number).await.expect("the echo waits");
            assert_eq!(returns.recv().await, Some(number));
        }
        let elapsed = began.elapsed();
        drop(there);
        echo.await.expect("the echo ends");
        (elapsed, times)
    })
}

fn fiber_choice(_at: u64, times: u64) -> (Duration, u64) {
    on_fiber(move || {
        let (sender, one) = abaca::channel::bounded(1);
        let (_open, other) = abaca::channel::bounded::<u64>(1);
        let began = Instant::now();
        for number in 0..times {
            sender.send(number).expect("there is room");
            let chosen = abaca::select! {
                recv(one) -> message => message,
                recv(other) -> message => message,
            };
            assert_eq!(chosen, Ok(number));
        }
        (began.elapsed(), times)
    })
}

fn task_choice(_at: u64, times: u64) -> (Duration, u64) {
    on_tokio(async move {
        let (sender, mut one) = tokio::sync::mpsc::channel(1);
        let (_open, mut other) = tokio::sync::mpsc::channel::<u64>(1);
        let began = Instant::now();
        for number in 0..times {
            sender.send(number).await.expect("there is room");
            let chosen = tokio::select! {
                message = one.recv() => message,
                message = other.recv() => message,
            };
            assert_eq!(chosen, Some(number));
        }
        (began.elapsed(), times)
    })
}

fn fiber_timer(_at: u64, times: u64) -> (Duration, u64) {
    on_fiber(move || {
        let began = Instant::now();
        for _ in 0..times {
            assert!(abaca::time::timeout(FAR, abaca::yield_now).is_ok());
        }
        (began.elapsed(), times)
    })
}

fn task_timer(_at: u64, times: u64) -> (Duration, u64) {
    on_tokio(async move {
        let began = Instant::now();
        for _ in 0..times {
            assert!(tokio::time::timeout(FAR, tokio::task::yield_now()).await.is_ok());
        }
        (began.elapsed(), times)
    })
}

/// How often each of so many tasks switches in about `times` switches.
fn rounds(live: u64, times: u64) -> u64 {
    times.div_ceil(live).max(2)
}

fn fiber_live(live: u64, times: u64) -> (Duration, u64) {
    let rounds = rounds(live, times);
    on_fiber(move || {
        let (started, gate) = (Started::default(), Arc::new(AtomicBool::new(false)));
        let spawn = |_| {
            let (started, gate) = (started.clone(), Arc::clone(&gate));
            abaca::spawn(move || {
                started.one();
                while !gate.load(Relaxed) {
                    abaca::yield_now();
                }
                (0..rounds).for_each(|_| abaca::yield_now());
            })
        };
        let fibers: Vec<_> = (0..live).map(spawn).collect();
        while !started.are(live) {
            abaca::yield_now();
        }
        let began = Instant::now();
        gate.store(true, Relaxed);
        fibers.into_iter().for_each(|fiber| fiber.join().expect("a fiber ends"));
        (began.elapsed(), live * rounds)
    })
}

fn task_live(live: u64, times: u64) -> (Duration, u64) {
    let rounds = rounds(live, times);
    on_tokio(async move {
        let (started, gate) = (Started::default(), Arc::new(AtomicBool::new(false)));
        let spawn = |_| {
            let (started, gate) = (started.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                started.one();
                while !gate.load(Relaxed) {
                    tokio::task::yield_now().await;
                }
                for _ in 0..rounds {
                    tokio::task::yield_now().await;
                }
            })
        };
        let tasks: Vec<_> = (0..live).map(spawn).collect();
        while !started.are(live) {
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        gate.store(true, Relaxed);
        for task in tasks {
            task.await.expect("a task ends");
        }
        (began.elapsed(), live * rounds)
    })
}
