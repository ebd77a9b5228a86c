//! Memory that comes back while the runtime lives. Resident pages are the process's, so each test has a process of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abaca::sync::Semaphore;

use super::{in_child, is_child};

const MIB: usize = 1 << 20;

/// A figure of this process, in bytes.
fn status(label: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(label)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn resident() -> usize {
    status("VmRSS:") + status("VmPTE:")
}

/// Waits until that is so; panics if it does not become so in a minute, where a few seconds suffice.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: {} MiB", resident() / MIB);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Uses some 16 KiB of stack.
#[inline(never)]
fn touch() -> u8 {
    let mut bytes = std::hint::black_box([1_u8; 16 * 1024]);
    std::hint::black_box(&mut bytes)[77]
}

/// Goes 100 KiB deep.
#[inline(never)]
fn dive(depth: usize) -> u8 {
    let bytes = std::hint::black_box([depth as u8; 4096]);
    if depth == 0 { bytes[3] } else { dive(depth - 1).wrapping_add(bytes[5]) }
}

fn runtime() -> abaca::Runtime {
    abaca::Runtime::builder().workers(2).build().unwrap()
}

/// So many fibers at once, each of which touches its stack and then waits for all others.
fn burst(fibers: usize) {
    let began = Instant::now();
    let gate = Arc::new(Semaphore::new(0));
    let arrived = Arc::new(Semaphore::new(0));
    let spawn = |_| {
        let (gate, arrived) = (Arc::clone(&gate), Arc::clone(&arrived));
        abaca::spawn(move || {
            std::hint::black_box(touch());
            arrived.add_permits(1);
            drop(gate.acquire());
        })
    };
    let handles: Vec<_> = (0..fibers).map(spawn).collect();
    for _ in 0..fibers {
        arrived.acquire().unwrap().forget();
    }
    // On a slow machine some have given it back already.
    let is_slow = began.elapsed() > Duration::from_millis(500);
    assert!(is_slow || resident() > fibers * 16 * 1024, "all have touched their stacks");
    gate.add_permits(1);
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

fn passes(test: &str) {
    let output = in_child(&format!("memory::{test}"));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_stacks_of_a_burst_go_back_though_nothing_runs() {
    if !is_child() {
        return passes("the_stacks_of_a_burst_go_back_though_nothing_runs");
    }
    let runtime = runtime();
    let before = resident();
    for _ in 0..2 {
        runtime.run(|| burst(10_000));
        eventually("after the burst", || resident() < before + 32 * MIB);
    }
}

#[test]
fn they_go_back_too_while_a_little_goes_on() {
    if !is_child() {
        return passes("they_go_back_too_while_a_little_goes_on");
    }
    let runtime = runtime();
    let before = resident();
    runtime.run(move || {
        burst(10_000);
        // One worker never rests, the other gets up now and then.
        let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let theirs = Arc::clone(&is_over);
        let busy = abaca::spawn(move || {
            while !theirs.load(std::sync::atomic::Ordering::Relaxed) {
                abaca::yield_now();
            }
        });
        let began = Instant::now();
        while resident() > before + 32 * MIB {
            assert!(began.elapsed() < Duration::from_secs(60), "{} MiB", resident() / MIB);
            abaca::sleep(Duration::from_millis(20));
            abaca::spawn(|| ()).join().unwrap();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        busy.join().unwrap();
    });
}

#[test]
fn what_lies_below_the_frames_of_parked_fibers_goes_back_and_they_go_on() {
    if !is_child() {
        return passes("what_lies_below_the_frames_of_parked_fibers_goes_back_and_they_go_on");
    }
    const FIBERS: usize = 1000;
    let runtime = runtime();
    let before = resident();
    let gate = Arc::new(Semaphore::new(0));
    let arrived = Arc::new(Semaphore::new(0));
    let spawn = |n: usize| {
        let (gate, arrived) = (Arc::clone(&gate), Arc::clone(&arrived));
        runtime.spawn(move || {
            let kept = std::hint::black_box([n; 300]);
            for _ in 0..2 {
                std::hint::black_box(dive(25));
                arrived.add_permits(1);
                gate.acquire().unwrap().forget();
                assert!(std::hint::black_box(&kept).iter().all(|word| *word == n));
            }
        })
    };
    let handles: Vec<_> = (0..FIBERS).map(spawn).collect();
    for _ in 0..2 {
        let arrived = Arc::clone(&arrived);
        runtime.run(move || (0..FIBERS).for_each(|_| arrived.acquire().unwrap().forget()));
        // Two or three pages each stay, and a page of tables in a debug build; with storage of their own two pages more.
        let kib = if abaca_tests::has_own_storage() { 28 } else { 20 };
        eventually("while they wait", || resident() < before + FIBERS * kib * 1024);
        gate.add_permits(FIBERS);
    }
    runtime.run(|| handles.into_iter().for_each(|handle| handle.join().unwrap()));
}

#[test]
fn fibers_may_end_while_others_give_back() {
    if !is_child() {
        return passes("fibers_may_end_while_others_give_back");
    }
    const FIBERS: u64 = 4000;
    let spawn = |n: u64| {
        abaca::spawn(move || {
            let kept = std::hint::black_box([n; 300]);
            // They end one by one, over several rounds and the steps of each.
            for part in 0..3 {
                std::hint::black_box(dive(5));
                abaca::sleep(Duration::from_micros((n * 7919 * (part + 1)) % 1_500_000));
            }
            std::hint::black_box(&kept).iter().sum::<u64>()
        })
    };
    let sums = runtime().run(move || {
        let handles: Vec<_> = (0..FIBERS).map(spawn).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sums, FIBERS * (FIBERS - 1) / 2 * 300);
}

#[test]
fn the_stacks_of_coroutines_and_of_other_sizes_go_back() {
    if !is_child() {
        return passes("the_stacks_of_coroutines_and_of_other_sizes_go_back");
    }
    // The first slab of the coroutines' pool, which is the process's: bare, but mapped.
    abaca_tests::leaks::expect_stacks(1);
    let runtime = runtime();
    let before = resident();
    let space = status("VmSize:");
    runtime.run(|| {
        let coroutines: Vec<_> = (0..2000)
            .map(|_| {
                let mut coroutine = abaca::coroutine::Coroutine::<(), (), u8>::new(|yielder, ()| {
                    let some = touch();
                    yielder.suspend(());
                    some
                });
                coroutine.resume(());
                coroutine
            })
            .collect();
        drop(coroutines);
        let spawn =
            |n: usize| abaca::Builder::new().stack_size(600_000 + n).spawn(|| dive(20_usize)).unwrap();
        let handles: Vec<_> = (0..1000).map(spawn).collect();
        handles.into_iter().for_each(|handle| _ = handle.join().unwrap());
    });
    eventually("afterwards", || resident() < before + 16 * MIB);
    eventually("pools of sizes not in use", || status("VmSize:") < space + 600 * MIB);
}

/// How often the workers have gone to sleep so far.
fn sleeps() -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").contains("worker") {
            let text = read("status");
            let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
            sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn when_all_has_gone_back_nobody_gets_up_any_more() {
    if !is_child() {
        return passes("when_all_has_gone_back_nobody_gets_up_any_more");
    }
    let runtime = runtime();
    let waiting = runtime.spawn(abaca::park);
    runtime.run(|| burst(1000));
    let mut last = 0;
    // Two looks five seconds apart, and nothing between them.
    eventually("workers get up", || {
        let before = std::mem::replace(&mut last, sleeps());
        std::thread::sleep(Duration::from_secs(5));
        before == last
    });
    waiting.fiber().unpark();
    runtime.run(|| waiting.join().unwrap());
}

/// What a backlog has taken goes with it, though its channel, mailbox or set stays.
#[test]
fn the_memory_of_a_backlog_goes_back() {
    const MESSAGES: usize = 500_000;
    if !is_child() {
        return passes("the_memory_of_a_backlog_goes_back");
    }
    type Message = [usize; 16];
    let before = resident();
    let is_back = |what: &str| {
        eventually(what, || resident() < before + 16 * MIB);
    };
    let is_there = || assert!(resident() > before + 32 * MIB, "there was a backlog");
    let (sender, receiver) = abaca::channel::unbounded::<Message>();
    (0..MESSAGES).for_each(|n| sender.send([n; 16]).unwrap());
    is_there();
    assert_eq!(receiver.try_iter().count(), MESSAGES);
    is_back("a channel");
    let (other, messages) = abaca::sync::mpsc::channel::<Message>();
    (0..MESSAGES).for_each(|n| other.send([n; 16]).unwrap());
    is_there();
    assert_eq!(messages.try_iter().count(), MESSAGES);
    is_back("an mpsc channel");
    runtime().run(move || {
        let (go, may_go) = abaca::channel::bounded(0);
        let (done, is_done) = abaca::channel::bounded(0);
        let actor = abaca::actor::spawn(move |mailbox: &mut abaca::actor::Mailbox<Message>| {
            may_go.recv().unwrap();
            (0..MESSAGES).for_each(|_| _ = mailbox.receive());
            done.send(()).unwrap();
            mailbox.receive();
        });
        (0..MESSAGES).for_each(|n| actor.send([n; 16]).unwrap());
        is_there();
        go.send(()).unwrap();
        is_done.recv().unwrap();
        is_back("a mailbox");
        actor.kill();
    });
    drop((sender, other));
}
