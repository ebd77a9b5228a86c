//! The shapes of known leaks of goroutines, written anew: which of them are found, and what looks like them and is none.
//!
//! Many leaks of Go's cannot be written here: a sender whose receiver has gone, the most frequent one, gets an error and goes on. What
//! is left are fibers that hold on to the ends for which they wait.

use std::sync::Arc;
use std::time::Duration;

use abaca::JoinHandle;
use abaca::channel::{bounded, never, oneshot};
use abaca::fiber::FiberId;
use abaca::observe::flight::Recorder;
use abaca::observe::{FiberDump, Leaks, leaks, leaks_within};
use abaca::sync::{Barrier, Mutex, Notify, Once, RwLock, WaitGroup};

pub(crate) type Shape = (&'static str, fn() -> Vec<JoinHandle<()>>);

pub(crate) fn spawn(f: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    abaca::spawn(f)
}

/// Leaks that are found.
const FOUND: &[Shape] = &[
    ("a range over a channel that its own fiber could close", || {
        vec![spawn(|| {
            let (sender, receiver) = bounded(1);
            sender.send(1).unwrap();
            receiver.iter().for_each(drop);
        })]
    }),
    ("two that each wait for the other's message", || {
        let ((to_b, at_b), (to_a, at_a)) = (bounded::<u8>(0), bounded::<u8>(0));
        let a = spawn(move || {
            let _ = at_a.recv();
            let _ = to_b.send(1);
        });
        let b = spawn(move || {
            let _ = at_b.recv();
            let _ = to_a.send(1);
        });
        vec![a, b]
    }),
    ("a pool whose producer waits for results before it closes the jobs", || {
        let ((jobs, todo), (results, done)) = (bounded::<u8>(1), bounded::<u8>(1));
        let mut fibers: Vec<_> = (0..3)
            .map(|_| {
                let (todo, results) = (todo.clone(), results.clone());
                spawn(move || todo.iter().for_each(|job| results.send(job).unwrap()))
            })
            .collect();
        drop((todo, results));
        fibers.push(spawn(move || {
            jobs.send(1).unwrap();
            done.iter().for_each(drop);
            drop(jobs);
        }));
        fibers
    }),
    ("a full channel that its sender would have to empty", || {
        vec![spawn(|| {
            let (sender, receiver) = bounded(1);
            let _ = (sender.send(1), sender.send(2));
            drop(receiver);
        })]
    }),
    ("a lock that is held by one who sends to who wants the lock", || {
        let (mutex, (sender, receiver)) = (Arc::new(Mutex::new(())), bounded(0));
        let (theirs, is_locked) = (Arc::clone(&mutex), Arc::new(Notify::new()));
        let tells = Arc::clone(&is_locked);
        let holder = spawn(move || {
            let _held = theirs.lock().unwrap();
            tells.notify_one();
            let _ = sender.send(1);
        });
        let other = spawn(move || {
            is_locked.notified();
            drop(mutex.lock().unwrap());
            let _ = receiver.recv();
        });
        vec![holder, other]
    }),
    ("a lock that is taken twice", || {
        vec![spawn(|| {
            let mutex = Mutex::new(());
            let _held = mutex.lock().unwrap();
            drop(mutex.lock());
        })]
    }),
    ("two locks in two orders", || super::roles::cross("shape").into()),
    ("a writer that wants to read", || {
        vec![spawn(|| {
            let lock = RwLock::new(());
            let _held = lock.write().unwrap();
            drop(lock.read());
        })]
    }),
    ("a nil channel", || vec![spawn(|| assert!(never::<u8>().recv().is_err()))]),
    ("a join of one who waits for ever", || {
        vec![spawn(|| {
            let leaked = spawn(|| assert!(never::<u8>().recv().is_err()));
            let _ = leaked.join();
        })]
    }),
    ("a once that calls itself", || {
        vec![spawn(|| {
            let once = Once::new();
            once.call_once(|| once.call_once(|| ()));
        })]
    }),
    ("a sender that nobody receives from, since its receiver waits for it to end", || {
        let (sender, receiver) = bounded::<u8>(0);
        vec![spawn(move || {
            let child = spawn(move || assert!(sender.send(1).is_err()));
            let _ = child.join();
            drop(receiver);
        })]
    }),
    ("a wait group whose part is kept", || {
        vec![spawn(|| {
            let group = WaitGroup::new();
            let kept = group.clone();
            group.wait();
            drop(kept);
        })]
    }),
    ("a select of dead channels", || {
        vec![spawn(|| {
            let ((_a, at_a), (_b, at_b)) = (bounded::<u8>(0), bounded::<u8>(0));
            abaca::channel::select! {
                recv(at_a) -> _ => (),
                recv(at_b) -> _ => (),
            }
        })]
    }),
    ("a oneshot whose sender its receiver keeps", || {
        vec![spawn(|| {
            let (sender, receiver) = oneshot::channel::<u8>();
            let _ = receiver.recv();
            drop(sender);
        })]
    }),
    ("a request whose answer is to come from one who waits for the requester", || {
        let ((ask, asked), (question, next)) = (oneshot::channel::<u8>(), bounded::<u8>(0));
        let answers = spawn(move || {
            let _ = next.recv();
            let _ = ask.send(1);
        });
        let asks = spawn(move || {
            let _ = asked.recv();
            let _ = question.send(1);
        });
        vec![answers, asks]
    }),
    ("a scope whose fiber wants its lock", || {
        vec![spawn(|| {
            let mutex = Mutex::new(());
            let _held = mutex.lock().unwrap();
            abaca::scope(|scope| _ = scope.spawn(|| drop(mutex.lock())));
        })]
    }),
    ("a missed notification", || vec![spawn(|| Notify::new().notified())]),
    ("a barrier to which nobody else comes", || vec![spawn(|| _ = Barrier::new(2).wait())]),
    ("a writer behind a reader that waits for ever", || {
        let lock = Arc::new(RwLock::new(()));
        let held = Arc::new(Notify::new());
        let (reads, writes, tells) = (Arc::clone(&lock), lock, Arc::clone(&held));
        let reader = spawn(move || {
            let _first = reads.read().unwrap();
            tells.notify_one();
            let (_never, wait) = bounded::<u8>(0);
            let _ = wait.recv();
        });
        let writer = spawn(move || {
            held.notified();
            drop(writes.write());
        });
        vec![reader, writer]
    }),
];

/// Those of them whose detection depends on no word in memory, or on words on their own stack alone.
const IS_CERTAIN: &[&str] = &[
    "a lock that is taken twice",
    "two locks in two orders",
    "a writer that wants to read",
    "a nil channel",
    "a join of one who waits for ever",
    "a once that calls itself",
    "a scope whose fiber wants its lock",
    "a missed notification",
    "a barrier to which nobody else comes",
];

/// How often leaks are searched for anew that are not found: on a busy machine a worker's fibers may be read from outside, and then it is
/// not always known who holds a lock.
pub(crate) const TRIES: usize = 100;

/// Makes the shapes, each in a fiber that ends, and looks when all their fibers wait. Calls `judge` for each with how many of its
/// fibers are leaked, and how many there are; looks again while it is false for one.
fn look(shapes: &'static [Shape], judge: impl Fn(&str, usize, usize) -> bool) {
    let mut made = Vec::new();
    for shape in shapes {
        made.push((shape.0, spawn_shape(shape)));
    }
    let ids =
        |handles: &[JoinHandle<()>]| -> Vec<FiberId> { handles.iter().map(|one| one.fiber().id()).collect() };
    let all: Vec<FiberId> = made.iter().flat_map(|(_, handles)| ids(handles)).collect();
    // Not by a dump, which would leave many words in memory that look like ends.
    while abaca::observe::parked().iter().map(|(_, fibers)| *fibers as usize).sum::<usize>() < all.len() {
        abaca::yield_now();
    }
    let judge_all = || {
        let found = searched();
        let is_right = |(name, handles): &(&str, Vec<JoinHandle<()>>)| {
            let ours = ids(handles);
            let is_ours = |fiber: &&FiberDump| fiber.id().is_some_and(|id| ours.contains(&id));
            judge(name, found.fibers().iter().filter(is_ours).count(), ours.len())
        };
        made.iter().filter(|shape| !is_right(shape)).map(|shape| shape.0).collect::<Vec<_>>()
    };
    let mut wrong = judge_all();
    for _ in 1..TRIES {
        if !wrong.is_empty() {
            wrong = judge_all();
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    for (_, handles) in made {
        handles.iter().for_each(|fiber| fiber.cancel());
        handles.into_iter().for_each(|fiber| drop(fiber.join()));
    }
}

/// Searches, and again if a worker could not be looked at, which the machine has given no processor. There is as much time as it takes.
pub(crate) fn searched() -> Leaks {
    loop {
        let found = leaks_within(Duration::MAX);
        match found.not_searched() {
            None => return found,
            Some(why) => assert!(why.contains("a worker"), "{why}"),
        }
    }
}

#[inline(never)]
fn spawn_shape(shape: &'static Shape) -> Vec<JoinHandle<()>> {
    abaca::spawn(shape.1).join().unwrap()
}

/// In a child process, since the memory of the whole process is searched.
pub(crate) fn find() {
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        look(FOUND, |name, found, of| {
            println!("leak: {name}: found {found} of {of}");
            // A word that is left over from an end that is gone may hide one.
            found == of || !IS_CERTAIN.contains(&name)
        });
        for shapes in [super::look_alikes::ALIVE, super::bare::ALIVE] {
            look(shapes, |name, found, of| {
                println!("no leak: {name}: found {found} of {of}");
                assert_eq!(found, 0, "{name}");
                true
            });
        }
    });
}

/// One leak, in a process whose memory has next to no words that are left over.
pub(crate) fn find_alone(name: &str) {
    let mut all = FOUND.iter().chain(super::bare::FOUND);
    let shape = all.find(|shape| shape.0 == name).expect("a shape has this name");
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        look(std::slice::from_ref(shape), |_, found, of| found == of);
    });
}

/// One leak of a runtime whose recorder, a full one or not, keeps copies of all stacks.
pub(crate) fn find_beside_copies(is_full: bool) {
    let shape = FOUND.iter().find(|shape| shape.0 == "a missed notification").expect("there is one");
    let recorder = if is_full { Recorder::new() } else { Recorder::coarse() };
    let builder = abaca::Runtime::builder().workers(2).flight_recorder(recorder.stacks(1));
    builder.build().unwrap().run(|| look(std::slice::from_ref(shape), |_, found, of| found == of));
}

/// Of what has no ends of its own, on the heap: in a process whose memory has few words that are left over.
pub(crate) fn find_bare() {
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        look(super::bare::FOUND, |name, found, of| {
            println!("leak: {name}: found {found} of {of}");
            true
        });
    });
}

/// A place where ever more fibers wait.
pub(crate) fn grow() {
    abaca::run(|| {
        let mut all = Vec::new();
        let (mut growing, mut has_seen_all) = (Vec::new(), true);
        while growing.is_empty() {
            all.extend((0..10).map(|_| spawn(|| Notify::new().notified())));
            while abaca::dump().fibers().iter().filter(|fiber| fiber.wait().is_some()).count() < all.len() {
                abaca::yield_now();
            }
            let found = leaks();
            has_seen_all &= found.not_searched().is_none();
            growing = found.growing().to_vec();
        }
        assert_eq!(growing.len(), 1);
        let counts = (growing[0].before(), growing[0].fibers());
        assert!(counts == (10, 40) || !has_seen_all, "at the fourth look: {counts:?}");
        assert_eq!(growing[0].reason(), "notification");
        let found = searched();
        assert!(found.growing().is_empty() || !has_seen_all, "it grows no more");
        all.iter().for_each(|fiber| fiber.cancel());
        all.into_iter().for_each(|fiber| drop(fiber.join()));
    });
}

/// How many processes a leak may need that was hidden in one: where the allocator puts things differs from one to the next.
const PROCESSES: usize = 5;

/// Whether a process says that it has found all fibers of this leak.
fn is_found(leak: &str, told: &str) -> bool {
    let prefix = format!("leak: {leak}: found ");
    let mut counts = told.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(" of "));
    counts.any(|(found, of)| found == of)
}

#[test]
fn copies_of_stacks_hide_no_leak() {
    for role in ["leak beside copies of the log", "leak beside copies of the full recorder"] {
        let finds = |_| super::child::run(role).status.success();
        assert!((0..PROCESSES).any(finds), "{role}");
    }
}

#[test]
fn leaks_of_known_shapes_are_found_and_nothing_else() {
    for role in ["shapes", "bare", "shapes beside a terabyte", "leaks beside a hog", "growth"] {
        let output = super::child::run(role);
        let told = String::from_utf8_lossy(&output.stdout);
        println!("{told}");
        assert!(output.status.success(), "{role}: {}", super::child::stderr(&output));
        let shapes = match role {
            "shapes" => FOUND,
            "bare" => super::bare::FOUND,
            _ => continue,
        };
        for (leak, _) in shapes.iter().filter(|(leak, _)| !is_found(leak, &told)) {
            let finds = |_| super::child::run(&format!("leak: {leak}")).status.success();
            assert!((0..PROCESSES).any(finds), "{leak}: found in none of {PROCESSES} processes");
        }
    }
}
