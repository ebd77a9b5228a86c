//! The memory of fibers' cells, which goes from worker to worker: threads and fibers that spawn, workers that steal, handles that go
//! elsewhere or outlive their runtime. Each closure and each result is whole when it is used, and dropped once.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::channel::{Sender, unbounded};
use abaca::{JoinHandle, Runtime};
use abaca_tests::Choices;

/// How many are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

/// A value with a pattern by which a foreign write would be seen. It counts while it lives.
struct Marked<const WORDS: usize> {
    mark: u64,
    words: [u64; WORDS],
    alive: Alive,
}

impl Alive {
    fn mark<const WORDS: usize>(&self, mark: u64) -> Marked<WORDS> {
        self.0.fetch_add(1, SeqCst);
        Marked { mark, words: std::array::from_fn(|index| mark ^ index as u64), alive: self.clone() }
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl<const WORDS: usize> Marked<WORDS> {
    fn check(&self) -> u64 {
        assert!(self.words.iter().enumerate().all(|(index, word)| *word == self.mark ^ index as u64));
        self.mark
    }
}

impl<const WORDS: usize> Drop for Marked<WORDS> {
    fn drop(&mut self) {
        self.check();
        self.alive.0.fetch_sub(1, SeqCst);
    }
}

/// As a closure that must be aligned.
#[repr(align(128))]
struct Aligned(u64);

/// Spawns a fiber whose cell is of some size, and says what it returns: the number, or a panic with it.
fn spawn(number: u64, alive: &Alive, choices: &mut Choices) -> JoinHandle<u64> {
    macro_rules! of {
        ($words:literal) => {{
            let marked = alive.mark::<$words>(number);
            abaca::spawn(move || {
                if number.is_multiple_of(7) {
                    resume_unwind(Box::new(marked.check()));
                }
                marked.check()
            })
        }};
    }
    match choices.below(7) {
        0 => of!(0),
        1 => of!(2),
        2 => of!(9),
        3 => of!(40),
        4 => of!(120),
        5 => of!(1_000),
        _ => {
            let aligned = Aligned(number);
            abaca::spawn(move || {
                let whole = &aligned;
                assert!(std::ptr::from_ref(whole).addr().is_multiple_of(128));
                if whole.0.is_multiple_of(7) { resume_unwind(Box::new(whole.0)) } else { whole.0 }
            })
        }
    }
}

fn take(number: u64, handle: JoinHandle<u64>) {
    let returned =
        handle.join().unwrap_or_else(|payload| *payload.downcast().expect("it panics with its number"));
    assert_eq!(returned, number);
}

/// What a fiber does with the handles of those that it spawns: joins them, drops them, or sends them elsewhere.
fn spawn_many(count: u64, mut choices: Choices, alive: &Alive, elsewhere: &Sender<(u64, JoinHandle<u64>)>) {
    let mut kept = Vec::new();
    for number in 0..count {
        let handle = spawn(number, alive, &mut choices);
        match choices.below(4) {
            0 => drop(handle),
            1 => elsewhere.send((number, handle)).expect("somebody takes them"),
            2 => take(number, handle),
            _ => kept.push((number, handle)),
        }
    }
    kept.into_iter().for_each(|(number, handle)| take(number, handle));
}

#[test]
fn cells_go_from_worker_to_worker_and_from_runtime_to_runtime() {
    let seed = Choices::seed();
    let alive = Alive::default();
    let (elsewhere, arrivals) = unbounded();
    let joins = || arrivals.iter().for_each(|(number, handle)| take_or_never_run(number, handle));
    std::thread::scope(|threads| {
        for stream in 0..3 {
            let (alive, elsewhere) = (alive.clone(), elsewhere.clone());
            // Runtimes end while handles to their fibers are under way, and while others take cells.
            threads.spawn(move || {
                for round in 0..4 {
                    let runtime = Runtime::builder().workers(1 + stream as usize).build().unwrap();
                    runtime.run(|| {
                        abaca::scope(|scope| {
                            for fiber in 0..4 {
                                let (alive, elsewhere) = (&alive, &elsewhere);
                                let choices = Choices::new(seed, (stream * 4 + round) * 4 + fiber);
                                scope.spawn(move || spawn_many(300, choices, alive, elsewhere));
                            }
                        });
                    });
                    let from_outside = runtime.spawn(move || stream);
                    assert_eq!(from_outside.join().unwrap(), stream);
                }
            });
        }
        drop(elsewhere);
        // Half of the handles are taken by a fiber of yet another runtime, half by a plain thread.
        threads.spawn(|| Runtime::builder().workers(1).build().unwrap().run(joins));
        threads.spawn(joins);
    });
    assert_eq!(alive.count(), 0);
}

/// As [`take`], of a fiber whose runtime may have ended before it ran.
fn take_or_never_run(number: u64, handle: JoinHandle<u64>) {
    match handle.join() {
        Ok(returned) => assert_eq!(returned, number),
        Err(payload) if payload.is::<abaca::Cancelled>() => {}
        Err(payload) => assert_eq!(payload.downcast_ref(), Some(&number)),
    }
}

#[test]
fn a_handle_that_outlives_its_runtime_frees_the_cell_anywhere() {
    let alive = Alive::default();
    let handles: Vec<_> = (0..3)
        .map(|_| {
            let runtime = Runtime::builder().workers(1).build().unwrap();
            runtime.run(|| {
                let marked = alive.mark::<30>(5);
                let fiber = abaca::spawn(move || marked);
                while !fiber.is_finished() {
                    abaca::yield_now();
                }
                fiber
            })
        })
        .collect();
    assert_eq!(alive.count(), 3);
    let mut handles = handles.into_iter();
    assert_eq!(handles.next().unwrap().join().unwrap().check(), 5);
    drop(handles.next());
    abaca::run(|| drop(handles.next()));
    assert_eq!(alive.count(), 0);
}

#[test]
fn cells_of_ended_fibers_are_kept_for_new_ones() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let spawned = runtime.run(|| {
        let batch = || {
            let handles: Vec<_> = (0..1_000).map(|number| abaca::spawn(move || number)).collect();
            handles.into_iter().for_each(|handle| drop(handle.join()));
        };
        batch();
        let kept = abaca::observe::metrics().unwrap().free_cell_bytes;
        batch();
        (kept, abaca::observe::metrics().unwrap().free_cell_bytes)
    });
    // Builds that watch the allocator keep none.
    assert!(spawned.0 == 0 || spawned.0 > 800 * 100, "{spawned:?}");
    assert!(
        spawned.1 <= spawned.0 + 64 * 1024,
        "the second batch has used what the first has left: {spawned:?}"
    );
}
