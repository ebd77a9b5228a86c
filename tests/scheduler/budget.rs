//! A fiber whose calls never have to wait still yields to fibers that are ready, and to timers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
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

/// A loop that only looks comes to an end, as on threads, when a neighbour has done what it waits for.
#[test]
fn looks_at_what_others_do_yield() {
    on_one_worker(|| {
        let (mutex, lock, permits) = (Mutex::new(0), RwLock::new(0), Semaphore::new(1));
        yields("Mutex::is_poisoned", || assert!(!mutex.is_poisoned()));
        yields("RwLock::is_poisoned", || assert!(!lock.is_poisoned()));
        yields("Semaphore::is_closed", || assert!(!permits.is_closed()));
        let (sender, receiver) = watch::channel(1);
        yields("watch::Receiver::is_closed", || assert!(!receiver.is_closed()));
        yields("watch::Sender::is_closed", || assert!(!sender.is_closed()));
        yields("watch receiver_count", || assert_eq!(sender.receiver_count(), 1));
        yields("watch sender_count", || assert_eq!(sender.sender_count(), 1));
        let (sender, receiver) = broadcast::channel::<u32>(1);
        let weak = sender.downgrade();
        yields("broadcast is_closed", || assert!(!receiver.is_closed()));
        yields("broadcast receiver_count", || assert_eq!(sender.receiver_count(), 1));
        yields("broadcast strong_count", || assert_eq!(sender.strong_count(), 1));
        yields("broadcast weak_count", || assert_eq!(sender.weak_count(), 1));
        yields("broadcast sender_strong_count", || assert_eq!(receiver.sender_strong_count(), 1));
        yields("broadcast sender_weak_count", || assert_eq!(receiver.sender_weak_count(), 1));
        yields("WeakSender::upgrade", || drop(weak.upgrade().unwrap()));
        yields("WeakSender::strong_count", || assert_eq!(weak.strong_count(), 1));
        yields("WeakSender::weak_count", || assert_eq!(weak.weak_count(), 1));
        let has_failed = abaca::try_scope(|scope| {
            yields("has_failed", || assert!(!scope.has_failed()));
            Ok::<_, ()>(scope.has_failed())
        });
        assert_eq!(has_failed, Ok(false));
        let registry = actor::Registry::new();
        yields("Registry::names", || assert!(registry.names().is_empty()));
        let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
        yields("take_error", || assert!(listener.take_error().unwrap().is_none()));
        let server = listener.serve(|_, _| ());
        yields("Server::connections", || assert_eq!(server.connections(), 0));
        server.drain(Duration::ZERO);
        yields("observe::metrics", || assert!(abaca::observe::metrics().is_some()));
        yields("blocking::metrics", || _ = abaca::blocking::metrics());
        let other = abaca::Runtime::builder().workers(1).build().unwrap();
        yields("blocking_metrics", || _ = other.blocking_metrics());
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
        yields("child_token", || drop(token.child_token()));
        yields("run_until_cancelled", || assert_eq!(token.run_until_cancelled(|| 1), Some(1)));
        yields("shield", || abaca::cancel::shield(|| ()));
        yields("set_label", || abaca::observe::set_label("request", 1));
        yields("remove_label", || abaca::observe::remove_label("request"));
        let other = abaca::Runtime::builder().workers(1).build().unwrap();
        yields("metrics", || drop(other.metrics()));
        yields("a timeout that never comes", || assert_eq!(timeout(Duration::MAX, || 1), Ok(1)));
        yields("scope", || abaca::scope(|_| ()));
        yields("try_scope", || assert_eq!(abaca::try_scope(|_| Ok::<_, ()>(1)), Ok(1)));
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

#[test]
fn calls_that_make_sockets_yield() {
    on_one_worker(|| {
        yields("bind", || drop(abaca::net::UdpSocket::bind("127.0.0.1:0").unwrap()));
        yields("listen", || drop(abaca::net::TcpListener::bind("127.0.0.1:0").unwrap()));
        yields("pair", || drop(abaca::net::UnixStream::pair().unwrap()));
        yields("pipe", || drop(abaca::io::pipe().unwrap()));
    });
}

/// A queue without a bound does not only grow: its receiver has a turn after some thousand messages, however slow the machine is.
#[test]
fn a_sender_lets_its_receiver_run() {
    const MESSAGES: usize = 1_000_000;
    let longest = on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let theirs = receiver.clone();
        let reader = spawn_local(move || theirs.iter().count());
        // The most messages in a row during which none was received.
        let (mut received, mut since, mut longest) = (0, 0, 0);
        for n in 0..MESSAGES {
            sender.send(n).unwrap();
            let now = n + 1 - receiver.len();
            since = if now == received { since + 1 } else { 0 };
            (received, longest) = (now, longest.max(since));
        }
        drop(sender);
        assert_eq!(reader.join().unwrap(), MESSAGES);
        longest
    });
    assert!(longest < 10_000, "{longest} messages were sent in a row");
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

/// A call that takes a lock, and then lets others run, lets go of the lock meanwhile.
#[test]
fn a_lock_is_free_while_the_call_that_took_it_yields() {
    const TURNS: usize = 100;
    on_one_worker(|| {
        let (mutex, lock) = (Rc::new(Mutex::new(())), Rc::new(RwLock::new(())));
        let (their_mutex, their_lock) = (Rc::clone(&mutex), Rc::clone(&lock));
        let neighbour = spawn_local(move || {
            let mut free = 0;
            for _ in 0..TURNS {
                free += usize::from(their_mutex.try_lock().is_ok() && their_lock.try_write().is_ok());
                abaca::yield_now();
            }
            free
        });
        while !neighbour.is_finished() {
            drop(mutex.lock().unwrap());
            drop(lock.read().unwrap());
            drop(lock.write().unwrap());
        }
        assert_eq!(neighbour.join().unwrap(), TURNS);
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
        let roaming = unsafe { abaca::Builder::new().spawn_roaming_unchecked(body) }.unwrap();
        roaming.join().unwrap();
    });
}
