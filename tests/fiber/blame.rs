//! A panic that is the caller's fault names the caller's line, as std's do with `#[track_caller]`.

#![expect(unsafe_code, reason = "calls unsafe ways to spawn, each of which panics before it spawns")]

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use abaca::coroutine::{Coroutine, Yielder};
use abaca::time::{interval, interval_at};
use abaca::{Builder, JoinSet, Runtime};

thread_local! {
    /// The file of the last panic on this thread.
    static BLAMED: Cell<Option<String>> = const { Cell::new(None) };
}

/// The file that the panic of `f` names.
fn blamed<T>(f: impl FnOnce() -> T) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // The first runtime of the process wraps the hook that is there: that has to be this one.
        drop(Runtime::builder().workers(1).build().expect("a worker starts"));
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            BLAMED.set(info.location().map(|location| location.file().to_owned()));
            before(info);
        }));
    });
    BLAMED.set(None);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(f()))).is_err(), "it panics");
    BLAMED.take().expect("the hook has seen the panic")
}

#[track_caller]
fn assert_blames_here<T>(f: impl FnOnce() -> T) {
    assert_eq!(blamed(f), file!());
}

fn small() -> Runtime {
    Runtime::builder().workers(1).max_fibers(1).build().expect("a worker starts")
}

#[test]
fn a_spawn_outside_of_a_runtime_blames_its_caller() {
    assert_blames_here(|| abaca::spawn(|| ()));
    assert_blames_here(|| abaca::spawn_local(|| ()));
    assert_blames_here(|| abaca::scope(|scope| drop(scope.spawn(|| ()))));
    assert_blames_here(|| abaca::try_scope::<_, _, ()>(|scope| Ok(scope.spawn(|| Ok(())).is_finished())));
    assert_blames_here(|| JoinSet::new().spawn(|| ()));
    assert_blames_here(|| JoinSet::new().spawn_with(Builder::new(), || ()));
    assert_blames_here(|| JoinSet::from_iter([|| ()]));
    assert_blames_here(|| abaca::future::spawn_future(async {}));
    assert_blames_here(|| Builder::new().spawn(|| ()).unwrap_or_else(|error| error.raise()));
    let (one, other) = abaca::net::UnixStream::pair().expect("a pair of sockets");
    assert_blames_here(|| abaca::io::copy_bidirectional(&one, &other));
}

#[test]
fn actors_promises_and_servers_outside_of_a_runtime_blame_their_caller() {
    use abaca::actor::supervisor::{Strategy, Supervisor};
    use abaca::actor::{self, Mailbox};
    use abaca::net::{ServeOptions, TcpListener};
    use abaca::promise::{self, Promise};

    assert_blames_here(|| actor::spawn(|_: &mut Mailbox<()>| ()));
    assert_blames_here(|| Supervisor::new(Strategy::OneForOne).start());
    assert_blames_here(|| promise::spawn(|| ()));
    assert_blames_here(|| promise::try_spawn(|| Ok(())));
    assert_blames_here(|| promise::detach(|| ()));
    assert_blames_here(|| promise::choose([] as [Promise<()>; 0]));
    assert_blames_here(|| promise::npick([] as [Promise<()>; 0]));
    let listener = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    assert_blames_here(|| listener().serve(|_, _| ()));
    assert_blames_here(|| ServeOptions::new().serve(listener(), |_, _| ()));
    assert_blames_here(|| ServeOptions::new().max_connections(0));
}

#[test]
fn a_spawn_beyond_the_limit_blames_its_caller() {
    let runtime = small();
    runtime.run(|| {
        assert_blames_here(|| abaca::spawn(|| ()));
        assert_blames_here(|| abaca::spawn_local(|| ()));
    });
    let kept = runtime.spawn(abaca::park);
    assert_blames_here(|| runtime.spawn(|| ()));
    assert_blames_here(|| runtime.run(|| ()));
    kept.cancel();
}

#[test]
fn a_name_with_a_nul_blames_the_caller() {
    let builder = || Builder::new().name("\0".into());
    abaca::run(|| {
        assert_blames_here(|| builder().spawn(|| ()));
        assert_blames_here(|| builder().spawn_local(|| ()));
        let actor = abaca::actor::Builder::new().name("\0".into());
        assert_blames_here(|| actor.spawn(|_: &mut abaca::actor::Mailbox<()>| ()));
        assert_blames_here(|| abaca::scope(|scope| drop(builder().spawn_scoped(scope, || ()))));
        // SAFETY: it never runs.
        assert_blames_here(|| unsafe { builder().spawn_roaming_unchecked(|| ()) });
        // SAFETY: it never runs.
        assert_blames_here(|| unsafe { builder().spawn_unchecked(|| ()) });
    });
}

#[test]
fn an_unjoined_panic_blames_the_scope() {
    abaca::run(|| {
        assert_blames_here(|| abaca::scope(|scope| drop(scope.spawn(|| panic!("as it should")))));
    });
}

#[test]
fn a_runtime_inside_of_its_own_fiber_blames_the_caller() {
    abaca::run(|| {
        assert_blames_here(|| abaca::run(|| ()));
        let other = small();
        assert_blames_here(|| other.run(|| ()));
    });
    let runtime = small();
    let (give, take) = abaca::channel::bounded(1);
    let fiber = runtime.spawn(move || {
        let runtime: Runtime = take.recv().expect("it is sent");
        assert_blames_here(move || runtime.shutdown(Duration::ZERO));
    });
    give.send(runtime).expect("the fiber is there");
    fiber.join().expect("the assertion holds");
}

#[test]
fn an_interval_without_a_period_blames_the_caller() {
    assert_blames_here(|| interval(Duration::ZERO));
    assert_blames_here(|| interval_at(Instant::now(), Duration::ZERO));
}

#[test]
fn a_coroutine_that_has_ended_blames_its_resumer() {
    let mut ended = Coroutine::new(|_: &Yielder<(), ()>, ()| ());
    ended.resume(());
    assert_blames_here(|| ended.resume(()));
}

#[test]
fn a_destroyed_fiber_local_blames_the_caller() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            assert_blames_here(|| GONE.with(|_| ()));
            assert_blames_here(|| GONE.get());
            assert_blames_here(|| GONE.set(1));
            CHECKED.store(true, SeqCst);
        }
    }
    static CHECKED: AtomicBool = AtomicBool::new(false);
    abaca::fiber_local! {
        static LATE: Late = Late;
        static GONE: Cell<u8> = Cell::new(0);
    }
    abaca::run(|| {
        let fiber = abaca::spawn(|| {
            LATE.with(|_| ());
            GONE.set(1); // newer, so dropped first
        });
        fiber.join().expect("it ends");
    });
    assert!(CHECKED.load(SeqCst));
}

#[test]
fn a_fiber_local_that_is_borrowed_blames_the_caller() {
    abaca::fiber_local! {
        static NOTES: RefCell<Vec<u8>> = RefCell::new(Vec::new());
    }
    NOTES.with_borrow(|_| {
        assert_blames_here(|| NOTES.with_borrow_mut(|_| ()));
        assert_blames_here(|| NOTES.set(Vec::new()));
        assert_blames_here(|| NOTES.take());
        assert_blames_here(|| NOTES.replace(Vec::new()));
    });
    NOTES.with_borrow_mut(|_| assert_blames_here(|| NOTES.with_borrow(|_| ())));
}
