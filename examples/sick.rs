//! A program with five illnesses, for trying out what finds them: a stuck fiber, two locks in two orders, a leak, a fiber that keeps
//! its worker, and a slow request. The guide's page on debugging finds each.
//!
//! `ABACA_OBSERVE=/tmp/sick cargo run --example sick` falls ill and stays so; `abaca-top /tmp/sick`, with `--dump` and with `--leaks`, shows
//! what every fiber does, as does `kill -QUIT`. With `-- --once` it shows that by itself, and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::channel::bounded;
use abaca::observe;
use abaca::sync::{Barrier, Mutex, Notify};
use clap::Parser;

/// Falls ill in five ways, and stays so until it is killed
#[derive(Parser)]
struct Options {
    /// Show what every fiber does, get well, and end
    #[arg(long)]
    once: bool,
}

fn named(name: &str, f: impl FnOnce() + Send + 'static) {
    drop(abaca::Builder::new().name(name.into()).spawn(f).expect("there is memory for a fiber"));
}

/// Waits for a notification that nobody sends.
fn stuck() {
    named("config reload", || Notify::new().notified());
}

/// Two transfers, each with one account locked, that want the other.
fn cycle() {
    let accounts = Arc::new((Mutex::new(100), Mutex::new(100)));
    let both_have_one = Arc::new(Barrier::new(2));
    for (name, is_first) in [("transfer a to b", true), ("transfer b to a", false)] {
        let (accounts, both) = (Arc::clone(&accounts), Arc::clone(&both_have_one));
        named(name, move || {
            let (from, to) = if is_first { (&accounts.0, &accounts.1) } else { (&accounts.1, &accounts.0) };
            let mut from = from.lock().expect("nobody panics");
            both.wait();
            *to.lock().expect("nobody panics") += 1;
            *from -= 1;
        });
    }
}

/// A subscriber that keeps the sender of the channel that it reads until the end.
fn leak() {
    abaca::spawn(|| {
        let (sender, events) = bounded::<u64>(16);
        sender.send(1).expect("there is room");
        println!("sum of all events: {}", events.iter().sum::<u64>());
    });
}

/// Computes, and lets nobody else run.
fn hog(stop: &'static AtomicBool) {
    named("report", move || {
        let mut sum = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            sum = std::hint::black_box(sum + 1);
        }
    });
}

/// A request whose back end takes its time.
fn slow_request() {
    named("request", || {
        observe::set_label("request", 4711);
        observe::set_label("user", "ada");
        abaca::sleep(Duration::from_secs(3600));
    });
}

fn show() {
    println!("{}", abaca::dump());
    println!("{}", observe::leaks());
}

fn main() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let runs_once = Options::parse().once;
    let builder = abaca::Runtime::builder().workers(2).dump_on_sigquit(true).stall_threshold(None);
    let runtime = builder.build().expect("there is memory for a runtime");
    runtime.run(move || {
        stuck();
        cycle();
        (0..3).for_each(|_| leak());
        slow_request();
        while observe::check().is_empty() || observe::leaks().fibers().len() < 5 {
            abaca::sleep(Duration::from_millis(10));
        }
        if runs_once {
            show();
        }
        hog(&STOP);
        println!("ill, as process {}", std::process::id());
        if !runs_once {
            abaca::sleep(Duration::MAX);
        }
    });
    // This thread waits for no worker.
    std::thread::sleep(Duration::from_millis(200));
    println!("{}", abaca::dump());
    STOP.store(true, Ordering::Relaxed);
}
