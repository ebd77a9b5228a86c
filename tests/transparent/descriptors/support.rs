//! Scenarios that run twice: on an OS thread, where libc's functions are libc's own, and on a fiber of one worker. Both must end alike.

#![expect(unsafe_code, reason = "asks for the thread's id")]

use std::cell::Cell;
use std::fmt::Debug;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Runs `f` as the main fiber of a runtime with one worker, which never leaves its thread: a call that blocks the thread would block the
/// neighbours for ever.
pub(crate) fn on_one_worker<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    watch();
    abaca_transparent::install().expect("fibers can have storage of their own here");
    let builder = abaca::Runtime::builder().workers(1).max_spare_threads(0);
    let runtime = builder.build().expect("a runtime starts");
    beside_others(|| runtime.run(f))
}

/// Held by tests that start children, alone. A child has its parent's descriptors, until it has begun its program or ends: a pipe that another
/// test closes meanwhile has not ended.
static CHILDREN: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether the calling test holds it, in one way or the other.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

fn holding<G, R>(hold: impl FnOnce() -> G, f: impl FnOnce() -> R) -> R {
    if HOLDS.replace(true) {
        return f();
    }
    let _guard = hold();
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            HOLDS.set(false);
        }
    }
    let _held = Held;
    f()
}

/// Calls `f`, a test or a part of one, while no other test starts a child.
pub(crate) fn beside_others<R>(f: impl FnOnce() -> R) -> R {
    holding(|| CHILDREN.read().unwrap_or_else(PoisonError::into_inner), f)
}

/// Calls `f`, a test that starts a child, while no other runs that would notice.
pub(crate) fn with_children<R>(f: impl FnOnce() -> R) -> R {
    holding(|| CHILDREN.write().unwrap_or_else(PoisonError::into_inner), f)
}

/// How long all tests together may take.
const LIMIT: Duration = Duration::from_secs(1200);

/// Ends the process if it takes too long: a blocked worker shows as a test that never ends.
fn watch() {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if !IS_WATCHED.swap(true, SeqCst) {
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            eprintln!("a worker is blocked: the tests have not ended after {LIMIT:?}");
            std::process::abort();
        });
    }
}

/// Where a scenario runs.
pub(crate) struct World {
    /// The id of its OS thread; `None` for a fiber.
    thread: Option<libc::pid_t>,
    /// Set by the scenario right before the call that is to wait.
    is_about_to_wait: Arc<AtomicBool>,
    /// How often a neighbour has run.
    pub(crate) turns: Arc<AtomicUsize>,
}

impl World {
    fn new(thread: Option<libc::pid_t>) -> Self {
        Self { thread, is_about_to_wait: Arc::default(), turns: Arc::default() }
    }

    pub(crate) fn is_fiber(&self) -> bool {
        self.thread.is_none()
    }

    /// Calls `f` elsewhere when the scenario waits in the call that it makes next.
    pub(crate) fn when_waiting(&self, f: impl FnOnce() + Send + 'static) -> Helper {
        self.is_about_to_wait.store(true, SeqCst);
        let turns = Arc::clone(&self.turns);
        match self.thread {
            Some(id) => Helper::Thread(std::thread::spawn(move || {
                while !is_waiting(id) {
                    std::thread::yield_now();
                }
                f();
            })),
            // The only worker runs this while the scenario waits, or gives way.
            None => Helper::Fiber(abaca::spawn(move || {
                for _ in 0..20 {
                    turns.fetch_add(1, SeqCst);
                    abaca::yield_now();
                }
                f();
            })),
        }
    }
}

/// Who acts when the scenario waits.
#[must_use]
pub(crate) enum Helper {
    Thread(std::thread::JoinHandle<()>),
    Fiber(abaca::JoinHandle<()>),
}

impl Helper {
    pub(crate) fn join(self) {
        match self {
            Self::Thread(thread) => thread.join().unwrap(),
            Self::Fiber(fiber) => fiber.join().unwrap(),
        }
    }
}

/// Whether the thread sleeps in a system call, at two looks.
pub(crate) fn is_waiting(id: libc::pid_t) -> bool {
    let state = || {
        let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        let sleeps = rest.starts_with('S');
        (sleeps, fs::read_to_string(format!("/proc/self/task/{id}/syscall")).unwrap_or_default())
    };
    let first = state();
    first.0
        && (0..20).all(|_| {
            std::thread::yield_now();
            state() == first
        })
}

/// Runs a scenario on an OS thread and on a fiber, and compares what it returns.
#[track_caller]
pub(crate) fn same<T: PartialEq + Debug + Send + 'static>(
    name: &str,
    scenario: impl Fn(&World) -> T + Send + Sync,
) {
    beside_others(|| both_ways(name, scenario));
}

#[track_caller]
fn both_ways<T: PartialEq + Debug + Send + 'static>(
    name: &str,
    scenario: impl Fn(&World) -> T + Send + Sync,
) {
    let thread = std::thread::scope(|scope| {
        let run = || {
            // SAFETY: no memory is involved.
            let id = unsafe { libc::gettid() };
            scenario(&World::new(Some(id)))
        };
        scope.spawn(run).join().unwrap()
    });
    let fiber =
        on_one_worker(|| abaca::scope(|scope| scope.spawn(|| scenario(&World::new(None))).join().unwrap()));
    assert_eq!(fiber, thread, "{name}: a fiber, and a thread");
}

/// The result of a call, and the error number if it is -1.
pub(crate) fn outcome(result: isize) -> (isize, i32) {
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    (result, if result < 0 { error } else { 0 })
}

/// A number of an owned descriptor.
pub(crate) fn raw(fd: &OwnedFd) -> i32 {
    fd.as_raw_fd()
}

#[test]
fn the_hooks_are_the_process_s_functions() {
    on_one_worker(|| assert!(abaca::hook::on_fiber()));
    assert!(!abaca::hook::on_fiber());
}
