//! What `abaca::park` promises those who build on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abaca::park::{WaitQueue, Wakeup};

/// How many wait, and how often one was notified.
#[derive(Default)]
struct Count {
    waiting: usize,
    woken: Vec<usize>,
}

fn queue() -> Arc<WaitQueue<Count>> {
    Arc::new(WaitQueue::new(Count::default()))
}

/// Waits as number `id`, and notes that it was notified.
fn wait(queue: &WaitQueue<Count>, id: usize) {
    let mut count = queue.lock();
    count.waiting += 1;
    assert_eq!(count.wait(None), Wakeup::Notified);
    queue.lock().woken.push(id);
}

fn until(queue: &WaitQueue<Count>, is_so: impl Fn(&Count) -> bool) {
    while !is_so(&queue.lock()) {
        abaca::yield_now();
    }
}

#[test]
fn the_one_who_has_waited_longest_is_notified_first() {
    abaca::run(|| {
        let queue = queue();
        let fibers: Vec<_> = (0..4)
            .map(|id| {
                let theirs = Arc::clone(&queue);
                let fiber = abaca::spawn(move || wait(&theirs, id));
                until(&queue, |count| count.waiting == id + 1);
                fiber
            })
            .collect();
        for notified in 1..=2 {
            assert!(queue.lock().notify_one());
            until(&queue, |count| count.woken.len() == notified);
        }
        assert_eq!(queue.lock().woken, [0, 1]);
        queue.lock().notify_all();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert!(!queue.lock().notify_one(), "nobody is left");
    });
}

#[test]
fn a_plain_thread_waits_as_well() {
    let queue = queue();
    let theirs = Arc::clone(&queue);
    let thread = std::thread::spawn(move || wait(&theirs, 0));
    until(&queue, |count| count.waiting == 1);
    assert!(queue.lock().notify_one());
    thread.join().unwrap();
}

#[test]
fn a_deadline_that_has_passed_takes_no_notification() {
    abaca::run(|| {
        let queue = queue();
        assert_eq!(queue.lock().wait(Some(Instant::now())), Wakeup::TimedOut);
        assert!(!queue.lock().notify_one());
    });
}

#[test]
fn one_that_is_cancelled_leaves_the_queue() {
    abaca::run(|| {
        let queue = queue();
        let theirs = Arc::clone(&queue);
        let fiber = abaca::spawn(move || wait(&theirs, 0));
        until(&queue, |count| count.waiting == 1);
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
        assert!(!queue.lock().notify_one());
        assert!(
            abaca::time::timeout(Duration::ZERO, || wait(&queue, 1)).is_err(),
            "a timeout ends the wait as well"
        );
        assert!(!queue.lock().notify_one());
    });
}
