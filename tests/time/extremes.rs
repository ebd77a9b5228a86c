//! Every call that takes a time takes any time: zero, a time that has passed, a time beyond the clock's range.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abaca::actor::{self, CallError, Mailbox};
use abaca::cancel::CancellationToken;
use abaca::channel::{Select, after, at, bounded, broadcast, oneshot, select, tick, unbounded};
use abaca::promise::Promise;
use abaca::sync::{Condvar, Mutex, Notify, Semaphore};
use abaca::time::{MissedTickBehavior, interval, interval_at, timeout, timeout_at};
use abaca::{JoinSet, Runtime};
use abaca_tests::on_one_worker;

/// Times that have passed when they are asked for.
fn passed() -> [Instant; 2] {
    let now = Instant::now();
    // As far back as the clock goes.
    let far =
        (0..63).rev().fold(now, |at, power| at.checked_sub(Duration::from_secs(1 << power)).unwrap_or(at));
    [now, far]
}

/// Times that never come.
fn endless() -> [Duration; 3] {
    [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64)]
}

/// As far forward as the clock goes.
fn last_instant() -> Instant {
    let now = Instant::now();
    (0..63).rev().fold(now, |at, power| at.checked_add(Duration::from_secs(1 << power)).unwrap_or(at))
}

/// Calls `f` as a fiber, and as a plain thread.
fn on_both(f: impl Fn() + Sync) {
    on_one_worker(&f);
    std::thread::scope(|scope| {
        scope.spawn(&f);
    });
}

/// Whether `f` is still waiting after a moment.
fn waits(f: impl FnOnce()) -> bool {
    timeout(Duration::from_millis(1), f).is_err()
}

#[test]
fn waits_without_end_go_on_until_they_are_cancelled() {
    on_both(|| {
        for long in endless() {
            assert!(waits(|| abaca::sleep(long)));
            assert!(waits(|| abaca::park_timeout(long)));
            let (_sender, receiver) = unbounded::<()>();
            assert!(waits(|| _ = receiver.recv_timeout(long)));
            let (sender, _receiver) = bounded(0);
            assert!(waits(|| _ = sender.send_timeout((), long)));
            let mut operations = Select::new();
            operations.recv(&receiver);
            assert!(waits(|| _ = operations.ready_timeout(long)));
            assert!(waits(|| _ = operations.select_timeout(long).map(|_| ())));
            assert!(waits(|| select! { recv(receiver) -> _ => {}, default(long) => {} }));
            assert!(waits(|| _ = after(long).recv()));
            assert!(waits(|| _ = tick(long).recv()));
            let (_sender, mut once) = oneshot::channel::<()>();
            assert!(waits(|| _ = once.recv_timeout(long)));
            let (_sender, mut all) = broadcast::channel::<()>(1);
            assert!(waits(|| _ = all.recv_timeout(long)));
            let (mutex, condition) = (Mutex::new(()), Condvar::new());
            assert!(waits(|| _ = condition.wait_timeout(mutex.lock().unwrap(), long).map(drop)));
            mutex.clear_poison();
            let hold = |_: &mut ()| true;
            assert!(waits(|| _ = condition.wait_timeout_while(mutex.lock().unwrap(), long, hold).map(drop)));
            let permits = Semaphore::new(0);
            assert!(waits(|| _ = permits.acquire_timeout(long).map(drop)));
            assert!(waits(|| _ = Notify::new().notified_timeout(long)));
            assert!(waits(|| _ = CancellationToken::new().cancelled_timeout(long)));
            let (promise, _resolver) = Promise::<u32>::pending();
            assert!(waits(|| _ = promise.wait_timeout(long)));
            // A call that does not wait works as well.
            assert_eq!(timeout(long, || 1), Ok(1));
        }
        let last = last_instant();
        assert!(waits(|| abaca::fiber::sleep_until(last)));
        assert!(waits(|| _ = at(last).recv()));
        assert!(waits(|| _ = timeout_at(last, abaca::park)));
    });
}

#[test]
fn intervals_take_any_period() {
    on_both(|| {
        for long in endless() {
            let mut rare = interval(long);
            rare.tick();
            assert!(waits(|| _ = rare.tick()));
            rare.reset();
            assert!(waits(|| _ = rare.tick()));
            rare.reset_after(long);
            assert!(waits(|| _ = rare.tick()));
            rare.reset_immediately();
            rare.tick();
            for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
                let start = Instant::now();
                let mut late = interval_at(start, long);
                late.set_missed_tick_behavior(behavior);
                assert_eq!(late.tick(), start);
                assert!(waits(|| _ = late.tick()));
            }
        }
        for start in passed() {
            for behavior in [MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
                let mut late = interval_at(start, Duration::from_secs(3600));
                late.set_missed_tick_behavior(behavior);
                assert_eq!(late.tick(), start);
                assert!(waits(|| _ = late.tick()), "{behavior:?}");
            }
        }
        let last = last_instant();
        let mut never = interval_at(last, Duration::from_nanos(1));
        assert!(waits(|| _ = never.tick()));
        never.reset_at(last);
        assert!(waits(|| _ = never.tick()));
    });
}

#[test]
fn times_that_have_passed_end_a_wait_at_once() {
    on_both(|| {
        abaca::sleep(Duration::ZERO);
        abaca::park_timeout(Duration::ZERO);
        for past in passed() {
            abaca::fiber::sleep_until(past);
            let (_sender, receiver) = unbounded::<()>();
            assert!(receiver.recv_deadline(past).is_err());
            let (sender, _receiver) = bounded(0);
            assert!(sender.send_deadline((), past).is_err());
            let mut operations = Select::new();
            operations.recv(&receiver);
            assert!(operations.ready_deadline(past).is_err());
            assert_eq!(at(past).recv(), Ok(past));
            assert_eq!(timeout_at(past, || 1), Ok(1));
            assert!(timeout_at(past, abaca::park).is_err());
        }
        assert!(timeout(Duration::ZERO, abaca::park).is_err());
        after(Duration::ZERO).recv().unwrap();
        let often = tick(Duration::ZERO);
        (0..100).for_each(|_| _ = often.recv().unwrap());
        assert!(Semaphore::new(0).acquire_timeout(Duration::ZERO).is_err());
        assert!(!Notify::new().notified_timeout(Duration::ZERO));
        let (promise, _resolver) = Promise::<u32>::pending();
        assert!(promise.wait_timeout(Duration::ZERO).is_none());
    });
}

#[test]
fn sets_and_actors_take_any_time() {
    on_one_worker(|| {
        for long in endless() {
            let mut set = JoinSet::new();
            set.spawn(|| 1);
            assert_eq!(set.join_next_timeout(long).unwrap().unwrap().unwrap(), 1);
            let actor = actor::spawn(|mailbox: &mut Mailbox<actor::Reply<u32>>| mailbox.receive().send(1));
            assert_eq!(actor.call(long, |reply| reply), Ok(1));
            actor.wait_timeout(long).unwrap();
        }
        let idle = actor::spawn(|mailbox: &mut Mailbox<()>| {
            assert!(mailbox.receive_timeout(Duration::ZERO).is_none());
        });
        assert_eq!(idle.wait(), actor::ExitReason::Normal);
        let deaf = actor::spawn(|_: &mut Mailbox<actor::Reply<u32>>| abaca::park());
        assert_eq!(deaf.call(Duration::ZERO, |reply| reply), Err(CallError::TimedOut));
        assert!(deaf.wait_timeout(Duration::ZERO).is_none());
        deaf.kill();
    });
}

#[test]
fn sockets_take_the_timeouts_that_stds_take() {
    on_one_worker(|| {
        let socket = abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for long in endless() {
            socket.set_read_timeout(Some(long)).unwrap();
            assert!(waits(|| _ = socket.recv(&mut [0])));
        }
        assert_eq!(
            socket.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            socket.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        socket.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for long in endless() {
            abaca::net::TcpStream::connect_timeout(&address, long).unwrap();
        }
    });
}

#[test]
fn a_runtime_takes_any_shutdown_timeout() {
    for time in endless() {
        let runtime = Runtime::builder().workers(1).shutdown_timeout(time).build().unwrap();
        let number = Arc::new(5);
        assert_eq!(runtime.run(move || *number), 5);
    }
}
