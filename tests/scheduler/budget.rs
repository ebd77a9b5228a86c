//! A fiber whose calls never have to wait still yields to fibers that are ready, and to timers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use abaca::actor::{self, Mailbox};
use abaca::cancel::CancellationToken;
use abaca::channel::{self, Select, bounded, broadcast, never, oneshot, select, tick, unbounded, watch};
use abaca::promise::Promise;
use abaca::sync::{Barrier, Condvar, Mutex, Notify, Once, OnceLock, RwLock, Semaphore, WaitGroup, mpsc};
use abaca::time::{interval_at, timeout};
use abaca::{JoinSet, spawn_local};
use abaca_tests::on_one_worker;

/// Far more calls than a time slice has, however fast they are.
const MANY: usize = 20_000_000;

/// A fiber that has waited for a neighbour for this long would wait for ever.
const ENDLESS: Duration = Duration::from_secs(60);

/// Makes the call over and over, until a neighbour on the same worker has run, and then until a neighbour's timer has expired.
fn yields(name: &str, mut call: impl FnMut()) {
    let seen = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&seen);
    let neighbour = spawn_local(move || {
        theirs.set(1);
        abaca::sleep(Duration::from_millis(1));
        theirs.set(2);
    });
    let mut calls = 0;
    while seen.get() == 0 {
        assert!(calls < MANY, "{name}: a neighbour that was ready was not run");
        call();
        calls += 1;
    }
    let begun = Instant::now();
    while seen.get() == 1 {
        assert!(begun.elapsed() < ENDLESS, "{name}: a neighbour's timer was not seen");
        call();
    }
    neighbour.join().unwrap();
}

#[test]
fn channel_calls_yield() {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        yields("unbounded", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        let (first, last) = bounded(1);
        yields("bounded", || {
            first.send(1).unwrap();
            last.recv().unwrap();
        });
        yields("try_recv in vain", || assert!(receiver.try_recv().is_err()));
        yields("try_iter in vain", || assert_eq!(receiver.try_iter().count(), 0));
        let (full, _keep) = bounded(0);
        yields("try_send in vain", || assert!(full.try_send(1).is_err()));
        yields("is_empty", || assert!(receiver.is_empty()));
        yields("never", || assert!(never::<()>().try_recv().is_err()));
        let clock = tick(Duration::from_secs(3600));
        yields("tick in vain", || assert!(clock.try_recv().is_err()));
        yields("select!", || {
            sender.send(1).unwrap();
            select! { recv(receiver) -> message => assert_eq!(message, Ok(1)) }
        });
        yields("select! with default", || select! { recv(receiver) -> _ => unreachable!(), default => {} });
        let mut operations = Select::new();
        operations.recv(&receiver);
        yields("try_ready", || assert!(operations.try_ready().is_err()));
        yields("try_select", || assert!(operations.try_select().is_err()));
        yields("async ends", || {
            abaca::future::block_on(sender.send_async(1)).unwrap();
            abaca::future::block_on(receiver.recv_async()).unwrap();
        });
    });
}

#[test]
fn calls_of_other_channels_yield() {
    on_one_worker(|| {
        let (sender, receiver) = mpsc::channel();
        yields("mpsc", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        yields("mpsc in vain", || assert!(receiver.try_recv().is_err()));
        yields("oneshot", || {
            let (sender, receiver) = oneshot::channel();
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        let (_sender, mut receiver) = oneshot::channel::<()>();
        yields("oneshot in vain", || assert!(receiver.try_recv().is_err()));
        let (sender, mut receiver) = broadcast::channel(4);
        yields("broadcast", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        yields("broadcast in vain", || assert!(receiver.try_recv().is_err()));
        let (sender, mut receiver) = watch::channel(1);
        yields("watch", || {
            sender.send(2).unwrap();
            receiver.changed().unwrap();
        });
        yields("has_changed", || assert!(!receiver.has_changed().unwrap()));
        yields("borrow", || assert_eq!(*receiver.borrow(), 2));
    });
}

#[test]
fn lock_calls_yield() {
    on_one_worker(|| {
        let mutex = Mutex::new(0);
        yields("Mutex", || *mutex.lock().unwrap() += 1);
        yields("try_lock", || *mutex.try_lock().unwrap() += 1);
        let held = mutex.lock().unwrap();
        yields("try_lock in vain", || assert!(mutex.try_lock().is_err()));
        drop(held);
        let lock = RwLock::new(0);
        yields("read", || assert_eq!(*lock.read().unwrap(), 0));
        yields("write", || *lock.write().unwrap() = 0);
        let held = lock.read().unwrap();
        yields("try_write in vain", || assert!(lock.try_write().is_err()));
        drop(held);
        let held = lock.write().unwrap();
        yields("try_read in vain", || assert!(lock.try_read().is_err()));
        drop(held);
        let condition = Condvar::new();
        yields("notify_one", || condition.notify_one());
        yields("notify_all", || condition.notify_all());
        let permits = Arc::new(Semaphore::new(1));
        yields("Semaphore", || drop(permits.acquire().unwrap()));
        yields("acquire_owned", || drop(Arc::clone(&permits).acquire_owned().unwrap()));
        yields("try_acquire in vain", || assert!(permits.try_acquire_many(2).is_err()));
        let notify = Notify::new();
        yields("Notify", || {
            notify.notify_one();
            notify.notified();
        });
        let barrier = Barrier::new(1);
        yields("Barrier", || assert!(barrier.wait().is_leader()));
        yields("WaitGroup", || WaitGroup::new().wait());
        let (once, cell) = (Once::new(), OnceLock::<u32>::new());
        yields("Once in vain", || assert!(!once.is_completed()));
        yields("OnceLock in vain", || assert!(cell.get().is_none()));
    });
}

#[test]
fn all_other_calls_yield() {
    on_one_worker(|| {
        yields("spawn and join", || abaca::spawn(|| ()).join().unwrap());
        yields("timeout", || assert_eq!(timeout(Duration::from_secs(1), || 1), Ok(1)));
        yields("sleep of zero", || abaca::sleep(Duration::ZERO));
        let long_ago = Instant::now();
        yields("sleep_until", || abaca::fiber::sleep_until(long_ago));
        let mut late = interval_at(long_ago, Duration::from_nanos(1));
        yields("Interval", || _ = late.tick());
        yields("park", || {
            abaca::current().unpark();
            abaca::park();
        });
        yields("block_on", || abaca::future::block_on(async {}));
        let endless = spawn_local(abaca::park);
        yields("is_finished", || assert!(!endless.is_finished()));
        endless.fiber().unpark();
        endless.join().unwrap();
        let mut set = JoinSet::new();
        let (sender, receiver) = unbounded::<()>();
        set.spawn(move || _ = receiver.recv());
        yields("try_join_next", || assert!(set.try_join_next().is_none()));
        drop(sender);
        set.join_next().unwrap().unwrap();
        let token = CancellationToken::new();
        yields("CancellationToken", || assert!(!token.is_cancelled()));
        yields("checkpoint", abaca::cancel::checkpoint);
        let (promise, resolver) = Promise::pending();
        yields("Promise in vain", || assert!(!promise.is_resolved()));
        resolver.resolve(1);
        yields("Promise", || assert_eq!(promise.wait().unwrap(), 1));
    });
}

#[test]
fn actor_calls_yield() {
    on_one_worker(|| {
        let (done, is_done) = bounded(1);
        let actor = actor::spawn(move |mailbox: &mut Mailbox<u32>| {
            let me = mailbox.me();
            yields("actor", || {
                me.send(1).unwrap();
                mailbox.receive();
            });
            yields("try_receive in vain", || assert!(mailbox.try_receive().is_none()));
            done.send(()).unwrap();
        });
        is_done.recv().unwrap();
        actor.wait();
        let sink = actor::spawn(|mailbox: &mut Mailbox<u32>| {
            loop {
                mailbox.receive();
            }
        });
        yields("send", || sink.send(1).unwrap());
        yields("is_alive", || assert!(sink.is_alive()));
        sink.kill();
    });
}

#[test]
fn socket_calls_that_would_block_yield() {
    on_one_worker(|| {
        let socket = abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        yields("recv in vain", || assert!(socket.recv(&mut [0]).is_err()));
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        yields("accept in vain", || assert!(listener.accept().is_err()));
    });
}

/// A queue without a bound does not outgrow the messages of a few time slices, if its receiver can keep up.
#[test]
fn a_sender_lets_its_receiver_run() {
    const MESSAGES: usize = 1_000_000;
    let longest = on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let theirs = receiver.clone();
        let reader = spawn_local(move || theirs.iter().count());
        let mut longest = 0;
        for n in 0..MESSAGES {
            sender.send(n).unwrap();
            longest = longest.max(receiver.len());
        }
        drop(sender);
        assert_eq!(reader.join().unwrap(), MESSAGES);
        longest
    });
    assert!(longest < MESSAGES * 3 / 4, "{longest} messages waited at once");
}

/// As in std's `test_recv_try_iter`: one side only calls `try_iter`, the other answers.
#[test]
fn a_loop_of_try_iter_is_answered() {
    on_one_worker(|| {
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let other = abaca::spawn(move || asked.iter().take_while(|()| answer.send(2).is_ok()).count());
        let mut count = 0;
        while count < 6 {
            count += answers.try_iter().sum::<i32>();
            ask.send(()).unwrap();
        }
        drop(answers);
        drop(ask);
        assert!(other.join().unwrap() >= 3);
    });
}

/// Calls that promise not to wait do not unwind when they yield.
#[test]
fn a_yield_of_the_budget_is_not_a_cancellation_point() {
    let was_at_the_end = on_one_worker(|| {
        let reached = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&reached);
        let yields = Rc::new(Cell::new(0));
        let counted = Rc::clone(&yields);
        let is_cancelled = Rc::new(Cell::new(false));
        let flag = Rc::clone(&is_cancelled);
        let busy = spawn_local(move || {
            let (sender, receiver) = unbounded();
            while !flag.get() {
                assert!(receiver.try_recv().is_err());
            }
            // This fiber is cancelled now, and yields many more times.
            let before = counted.get();
            while counted.get() < before + 10 {
                assert!(receiver.try_recv().is_err());
                sender.send(()).unwrap();
                assert!(receiver.try_recv().is_ok());
            }
            theirs.store(true, SeqCst);
        });
        let counter = Rc::clone(&yields);
        let neighbour = spawn_local(move || {
            loop {
                counter.set(counter.get() + 1);
                abaca::yield_now();
            }
        });
        // Both fibers have begun after this.
        abaca::yield_now();
        busy.cancel();
        is_cancelled.set(true);
        busy.join().unwrap();
        neighbour.cancel();
        assert!(neighbour.join().unwrap_err().is::<abaca::Cancelled>());
        reached.load(SeqCst)
    });
    assert!(was_at_the_end);
}

/// While a fiber makes calls in a destructor as it unwinds, its neighbours do not see a thread that panics.
#[test]
fn the_neighbours_of_a_busy_unwinding_fiber_do_not_see_its_panic() {
    struct Busy;
    impl Drop for Busy {
        fn drop(&mut self) {
            let (mutex, (_sender, receiver)) = (Mutex::new(0), unbounded::<()>());
            for _ in 0..100_000 {
                *mutex.lock().unwrap() += 1;
                assert!(receiver.try_recv().is_err());
            }
        }
    }
    on_one_worker(|| {
        let seen = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&seen);
        let dying = spawn_local(|| {
            let _busy = Busy;
            abaca::yield_now();
            std::panic::resume_unwind(Box::new("as planned"));
        });
        let neighbour = spawn_local(move || {
            while !theirs.get() {
                assert!(!std::thread::panicking(), "a neighbour sees the panic");
                abaca::yield_now();
            }
        });
        assert_eq!(dying.join().unwrap_err().downcast_ref(), Some(&"as planned"));
        seen.set(true);
        neighbour.join().unwrap();
    });
}

/// A fiber that spawns without end does not pile up unstarted fibers without end.
#[test]
fn a_fiber_that_only_spawns_lets_the_new_fibers_run() {
    const FIBERS: usize = 600_000;
    let most = on_one_worker(|| {
        let ended = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut most = 0;
        for spawned in 0..FIBERS {
            let ended_now = Arc::clone(&ended);
            drop(abaca::spawn(move || _ = ended_now.fetch_add(1, SeqCst)));
            most = most.max(spawned - ended.load(SeqCst).min(spawned));
        }
        most
    });
    assert!(most < FIBERS / 2, "{most} unstarted fibers waited at once");
}

/// Calls that never wait may be made while locks of std are held and thread-locals are borrowed. A neighbour that ran meanwhile
/// would block the thread for ever.
#[test]
fn a_few_calls_that_never_wait_do_not_yield() {
    thread_local!(static BORROWED: std::cell::RefCell<u64> = const { std::cell::RefCell::new(0) });
    on_one_worker(|| {
        let lock = Arc::new(std::sync::Mutex::new(0_u64));
        let (sender, receiver) = unbounded();
        let notify = Arc::new(Notify::new());
        let fibers: Vec<_> = (0..8)
            .map(|_| {
                let (lock, notify) = (Arc::clone(&lock), Arc::clone(&notify));
                let (sender, receiver) = (sender.clone(), receiver.clone());
                spawn_local(move || {
                    for round in 0..20_000 {
                        let mut count = lock.lock().unwrap();
                        BORROWED.with_borrow_mut(|borrowed| {
                            sender.send(round).unwrap();
                            assert!(receiver.try_recv().is_ok());
                            assert!(receiver.try_recv().is_err());
                            notify.notify_one();
                            *borrowed += 1;
                        });
                        *count += 1;
                        drop(count);
                        if round % 100 == 99 {
                            abaca::yield_now();
                        } else {
                            abaca::sleep(Duration::ZERO);
                        }
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 160_000);
    });
}

/// A roaming fiber yields as well.
#[test]
fn a_roaming_fiber_yields() {
    on_one_worker(|| {
        let (sender, receiver) = channel::unbounded();
        let body = move || {
            yields("roaming", || {
                sender.send(1).unwrap();
                receiver.recv().unwrap();
            });
        };
        // SAFETY: with one worker the fiber never changes threads.
        #[expect(unsafe_code, reason = "a roaming fiber")]
        let roaming = unsafe { abaca::Builder::new().spawn_roaming(body) }.unwrap();
        roaming.join().unwrap();
    });
}
