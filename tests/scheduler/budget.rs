//! A fiber whose calls never have to wait gives way all the same: to those who are ready, and to timers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use abaca::actor::{self, Mailbox};
use abaca::cancel::CancelToken;
use abaca::channel::{self, Select, bounded, broadcast, never, oneshot, select, tick, unbounded, watch};
use abaca::promise::Promise;
use abaca::sync::{Barrier, Condvar, Mutex, Notify, Once, OnceLock, RwLock, Semaphore, WaitGroup, mpsc};
use abaca::time::{interval_at, timeout};
use abaca::{JoinSet, spawn_local};
use abaca_tests::on_one_worker;

/// Far more calls than a slice has, however fast they are.
const MANY: usize = 20_000_000;

/// One who has waited for a neighbour for so long waits for ever.
const ENDLESS: Duration = Duration::from_secs(60);

/// Makes the call over and over, until a neighbour on the same worker has had a turn, and then until a neighbour's timer
/// has struck.
fn gives_way(name: &str, mut call: impl FnMut()) {
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
fn channels_give_way() {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        gives_way("unbounded", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        let (first, last) = bounded(1);
        gives_way("bounded", || {
            first.send(1).unwrap();
            last.recv().unwrap();
        });
        gives_way("try_recv in vain", || assert!(receiver.try_recv().is_err()));
        gives_way("try_iter in vain", || assert_eq!(receiver.try_iter().count(), 0));
        let (full, _keep) = bounded(0);
        gives_way("try_send in vain", || assert!(full.try_send(1).is_err()));
        gives_way("is_empty", || assert!(receiver.is_empty()));
        gives_way("never", || assert!(never::<()>().try_recv().is_err()));
        let clock = tick(Duration::from_secs(3600));
        gives_way("tick in vain", || assert!(clock.try_recv().is_err()));
        gives_way("select!", || {
            sender.send(1).unwrap();
            select! { recv(receiver) -> message => assert_eq!(message, Ok(1)) }
        });
        gives_way(
            "select! with default",
            || select! { recv(receiver) -> _ => unreachable!(), default => {} },
        );
        let mut operations = Select::new();
        operations.recv(&receiver);
        gives_way("try_ready", || assert!(operations.try_ready().is_err()));
        gives_way("try_select", || assert!(operations.try_select().is_err()));
        gives_way("async ends", || {
            abaca::future::block_on(sender.send_async(1)).unwrap();
            abaca::future::block_on(receiver.recv_async()).unwrap();
        });
    });
}

#[test]
fn other_channels_give_way() {
    on_one_worker(|| {
        let (sender, receiver) = mpsc::channel();
        gives_way("mpsc", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        gives_way("mpsc in vain", || assert!(receiver.try_recv().is_err()));
        gives_way("oneshot", || {
            let (sender, receiver) = oneshot::channel();
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        let (_sender, mut receiver) = oneshot::channel::<()>();
        gives_way("oneshot in vain", || assert!(receiver.try_recv().is_err()));
        let (sender, mut receiver) = broadcast::channel(4);
        gives_way("broadcast", || {
            sender.send(1).unwrap();
            receiver.recv().unwrap();
        });
        gives_way("broadcast in vain", || assert!(receiver.try_recv().is_err()));
        let (sender, mut receiver) = watch::channel(1);
        gives_way("watch", || {
            sender.send(2).unwrap();
            receiver.changed().unwrap();
        });
        gives_way("has_changed", || assert!(!receiver.has_changed().unwrap()));
        gives_way("borrow", || assert_eq!(*receiver.borrow(), 2));
    });
}

#[test]
fn locks_give_way() {
    on_one_worker(|| {
        let mutex = Mutex::new(0);
        gives_way("Mutex", || *mutex.lock().unwrap() += 1);
        gives_way("try_lock", || *mutex.try_lock().unwrap() += 1);
        let held = mutex.lock().unwrap();
        gives_way("try_lock in vain", || assert!(mutex.try_lock().is_err()));
        drop(held);
        let lock = RwLock::new(0);
        gives_way("read", || assert_eq!(*lock.read().unwrap(), 0));
        gives_way("write", || *lock.write().unwrap() = 0);
        let held = lock.read().unwrap();
        gives_way("try_write in vain", || assert!(lock.try_write().is_err()));
        drop(held);
        let held = lock.write().unwrap();
        gives_way("try_read in vain", || assert!(lock.try_read().is_err()));
        drop(held);
        let condition = Condvar::new();
        gives_way("notify_one", || condition.notify_one());
        gives_way("notify_all", || condition.notify_all());
        let permits = Arc::new(Semaphore::new(1));
        gives_way("Semaphore", || drop(permits.acquire().unwrap()));
        gives_way("acquire_owned", || drop(Arc::clone(&permits).acquire_owned().unwrap()));
        gives_way("try_acquire in vain", || assert!(permits.try_acquire_many(2).is_err()));
        let notify = Notify::new();
        gives_way("Notify", || {
            notify.notify_one();
            notify.notified();
        });
        let barrier = Barrier::new(1);
        gives_way("Barrier", || assert!(barrier.wait().is_leader()));
        gives_way("WaitGroup", || WaitGroup::new().wait());
        let (once, cell) = (Once::new(), OnceLock::<u32>::new());
        gives_way("Once in vain", || assert!(!once.is_completed()));
        gives_way("OnceLock in vain", || assert!(cell.get().is_none()));
    });
}

#[test]
fn everything_else_gives_way() {
    on_one_worker(|| {
        gives_way("spawn and join", || abaca::spawn(|| ()).join().unwrap());
        gives_way("timeout", || assert_eq!(timeout(Duration::from_secs(1), || 1), Ok(1)));
        gives_way("sleep of zero", || abaca::sleep(Duration::ZERO));
        let long_ago = Instant::now();
        gives_way("sleep_until", || abaca::fiber::sleep_until(long_ago));
        let mut late = interval_at(long_ago, Duration::from_nanos(1));
        gives_way("Interval", || _ = late.tick());
        gives_way("park", || {
            abaca::current().unpark();
            abaca::park();
        });
        gives_way("block_on", || abaca::future::block_on(async {}));
        let endless = spawn_local(abaca::park);
        gives_way("is_finished", || assert!(!endless.is_finished()));
        endless.fiber().unpark();
        endless.join().unwrap();
        let mut set = JoinSet::new();
        let (sender, receiver) = unbounded::<()>();
        set.spawn(move || _ = receiver.recv());
        gives_way("try_join_next", || assert!(set.try_join_next().is_none()));
        drop(sender);
        set.join_next().unwrap().unwrap();
        let token = CancelToken::new();
        gives_way("CancelToken", || assert!(!token.is_cancelled()));
        gives_way("checkpoint", abaca::cancel::checkpoint);
        gives_way("child_token", || drop(token.child_token()));
        gives_way("run_until_cancelled", || assert_eq!(token.run_until_cancelled(|| 1), Some(1)));
        gives_way("shield", || abaca::cancel::shield(|| ()));
        gives_way("a timeout that never comes", || assert_eq!(timeout(Duration::MAX, || 1), Ok(1)));
        gives_way("scope", || abaca::scope(|_| ()));
        gives_way("try_scope", || assert_eq!(abaca::try_scope(|_| Ok::<_, ()>(1)), Ok(1)));
        let (promise, resolver) = Promise::pending();
        gives_way("Promise in vain", || assert!(!promise.is_resolved()));
        resolver.resolve(1);
        gives_way("Promise", || assert_eq!(promise.wait().unwrap(), 1));
    });
}

#[test]
fn actors_give_way() {
    on_one_worker(|| {
        let (done, is_done) = bounded(1);
        let actor = actor::spawn(move |mailbox: &mut Mailbox<u32>| {
            let me = mailbox.me();
            gives_way("actor", || {
                me.send(1).unwrap();
                mailbox.receive();
            });
            gives_way("try_receive in vain", || assert!(mailbox.try_receive().is_none()));
            done.send(()).unwrap();
        });
        is_done.recv().unwrap();
        actor.wait();
        let sink = actor::spawn(|mailbox: &mut Mailbox<u32>| {
            loop {
                mailbox.receive();
            }
        });
        gives_way("send", || sink.send(1).unwrap());
        gives_way("is_alive", || assert!(sink.is_alive()));
        sink.kill();
    });
}

#[test]
fn sockets_that_would_block_give_way() {
    on_one_worker(|| {
        let socket = abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        gives_way("recv in vain", || assert!(socket.recv(&mut [0]).is_err()));
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        gives_way("accept in vain", || assert!(listener.accept().is_err()));
    });
}

#[test]
fn what_makes_sockets_gives_way() {
    on_one_worker(|| {
        gives_way("bind", || drop(abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap()));
        gives_way("listen", || drop(abaca::net::TcpListener::bind("127.0.0.1:0").unwrap()));
        gives_way("pair", || drop(abaca::net::UnixStream::pair().unwrap()));
        gives_way("pipe", || drop(abaca::io::pipe().unwrap()));
    });
}

/// A queue without a bound is no longer than what is sent in a few turns, if its receiver can keep up.
#[test]
fn a_sender_leaves_its_receiver_turns() {
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

/// As std's `test_recv_try_iter` does it: one side only ever looks, the other answers.
#[test]
fn one_that_only_looks_is_answered() {
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

/// One who spawns without end does not pile tasks up without end.
#[test]
fn one_that_only_spawns_lets_the_tasks_run() {
    const TASKS: usize = 600_000;
    let most = on_one_worker(|| {
        let ended = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut most = 0;
        for spawned in 0..TASKS {
            let ended_now = Arc::clone(&ended);
            drop(abaca::spawn(move || _ = ended_now.fetch_add(1, SeqCst)));
            most = most.max(spawned - ended.load(SeqCst).min(spawned));
        }
        most
    });
    assert!(most < TASKS / 2, "{most} tasks waited at once");
}

/// A roaming fiber gives way as well, wherever it is.
#[test]
fn one_that_roams_gives_way() {
    on_one_worker(|| {
        let (sender, receiver) = channel::unbounded();
        let body = move || {
            gives_way("roaming", || {
                sender.send(1).unwrap();
                receiver.recv().unwrap();
            });
        };
        // SAFETY: on the one worker there is nowhere to roam to.
        #[expect(unsafe_code, reason = "a roaming fiber")]
        let roaming = unsafe { abaca::Builder::new().spawn_roaming(body) }.unwrap();
        roaming.join().unwrap();
    });
}
