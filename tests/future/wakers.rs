//! Wakers of foreign futures that block. They are called in fibers, although a fiber's end, a worker's hub or the poller's thread
//! finds that they are due.

use std::future::IntoFuture;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use abaca::Runtime;
use abaca::net::{TcpListener, TcpStream};
use abaca::runtime::Poller;
use abaca::sync::Mutex;

/// Takes a lock when it is woken, as an executor might.
#[derive(Default)]
struct Locks {
    lock: Mutex<u32>,
    begun: AtomicUsize,
}

impl Wake for Locks {
    fn wake(self: Arc<Self>) {
        self.begun.fetch_add(1, SeqCst);
        *self.lock.lock().unwrap() += 1;
    }
}

/// Calls `cause`, which leads to a wake-up, while the lock is held, and releases it when the waker waits for it: a
/// worker that is blocked by the waker would never do that.
fn check(locks: &Arc<Locks>, cause: impl FnOnce()) {
    let before = locks.begun.load(SeqCst);
    let guard = locks.lock.lock().unwrap();
    cause();
    while locks.begun.load(SeqCst) == before {
        abaca::yield_now();
    }
    for _ in 0..3 {
        abaca::yield_now();
    }
    let count = *guard;
    drop(guard);
    while *locks.lock.lock().unwrap() == count {
        abaca::yield_now();
    }
}

fn on_each_kind(f: impl Fn() + Send + Sync) {
    for poller in [Poller::Workers, Poller::Thread] {
        // The runtime's own fibers do not count.
        let builder = Runtime::builder().workers(1).poller(poller).max_fibers(2);
        builder.build().unwrap().run(&f);
    }
}

#[test]
fn a_waker_called_at_a_fibers_end_may_block() {
    on_each_kind(|| {
        let locks = Arc::<Locks>::default();
        let waker = Waker::from(Arc::clone(&locks));
        let fiber = abaca::spawn(abaca::park);
        let handle = fiber.fiber();
        let mut end = pin!(fiber.into_future());
        assert!(end.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        check(&locks, || handle.unpark());
        assert!(end.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}

#[test]
fn a_waker_called_for_an_event_may_block() {
    on_each_kind(|| {
        let locks = Arc::<Locks>::default();
        let waker = Waker::from(Arc::clone(&locks));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut server = abaca::net::hyper::HyperStream::new(server);
        let mut bytes = [0; 8];
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(&waker);
        assert!(
            hyper::rt::Read::poll_read(std::pin::Pin::new(&mut server), &mut context, buffer.unfilled())
                .is_pending()
        );
        check(&locks, || client.write_all(&[7]).unwrap());
    });
}

#[test]
fn a_wakers_end_is_awaited_by_the_shutdown() {
    let locks = Arc::<Locks>::default();
    let waker = Waker::from(Arc::clone(&locks));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let fiber = runtime.run(|| abaca::spawn(abaca::park));
    let mut end = pin!(fiber.into_future());
    assert!(end.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let guard = locks.lock.lock().unwrap();
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| drop(runtime));
        while locks.begun.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        drop(guard);
        ending.join().unwrap();
    });
    assert_eq!(*locks.lock.lock().unwrap(), 1);
}
