//! Waits for the time, for fibers and actors, for tokens, promises and futures.

use std::future::pending;
use std::time::Instant;

use abaca::actor::supervisor::{Strategy, Supervisor};
use abaca::actor::{self, Mailbox, Reply};
use abaca::cancel::{CancellationToken, shield};
use abaca::future::{block_on, select, spawn_future};
use abaca::net::{TcpListener, TcpStream};
use abaca::promise::{self, Promise};
use abaca::time::{interval, sleep_until, timeout};
use abaca::{JoinSet, channel, park, spawn};

use super::{LONG, Setup, keeping, wait};

pub(super) const WAITS: &[Setup] = &[
    ("park", || wait(park)),
    ("park_timeout", || wait(|| abaca::park_timeout(LONG))),
    ("sleep", || wait(|| abaca::sleep(LONG))),
    ("sleep_until", || wait(|| sleep_until(Instant::now() + LONG))),
    ("timeout", || wait(|| timeout(LONG, park))),
    ("a wait after a shield", || {
        wait(|| {
            shield(|| ());
            park();
        })
    }),
    ("Interval::tick", || {
        wait(|| {
            let mut interval = interval(LONG);
            interval.tick();
            interval.tick();
        })
    }),
    ("CancellationToken::cancelled", || wait(|| CancellationToken::new().cancelled())),
    ("CancellationToken::cancelled_timeout", || wait(|| CancellationToken::new().cancelled_timeout(LONG))),
    ("CancellationToken::run_until_cancelled", || {
        wait(|| CancellationToken::new().run_until_cancelled(park))
    }),
    ("block_on", || wait(|| block_on(pending::<()>()))),
    ("future::select", || {
        let (sender, receiver) = channel::unbounded::<u8>();
        keeping(sender, move || select(pending::<()>(), &receiver))
    }),
    ("Promise::wait", || {
        let (promise, resolver) = Promise::<u8>::pending();
        keeping(resolver, move || promise.wait())
    }),
    ("Promise::wait_timeout", || {
        let (promise, resolver) = Promise::<u8>::pending();
        keeping(resolver, move || promise.wait_timeout(LONG))
    }),
    ("Promise::wait_deadline", || {
        let (promise, resolver) = Promise::<u8>::pending();
        keeping(resolver, move || promise.wait_deadline(Instant::now() + LONG))
    }),
];

/// They spawn, so there has to be a runtime.
pub(super) const WITH_RUNTIME: &[Setup] = &[
    ("JoinHandle::join", || wait(|| spawn(park).join())),
    ("JoinHandle, awaited", || wait(|| block_on(spawn(park)))),
    ("spawn_future", || wait(|| spawn_future(pending::<()>()).join())),
    ("scope", || wait(|| abaca::scope(|scope| drop(scope.spawn(park))))),
    ("ScopedJoinHandle::join", || wait(|| abaca::scope(|scope| scope.spawn(park).join()))),
    ("try_scope", || {
        wait(|| {
            abaca::try_scope(|scope| {
                scope.spawn(|| {
                    park();
                    Err::<(), _>(())
                });
                Ok(())
            })
        })
    }),
    ("JoinSet::join_next", || wait(|| set().join_next())),
    ("JoinSet::join_next_timeout", || wait(|| set().join_next_timeout(LONG))),
    ("JoinSet::join_all", || wait(|| set().join_all())),
    ("promise::spawn", || wait(|| promise::spawn(park).wait())),
    ("Pid::wait", || wait(|| silent().pid().wait())),
    ("ActorRef::wait", || wait(|| silent().wait())),
    ("ActorRef::wait_timeout", || wait(|| silent().wait_timeout(LONG))),
    ("ActorRef::call", || wait(|| silent().call(LONG, |reply| reply))),
    ("SupervisorRef::wait", || wait(|| Supervisor::new(Strategy::OneForOne).start().wait())),
    ("copy_bidirectional", || {
        wait(|| {
            let [(front, _client), (back, _server)] =
                [(); 2].map(|()| abaca::net::UnixStream::pair().unwrap());
            abaca::io::copy_bidirectional(&front, &back)
        })
    }),
    ("Server::stopped", || wait(|| listener().serve(|_, _| ()).stopped())),
    ("Server::drain", || {
        wait(|| {
            let listener = listener();
            let address = listener.local_addr().unwrap();
            let (serves, served) = channel::unbounded();
            let server = listener.serve(move |_, _| {
                serves.send(()).unwrap();
                park();
            });
            let _client = TcpStream::connect(address).unwrap();
            served.recv().unwrap();
            server.drain(LONG)
        })
    }),
];

/// A fiber that never ends.
fn set() -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(park);
    set
}

/// An actor that answers nobody.
fn silent() -> actor::ActorRef<Reply<u8>> {
    actor::spawn(|mailbox: &mut Mailbox<Reply<u8>>| {
        let _reply = mailbox.receive();
        park();
    })
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
