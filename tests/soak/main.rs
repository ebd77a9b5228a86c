//! The soak: everything at once, for long, and at the end nothing is left over.
//!
//! `cargo run --release -p abaca-tests --example soak` runs for 30 minutes; an argument, or `ABACA_SOAK_SECONDS`, is another
//! number of seconds, and `ABACA_SEED` repeats a run's choices. Each round mixes all kinds of work on one runtime, and then
//! takes stock: descriptors, threads, fibers and zombies must be as many as after the first rounds, and memory may not
//! grow. The status is 0 if that held, and each kind of work was done in each round.

#[path = "../chaos/exchange.rs"]
mod exchange;
mod feats;
#[path = "../chaos/lossy.rs"]
mod lossy;
#[path = "../chaos/proxy.rs"]
mod proxy;
mod stock;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use abaca::Runtime;
use abaca_tests::Choices;

use stock::{History, Stock};
use work::Ground;

/// Half an hour.
const SECONDS: u64 = 30 * 60;

/// The runtime's limit, by which it counts its fibers.
const MOST_FIBERS: usize = 4_000;

/// A round that takes so much longer than it should hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).or_else(|| std::env::var("ABACA_SOAK_SECONDS").ok());
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let seed = Choices::seed();
    let end = Instant::now() + Duration::from_secs(seconds);
    let round_time = Duration::from_secs((seconds / 12).clamp(1, 20));
    let keep_alive = Duration::from_millis(50);
    let runtime = Runtime::builder().max_fibers(MOST_FIBERS).blocking_keep_alive(keep_alive);
    let runtime = runtime.build().expect("a runtime");
    let ground = Arc::new(runtime.run(Ground::new));
    let begun = watch_rounds(round_time);
    let mut history = History::default();
    let mut number = 0;
    while Instant::now() < end {
        begun.store(number + 1, SeqCst);
        let done = runtime.run(|| work::round(&ground, Instant::now() + round_time, seed, number));
        let stock = Stock::take(&runtime, MOST_FIBERS);
        println!("round {number}: {stock}; done: {done}");
        if let Some(idle) = done.idle_kind() {
            println!("FAILED: no {idle} was done");
            return ExitCode::FAILURE;
        }
        history.add(stock);
        number += 1;
    }
    // On a busy machine what ends late may need more time than that.
    let late = Instant::now() + Duration::from_secs(60);
    while history.judge().is_err() && Instant::now() < late {
        history.look_again(Stock::take(&runtime, MOST_FIBERS));
    }
    begun.store(0, SeqCst);
    let ground = Arc::into_inner(ground).expect("all fibers have ended");
    runtime.run(move || ground.close());
    if let Err(error) = runtime.shutdown(Duration::from_secs(60)) {
        println!("FAILED: {error}");
        return ExitCode::FAILURE;
    }
    match history.judge() {
        Ok(()) => {
            println!("HELD: {number} rounds, all flat");
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("FAILED: {what}");
            ExitCode::FAILURE
        }
    }
}

/// A thread that ends the process when a round does not end. It is told the number of the round that has begun; 0 is none.
fn watch_rounds(round_time: Duration) -> Arc<AtomicU64> {
    let begun = Arc::new(AtomicU64::new(0));
    let watched = Arc::clone(&begun);
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = watched.load(SeqCst);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > round_time + PATIENCE {
                println!("FAILED: hangs in round {now}: {}", work::under_way());
                std::process::exit(1);
            }
        }
    });
    begun
}
