//! Metrics count what happened, exactly where that is known, and never go backwards.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::observe::Metrics;
use abaca_tests::with_shared_storage;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

/// Where who wakes and steals is counted: with own storage a fiber may be left to its thread, wakes others from outside, and leaves its
/// worker what others would steal.
pub(crate) fn on_workers(workers: usize) -> Runtime {
    with_shared_storage().workers(workers).build().unwrap()
}

#[test]
fn fibers_are_counted_from_spawn_to_end() {
    let runtime = on_workers(1);
    runtime.run(|| {
        let before = abaca::observe::metrics().unwrap();
        assert_eq!((before.spawned, before.live), (1, 1), "the main fiber");
        let sleeping: Vec<_> = (0..10).map(|_| abaca::spawn(abaca::park)).collect();
        let local = abaca::spawn_local(|| ());
        let unstarted = abaca::observe::metrics().unwrap();
        assert_eq!((unstarted.spawned, unstarted.live, unstarted.ended), (12, 12, 0));
        assert_eq!(unstarted.workers[0].stealable, 10);
        assert_eq!(unstarted.workers[0].fibers, 1, "the others have not started");
        local.join().unwrap();
        while abaca::observe::metrics().unwrap().workers[0].fibers < 11 {
            abaca::yield_now();
        }
        let parked = abaca::observe::metrics().unwrap();
        assert_eq!((parked.live, parked.ended, parked.workers[0].stealable), (11, 1, 0));
        assert!(parked.stacks[0].taken >= 11, "{:?}", parked.stacks);
        for fiber in &sleeping {
            fiber.fiber().unpark();
        }
        sleeping.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(abaca::observe::metrics().unwrap().live, 1);
    });
    let outside = runtime.spawn(|| ());
    outside.join().unwrap();
    let after = runtime.metrics();
    assert_eq!((after.spawned, after.live, after.ended), (13, 0, 13));
    assert_eq!(after.workers[0].spawned, 11, "two came from outside");
}

#[test]
fn roaming_fibers_and_those_that_never_start_are_counted() {
    let runtime = runtime(2);
    runtime.run(|| {
        let builder = abaca::Builder::new();
        // SAFETY: the fiber has nothing that is bound to a thread.
        #[expect(unsafe_code, reason = "a fiber that roams")]
        let roaming = unsafe { builder.spawn_roaming_unchecked(abaca::yield_now) }.unwrap();
        roaming.join().unwrap();
        let never = abaca::spawn_local(|| unreachable!());
        never.cancel();
        assert!(never.join().is_err());
    });
    let metrics = runtime.metrics();
    assert_eq!((metrics.spawned, metrics.ended, metrics.live), (3, 3, 0));
}

#[test]
fn a_fiber_whose_result_is_dropped_at_its_end_ends_once() {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            abaca::yield_now();
        }
    }
    let runtime = runtime(1);
    runtime.run(|| {
        for _ in 0..100 {
            drop(abaca::spawn(|| Yields));
        }
        while abaca::observe::metrics().unwrap().live > 1 {
            abaca::yield_now();
        }
    });
    assert_eq!(runtime.metrics().ended, 101);
}

#[test]
fn switches_and_wake_ups_are_counted_where_they_happen() {
    const ROUNDS: u64 = 1000;
    let runtime = on_workers(1);
    let idle = runtime.metrics();
    runtime.run(|| {
        let (to, from) = abaca::channel::bounded(0);
        let (back, answers) = abaca::channel::bounded(0);
        abaca::spawn(move || from.iter().try_for_each(|n: u64| back.send(n)));
        for n in 0..ROUNDS {
            to.send(n).unwrap();
            assert_eq!(answers.recv(), Ok(n));
        }
    });
    let metrics = runtime.metrics();
    let worker = metrics.workers[0];
    // Each round has at least one wait of each side.
    assert!(worker.woken_local >= 2 * ROUNDS, "{worker:?}");
    assert!(worker.switches >= 2 * ROUNDS && worker.switches <= 8 * ROUNDS, "{worker:?}");
    assert_eq!(worker.woken_remote, idle.workers[0].woken_remote, "nobody else woke a fiber");
    let measured = metrics.latency.count();
    assert!((worker.woken_local / 512..=worker.woken_local / 256 + 1).contains(&measured), "{measured}");
    assert_eq!(metrics.latency.buckets().map(|(_, count)| count).sum::<u64>(), measured);
    assert!(metrics.latency.quantile(0.5) <= metrics.latency.quantile(1.0));
}

#[test]
fn yields_are_counted_as_switches() {
    let runtime = runtime(1);
    runtime.run(|| {
        let neighbour = abaca::spawn(|| (0..5000).for_each(|_| abaca::yield_now()));
        (0..5000).for_each(|_| abaca::yield_now());
        neighbour.join().unwrap();
    });
    let switches = runtime.metrics().workers[0].switches;
    assert!((10_000..10_400).contains(&switches), "{switches}");
}

#[test]
fn timers_sleeps_and_steals_are_counted() {
    let runtime = on_workers(2);
    runtime.run(|| {
        // One that is over before its fiber waits has no timer, as on a machine that took the processor away meanwhile.
        let timers = || {
            let workers = abaca::observe::metrics().expect("this is a fiber").workers;
            workers.iter().map(|worker| worker.timers).sum::<u64>()
        };
        let mut slept = 0;
        while timers() < 5 {
            abaca::sleep(Duration::from_micros(100));
            slept += 1;
            assert!(timers() <= slept);
        }
        let taken = Arc::new(AtomicBool::new(false));
        abaca::spawn({
            let taken = Arc::clone(&taken);
            move || taken.store(true, SeqCst)
        });
        // This worker is busy, so another must take the fiber.
        while !taken.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    let metrics = runtime.metrics();
    let total = |of: fn(&abaca::observe::WorkerMetrics) -> u64| metrics.workers.iter().map(of).sum::<u64>();
    assert_eq!(total(|worker| worker.timers), 5);
    assert!(
        total(|worker| worker.steals) >= 1 && total(|worker| worker.stolen) >= total(|worker| worker.steals)
    );
    assert!(total(|worker| worker.sleeps) >= 1);
}

#[test]
fn events_and_descriptors_are_counted() {
    let runtime = runtime(1);
    runtime.run(|| {
        let (mut near, mut far) = abaca::net::UnixStream::pair().unwrap();
        let reader = abaca::spawn_local(move || {
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            far
        });
        abaca::yield_now();
        near.write_all(&[1]).unwrap();
        let far = reader.join().unwrap();
        let metrics = abaca::observe::metrics().unwrap();
        let poller = metrics.pollers[0];
        assert!(poller.descriptors == 1 && poller.events >= 1 && poller.rounds >= 1, "{poller:?}");
        drop(far);
    });
    assert_eq!(runtime.metrics().pollers[0].descriptors, 0);
}

/// Counters by name and label.
fn counters(metrics: &Metrics) -> BTreeMap<String, u64> {
    let text = metrics.to_prometheus();
    let values = text.lines().filter(|line| !line.starts_with('#') && line.contains("_total"));
    values
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

#[test]
fn counters_never_go_backwards_while_fibers_run() {
    let runtime = runtime(2);
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            runtime.spawn(move || {
                while !stop.load(SeqCst) {
                    abaca::spawn(abaca::yield_now).join().unwrap();
                    abaca::sleep(Duration::from_micros(50));
                }
            })
        })
        .collect();
    let mut before = runtime.metrics();
    for _ in 0..300 {
        let now = runtime.metrics();
        for ((name, before), (_, now)) in counters(&before).iter().zip(counters(&now)) {
            assert!(now >= *before, "{name} went from {before} to {now}");
        }
        assert!(now.ended <= now.spawned);
        before = now;
    }
    stop.store(true, SeqCst);
    busy.into_iter().for_each(|fiber| fiber.join().unwrap());
}

/// Checks a text line by line against the grammar of the exposition format.
fn check_exposition(text: &str) {
    assert!(text.ends_with('\n'));
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let (mut seen, mut current, mut helped) = (Vec::new(), None, None);
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help has a text");
            assert!(is_name(name) && !words.is_empty() && !words.contains('\\'), "{line}");
            helped = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(helped, Some(name), "the help comes first");
            assert!(!seen.contains(&name), "{name}: all lines of a metric are together");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            seen.push(name);
            current = Some((name, kind));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').expect("a brace ends the labels")),
                None => (series, ""),
            };
            let (metric, kind) = current.expect("a type comes before the values");
            let suffix = name.strip_prefix(metric).unwrap_or_else(|| panic!("{line}: a value of {metric}"));
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(is_name(name) && suffixes.contains(&suffix), "{line}");
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (key, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
                assert!(is_name(key) && !value.contains(['"', '\\', '\n']), "{line}");
            }
        }
    }
}

#[test]
fn the_text_is_prometheus_exposition_format() {
    let runtime = runtime(2);
    runtime.run(|| abaca::Builder::new().stack_size(1 << 20).spawn(|| ()).unwrap().join().unwrap());
    let text = runtime.metrics().to_prometheus();
    check_exposition(&text);
    for series in [
        "abaca_fibers_spawned_total 2",
        "abaca_worker_sleeping{worker=\"1\"}",
        "abaca_wakeup_latency_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(text.lines().any(|line| line.starts_with(series)), "{series} in\n{text}");
    }
    // The buckets are cumulative, and the last one is the count.
    let buckets: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("abaca_wakeup_latency_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(buckets.is_sorted());
    assert!(text.contains(&format!("abaca_wakeup_latency_seconds_count {}\n", buckets.last().unwrap())));
}

#[test]
fn ready_fibers_timers_and_what_fibers_wait_for_are_told_also_to_a_fiber() {
    let runtime = runtime(1);
    let (sleeps, parks) = runtime.run(|| {
        assert!(abaca::observe::parked().is_empty(), "the caller is none of them");
        let (sender, receiver) = abaca::channel::bounded::<()>(0);
        let hour = Duration::from_secs(3600);
        let sleeps = vec![
            abaca::spawn(move || abaca::sleep(hour)),
            abaca::spawn(move || _ = abaca::time::timeout(hour, abaca::park)),
            abaca::spawn(move || {
                let _sender = sender;
                let _ = receiver.recv_timeout(hour);
            }),
        ];
        let parks = abaca::spawn(abaca::park);
        while abaca::observe::parked() != [("park", 2), ("sleep", 1), ("channel receive", 1)] {
            abaca::yield_now();
        }
        assert!(abaca::observe::metrics().unwrap().parked.is_empty(), "it does not wait");
        (sleeps, parks)
    });
    assert!(abaca::observe::parked().is_empty(), "this is a plain thread");
    let stop = Arc::new(AtomicBool::new(false));
    let yields: Vec<_> = (0..2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            runtime.spawn(move || {
                while !stop.load(SeqCst) {
                    abaca::yield_now()
                }
            })
        })
        .collect();
    let metrics = loop {
        let metrics = runtime.metrics();
        if metrics.workers[0].ready == 2 {
            break metrics;
        }
    };
    assert_eq!(metrics.workers[0].pending_timers, 3);
    let text = metrics.to_prometheus();
    for line in [r#"abaca_worker_ready_fibers{worker="0"} 2"#, r#"abaca_worker_pending_timers{worker="0"} 3"#]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    stop.store(true, SeqCst);
    sleeps.iter().for_each(|fiber| fiber.cancel());
    parks.fiber().unpark();
    runtime.run(|| {
        sleeps.into_iter().for_each(|fiber| drop(fiber.join()));
        parks.join().unwrap();
        yields.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}
