//! The basic costs next to tokio's, with criterion's statistics: for looking at one change at a time. The comparison
//! with all peers is `--bin compare`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use abaca::Runtime;
use criterion::Criterion;

/// Runs `body(iterations)` as the main fiber and takes its time.
fn on_abaca(runtime: &Runtime, body: impl Fn(u64) + Sync, iterations: u64) -> Duration {
    runtime.run(|| {
        let began = Instant::now();
        body(iterations);
        began.elapsed()
    })
}

/// The same as a task of tokio.
fn on_tokio<F: Future<Output = ()> + Send + 'static>(runtime: &tokio::runtime::Runtime, body: F) -> Duration {
    let timed = async {
        let began = Instant::now();
        body.await;
        began.elapsed()
    };
    runtime.block_on(async { tokio::spawn(timed).await }).expect("the task ends")
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime")
}

fn yields(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("yield to a neighbour and back");
    let runtime = Runtime::builder().workers(1).build().expect("a runtime");
    group.bench_function("abaca/1", |bencher| {
        let body = |iterations| {
            let neighbour = abaca::spawn_local(move || (0..iterations).for_each(|_| abaca::yield_now()));
            (0..iterations).for_each(|_| abaca::yield_now());
            neighbour.join().expect("no panic");
        };
        bencher.iter_custom(|iterations| on_abaca(&runtime, body, iterations));
    });
    let tokio = tokio_runtime();
    group.bench_function("tokio/1", |bencher| {
        bencher.iter_custom(|iterations| {
            on_tokio(&tokio, async move {
                let turns = async move {
                    for _ in 0..iterations {
                        tokio::task::yield_now().await;
                    }
                };
                let neighbour = tokio::spawn(turns);
                for _ in 0..iterations {
                    tokio::task::yield_now().await;
                }
                neighbour.await.expect("no panic");
            })
        });
    });
}

fn spawns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spawn and join");
    let runtime = Runtime::builder().workers(1).build().expect("a runtime");
    group.bench_function("abaca/1", |bencher| {
        let body = |iterations| {
            for n in 0..iterations {
                black_box(abaca::spawn(move || n).join().expect("no panic"));
            }
        };
        bencher.iter_custom(|iterations| on_abaca(&runtime, body, iterations));
    });
    let tokio = tokio_runtime();
    group.bench_function("tokio/1", |bencher| {
        bencher.iter_custom(|iterations| {
            on_tokio(&tokio, async move {
                for n in 0..iterations {
                    black_box(tokio::spawn(async move { n }).await.expect("no panic"));
                }
            })
        });
    });
}

fn channels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("there and back through two channels");
    let runtime = Runtime::builder().workers(1).build().expect("a runtime");
    group.bench_function("abaca/1", |bencher| {
        let body = |iterations| {
            let (to, at) = abaca::channel::bounded(1);
            let (back_to, back_at) = abaca::channel::bounded(1);
            let echo = abaca::spawn(move || at.iter().for_each(|n: u64| back_to.send(n).expect("connected")));
            for n in 0..iterations {
                to.send(n).expect("connected");
                black_box(back_at.recv().expect("connected"));
            }
            drop(to);
            echo.join().expect("no panic");
        };
        bencher.iter_custom(|iterations| on_abaca(&runtime, body, iterations));
    });
    let tokio = tokio_runtime();
    group.bench_function("tokio/1", |bencher| {
        bencher.iter_custom(|iterations| {
            on_tokio(&tokio, async move {
                let (to, mut at) = tokio::sync::mpsc::channel(1);
                let (back_to, mut back_at) = tokio::sync::mpsc::channel(1);
                let echo = tokio::spawn(async move {
                    while let Some(n) = at.recv().await {
                        back_to.send(n).await.expect("connected");
                    }
                });
                for n in 0..iterations {
                    to.send(n).await.expect("connected");
                    black_box(back_at.recv().await.expect("connected"));
                }
                drop(to);
                echo.await.expect("no panic");
            })
        });
    });
}

fn mutexes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock and unlock");
    let runtime = Runtime::builder().workers(1).build().expect("a runtime");
    group.bench_function("abaca/1", |bencher| {
        let mutex = abaca::sync::Mutex::new(0_u64);
        let body =
            |iterations| (0..iterations).for_each(|n| *black_box(&mutex).lock().expect("no panic") += n);
        bencher.iter_custom(|iterations| on_abaca(&runtime, body, iterations));
    });
    group.bench_function("std", |bencher| {
        let mutex = std::sync::Mutex::new(0_u64);
        bencher.iter(|| *black_box(&mutex).lock().expect("no panic") += 1);
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for group in [yields, spawns, channels, mutexes] {
        group(&mut criterion);
    }
    criterion.final_summary();
}
