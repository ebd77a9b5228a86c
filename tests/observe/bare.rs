//! Leaks at what has no handles of its own: a notification, a condition variable, a semaphore, wherever they lie; and what looks like one and
//! is none, since somebody has a way to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, OnceLock, Weak};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::channel::{bounded, broadcast, never, watch};
use abaca::sync::{Barrier, Condvar, Mutex, Notify, RwLock, Semaphore};

use super::shapes::{Shape, spawn};

const LONG: Duration = Duration::from_secs(3600);

/// A value with a notification somewhere in it.
struct Service {
    before: [usize; 20],
    changed: Notify,
    after: [u8; 300],
}

impl Service {
    fn wait(&self) {
        self.changed.notified();
        std::hint::black_box((self.before[3], self.after[3]));
    }
}

/// Leaks: who could wake waits so itself, or is gone.
pub(crate) const FOUND: &[Shape] = &[
    ("a notification that all who wait for it share", || {
        let shared = Arc::new(Notify::new());
        let other = Arc::clone(&shared);
        vec![spawn(move || shared.notified()), spawn(move || other.notified())]
    }),
    ("a condition that nobody changes any more", || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        vec![spawn(move || {
            let (is_done, changed) = &*shared;
            drop(changed.wait_while(is_done.lock().unwrap(), |is_done| !*is_done));
        })]
    }),
    ("a service whose handles all wait", || {
        let service = Arc::new(service());
        let other = Arc::clone(&service);
        vec![spawn(move || service.wait()), spawn(move || other.wait())]
    }),
    ("a permit that one has who waits for ever", || {
        let permits = Arc::new(Semaphore::new(1));
        let other = Arc::clone(&permits);
        let has = spawn(move || {
            let _permit = permits.acquire();
            assert!(never::<u8>().recv().is_err());
        });
        vec![has, spawn(move || drop((other.acquire(), other.acquire())))]
    }),
    ("a broadcast whose sender its receiver keeps", || {
        vec![spawn(|| {
            let (sender, mut receiver) = broadcast::channel::<u8>(1);
            let _ = receiver.recv();
            drop(sender);
        })]
    }),
    ("a watched value whose sender its receiver keeps", || {
        vec![spawn(|| {
            let (sender, mut receiver) = watch::channel(0);
            let _ = receiver.changed();
            drop(sender);
        })]
    }),
    ("a token that nobody else has", || vec![spawn(|| CancellationToken::new().cancelled())]),
    ("a scope in which one waits for what lies on its stack", || {
        vec![spawn(|| {
            let changed = Notify::new();
            abaca::scope(|scope| _ = scope.spawn(|| changed.notified()));
        })]
    }),
];

static SERVICES: StdMutex<Vec<Arc<Service>>> = StdMutex::new(Vec::new());
static IN_STATIC_DATA: Notify = Notify::new();
static TOKEN: OnceLock<CancellationToken> = OnceLock::new();
static BOXED: OnceLock<Box<Service>> = OnceLock::new();
static MANY: OnceLock<Vec<Service>> = OnceLock::new();
static BY_NAME: OnceLock<HashMap<String, Service>> = OnceLock::new();

fn service() -> Service {
    Service { before: [0; 20], changed: Notify::new(), after: [0; 300] }
}

/// Keeps `kept` in a fiber that sleeps.
fn keep(kept: impl Send + 'static) -> abaca::JoinHandle<()> {
    spawn(move || {
        abaca::sleep(LONG);
        drop(kept);
    })
}

/// What looks like a leak: somebody has a way to it.
pub(crate) const ALIVE: &[Shape] = &[
    ("a notification in static data", || vec![spawn(|| IN_STATIC_DATA.notified())]),
    ("a service that a table in static data has", || {
        let service = Arc::new(service());
        SERVICES.lock().unwrap().push(Arc::clone(&service));
        vec![spawn(move || service.wait())]
    }),
    ("a service that a box in static data has", || {
        let service = BOXED.get_or_init(|| Box::new(service()));
        vec![spawn(|| service.wait())]
    }),
    ("one of many services, in the middle of a vector", || {
        let services = MANY.get_or_init(|| (0..50).map(|_| service()).collect());
        vec![spawn(|| services[25].wait())]
    }),
    ("a service in a hash table, which is held by an address behind it", || {
        let all = || (0..50).map(|number: u32| (number.to_string(), service())).collect();
        let services = BY_NAME.get_or_init(all);
        vec![spawn(|| services["25"].wait())]
    }),
    ("a hash table of services that one has who sleeps", || {
        let services: Arc<HashMap<u32, Service>> =
            Arc::new((0..9).map(|number| (number, service())).collect());
        let kept = keep(Arc::clone(&services));
        vec![kept, spawn(move || services[&5].wait())]
    }),
    ("a vector of services that one has who parks", || {
        let services: &'static [Service] = Vec::leak((0..9).map(|_| service()).collect());
        let parks = spawn(|| {
            abaca::park();
            services[0].changed.notify_one();
        });
        vec![parks, spawn(|| services[5].wait())]
    }),
    ("a service that one has who sleeps", || {
        let service = Arc::new(service());
        vec![keep(Arc::clone(&service)), spawn(move || service.wait())]
    }),
    ("a service in a closure on the heap of one who sleeps", || {
        let service = Arc::new(service());
        let theirs = Arc::clone(&service);
        let call: Box<dyn Fn() + Send> = Box::new(move || theirs.changed.notify_one());
        vec![keep(call), spawn(move || service.wait())]
    }),
    ("a service to which there is a weak handle", || {
        let service = Arc::new(service());
        let weak: Weak<Service> = Arc::downgrade(&service);
        vec![keep(weak), spawn(move || service.wait())]
    }),
    ("a service in a message that nobody has received yet", || {
        let service = Arc::new(service());
        let (sender, receiver) = bounded(1);
        sender.send(Arc::clone(&service)).unwrap();
        vec![keep((sender, receiver)), spawn(move || service.wait())]
    }),
    ("a service in the result of a fiber that nobody has joined yet", || {
        let service = Arc::new(service());
        let theirs = Arc::clone(&service);
        vec![keep(abaca::spawn(move || theirs)), spawn(move || service.wait())]
    }),
    ("a service that a plain thread has", || {
        let service = Arc::new(service());
        let theirs = Arc::clone(&service);
        std::thread::spawn(move || {
            std::thread::park();
            theirs.changed.notify_one();
        });
        vec![spawn(move || service.wait())]
    }),
    ("a service that a suspended coroutine has", || {
        let service = Arc::new(service());
        let theirs = Arc::clone(&service);
        let parked = spawn(move || {
            let mut coroutine = abaca::coroutine::Coroutine::<(), (), ()>::new(move |yielder, ()| {
                yielder.suspend(());
                drop(theirs);
            });
            coroutine.resume(());
            abaca::park();
            drop(coroutine);
        });
        vec![parked, spawn(move || service.wait())]
    }),
    ("a service of which the kernel alone has the other handle", || {
        let service = Arc::new(service());
        let hidden = Arc::into_raw(Arc::clone(&service)).addr();
        // As a program does that has given it to the kernel: nothing in memory is the address.
        let kept = keep([!hidden]);
        vec![kept, spawn(move || service.wait())]
    }),
    ("a notification on the stack of one who sleeps beside it", || {
        vec![spawn(|| {
            let changed = Notify::new();
            abaca::scope(|scope| {
                scope.spawn(|| changed.notified());
                scope.spawn(|| {
                    abaca::sleep(LONG);
                    changed.notify_one();
                });
            });
        })]
    }),
    ("a notification on a stack, by a part of what it is in", || {
        vec![spawn(|| {
            let service = service();
            let service = &service;
            abaca::scope(|scope| {
                scope.spawn(|| service.wait());
                // It has the whole, and uses the part.
                scope.spawn(move || {
                    abaca::sleep(LONG);
                    std::hint::black_box(service).changed.notify_one();
                });
            });
        })]
    }),
    ("a permit that one gives who sleeps", || {
        let permits = Arc::new(Semaphore::new(0));
        let theirs = Arc::clone(&permits);
        let gives = spawn(move || {
            abaca::sleep(LONG);
            theirs.add_permits(1);
        });
        vec![gives, spawn(move || drop(permits.acquire()))]
    }),
    ("a writer behind a reader that sleeps", || {
        let lock = Arc::new(RwLock::new(()));
        let (reads, held) = (Arc::clone(&lock), Arc::new(Notify::new()));
        let tells = Arc::clone(&held);
        let reader = spawn(move || {
            let _held = reads.read().unwrap();
            tells.notify_one();
            abaca::sleep(LONG);
        });
        let writer = spawn(move || {
            held.notified();
            drop(lock.write());
        });
        vec![reader, writer]
    }),
    ("a condition with a deadline", || {
        vec![spawn(|| {
            let (lock, changed) = (Mutex::new(()), Condvar::new());
            drop(changed.wait_timeout(lock.lock().unwrap(), LONG));
        })]
    }),
    ("a notification with a deadline around it", || {
        vec![spawn(|| _ = abaca::time::timeout(LONG, || Notify::new().notified()))]
    }),
    ("a barrier to which one comes later", || {
        let barrier = Arc::new(Barrier::new(2));
        vec![keep(Arc::clone(&barrier)), spawn(move || _ = barrier.wait())]
    }),
    ("a token whose parent is in static data", || {
        let child = TOKEN.get_or_init(CancellationToken::new).child_token();
        vec![spawn(move || child.cancelled())]
    }),
    ("a wait that a token of one who sleeps may end", || {
        let token = CancellationToken::new();
        let theirs = token.clone();
        vec![keep(theirs), spawn(move || _ = token.run_until_cancelled(|| Notify::new().notified()))]
    }),
    ("a broadcast whose sender sleeps", || {
        let (sender, mut receiver) = broadcast::channel::<u8>(1);
        vec![keep(sender), spawn(move || drop(receiver.recv()))]
    }),
    ("a watched value whose sender sleeps", || {
        let (sender, mut receiver) = watch::channel(0);
        vec![keep(sender), spawn(move || drop(receiver.changed()))]
    }),
];
