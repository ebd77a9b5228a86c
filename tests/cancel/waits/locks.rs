//! Waits of `abaca::sync`.

use std::mem::forget;
use std::sync::mpsc as std_mpsc;
use std::thread;

use abaca::sync::{
    Arc, Barrier, Condvar, LazyLock, Mutex, Notify, Once, OnceLock, RwLock, Semaphore, WaitGroup, mpsc,
};

use super::{LONG, Setup, keeping, wait};

pub(super) const WAITS: &[Setup] = &[
    ("Mutex::lock", || {
        let mutex = Mutex::new(());
        forget(mutex.lock());
        wait(move || drop(mutex.lock()))
    }),
    ("RwLock::read", || {
        let lock = RwLock::new(());
        forget(lock.write());
        wait(move || drop(lock.read()))
    }),
    ("RwLock::write, behind a reader", || {
        let lock = RwLock::new(());
        forget(lock.read());
        wait(move || drop(lock.write()))
    }),
    ("RwLock::write, behind a writer", || {
        let lock = RwLock::new(());
        forget(lock.write());
        wait(move || drop(lock.write()))
    }),
    ("Condvar::wait", || on_a_condition(|condvar, mutex| drop(condvar.wait(mutex.lock().unwrap())))),
    ("Condvar::wait_while", || {
        on_a_condition(|condvar, mutex| drop(condvar.wait_while(mutex.lock().unwrap(), |()| true)))
    }),
    ("Condvar::wait_timeout", || {
        on_a_condition(|condvar, mutex| drop(condvar.wait_timeout(mutex.lock().unwrap(), LONG)))
    }),
    ("Condvar::wait_timeout_while", || {
        on_a_condition(|condvar, mutex| {
            drop(condvar.wait_timeout_while(mutex.lock().unwrap(), LONG, |()| true));
        })
    }),
    ("Condvar::wait, for its lock", || {
        let shared = Arc::new((Condvar::new(), Mutex::new(())));
        let theirs = Arc::clone(&shared);
        let (release, released) = std_mpsc::channel::<()>();
        // Notifies while it has the lock, and keeps that.
        thread::spawn(move || {
            if released.recv().is_ok() {
                let _guard = theirs.1.lock().unwrap();
                theirs.0.notify_all();
                let _ = released.recv();
            }
        });
        wait(move || {
            let guard = shared.1.lock().unwrap();
            release.send(()).unwrap();
            drop(shared.0.wait(guard));
        })
    }),
    ("Barrier::wait", || wait(|| Barrier::new(2).wait())),
    ("Once::call_once", || {
        let once = Arc::new(Once::new());
        keeping(making(&once, |once, busy| once.call_once(busy)), move || once.call_once(|| ()))
    }),
    ("Once::call_once_force", || {
        let once = Arc::new(Once::new());
        keeping(making(&once, |once, busy| once.call_once(busy)), move || once.call_once_force(|_| ()))
    }),
    ("Once::wait", || wait(|| Once::new().wait())),
    ("Once::wait_force", || wait(|| Once::new().wait_force())),
    ("OnceLock::get_or_init", || {
        let cell = Arc::new(OnceLock::new());
        keeping(making(&cell, |cell, busy| *cell.get_or_init(busy)), move || *cell.get_or_init(|| ()))
    }),
    ("OnceLock::set", || {
        let cell = Arc::new(OnceLock::new());
        keeping(making(&cell, |cell, busy| *cell.get_or_init(busy)), move || cell.set(()))
    }),
    ("OnceLock::wait", || wait(|| *OnceLock::<u8>::new().wait())),
    ("LazyLock::force", || {
        let (begin, begun) = std_mpsc::channel();
        let (release, released) = std_mpsc::channel::<()>();
        let lazy = Arc::new(LazyLock::new(move || {
            begin.send(()).unwrap();
            let _ = released.recv();
        }));
        let theirs = Arc::clone(&lazy);
        thread::spawn(move || *LazyLock::force(&theirs));
        begun.recv().unwrap();
        keeping(release, move || *LazyLock::force(&lazy))
    }),
    ("Semaphore::acquire", || wait(|| Semaphore::new(0).acquire().is_ok())),
    ("Semaphore::acquire_many", || wait(|| Semaphore::new(1).acquire_many(2).is_ok())),
    ("Semaphore::acquire_timeout", || wait(|| Semaphore::new(0).acquire_timeout(LONG).is_ok())),
    ("Semaphore::acquire_many_timeout", || wait(|| Semaphore::new(1).acquire_many_timeout(2, LONG).is_ok())),
    ("Semaphore::acquire_owned", || wait(|| Arc::new(Semaphore::new(0)).acquire_owned())),
    ("Semaphore::acquire_many_owned", || wait(|| Arc::new(Semaphore::new(1)).acquire_many_owned(2))),
    ("Notify::notified", || wait(|| Notify::new().notified())),
    ("Notify::notified_timeout", || wait(|| Notify::new().notified_timeout(LONG))),
    ("WaitGroup::wait", || {
        let group = WaitGroup::new();
        keeping(group.clone(), move || group.wait())
    }),
    ("mpsc::Receiver::recv", || {
        let (sender, receiver) = mpsc::channel::<u8>();
        keeping(sender, move || receiver.recv())
    }),
    ("mpsc::Receiver::recv_timeout", || {
        let (sender, receiver) = mpsc::channel::<u8>();
        keeping(sender, move || receiver.recv_timeout(LONG))
    }),
    ("mpsc::Receiver::iter", || {
        let (sender, receiver) = mpsc::channel::<u8>();
        keeping(sender, move || receiver.iter().next())
    }),
    ("mpsc::SyncSender::send, full", || {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(0).unwrap();
        keeping(receiver, move || sender.send(1))
    }),
    ("mpsc::SyncSender::send, capacity 0", || {
        let (sender, receiver) = mpsc::sync_channel(0);
        keeping(receiver, move || sender.send(1))
    }),
];

fn on_a_condition(f: fn(&Condvar, &Mutex<()>)) -> super::Wait {
    wait(move || f(&Condvar::new(), &Mutex::new(())))
}

/// Lets a thread initialise `of`, which lasts until the result is dropped.
fn making<T: Send + Sync + 'static>(
    of: &Arc<T>,
    make: impl FnOnce(&T, Box<dyn FnOnce()>) + Send + 'static,
) -> std_mpsc::Sender<()> {
    let (begin, begun) = std_mpsc::channel();
    let (release, released) = std_mpsc::channel();
    let of = Arc::clone(of);
    thread::spawn(move || {
        let busy = move || {
            begin.send(()).unwrap();
            let _ = released.recv();
        };
        make(&of, Box::new(busy));
    });
    begun.recv().unwrap();
    release
}
