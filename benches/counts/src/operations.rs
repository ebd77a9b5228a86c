//! The hot paths: what is done once, and how often it is done to count it.

use std::hint::black_box;
use std::time::Duration;

use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};
use abaca::fiber;

use super::{clock, echo};

/// Something that the runtime does all the time.
pub(crate) struct Operation {
    /// Its name in the table and on the command line.
    pub(crate) name: &'static str,
    /// How often the shorter of two runs does it.
    pub(crate) times: u64,
    /// Does it so often.
    pub(crate) perform: fn(u64),
}

/// A sleep that is over at the next look at the clock, or the one after that.
const SHORT: Duration = Duration::from_micros(1);

/// Every operation, in the order of the table.
pub(crate) const ALL: &[Operation] = &[
    operation("switch", 20_000, switches),
    operation("yield_many", 20_000, |times| on_worker(move || yields(times))),
    operation("spawn_join", 5_000, |times| on_worker(move || spawns_and_joins(times))),
    operation("chan_1x1", 20_000, |times| on_worker(move || messages(times))),
    operation("chan_pingpong", 10_000, |times| on_worker(move || messages_there_and_back(times))),
    operation("mutex uncontended", 20_000, |times| on_worker(move || locks(times))),
    operation("park and wake", 10_000, |times| on_worker(move || parks_and_wakes(times))),
    operation("timeout", 5_000, |times| on_worker(move || timeouts(times))),
    operation("sleep", 2_000, |times| on_worker(move || sleeps(times))),
    operation("echo", 1_000, |times| on_worker(move || echo::round_trips(1, times))),
    operation("echo of 64", 1_280, |times| on_worker(move || echo::round_trips(64, times))),
];

const fn operation(name: &'static str, times: u64, perform: fn(u64)) -> Operation {
    Operation { name, times, perform }
}

/// Runs a body on one worker, by the clock that goes by steps.
fn on_worker(body: impl FnOnce() + Send + 'static) {
    let runtime = abaca::Runtime::builder().workers(1).build().expect("a worker starts");
    runtime.run(|| {
        clock::go_by_steps();
        body();
    });
}

/// A coroutine that is resumed and suspends itself.
fn switches(times: u64) {
    let mut coroutine = Coroutine::<u64, u64, ()>::new(|yielder: &Yielder<u64, u64>, mut number: u64| {
        while number != 0 {
            number = yielder.suspend(number);
        }
    });
    for number in 1..=times {
        assert!(matches!(coroutine.resume(number), CoroutineResult::Yield(same) if same == number));
    }
    coroutine.resume(0);
}

/// Two hundred fibers that yield to each other.
fn yields(times: u64) {
    let fibers: Vec<_> =
        (0..200).map(|_| abaca::spawn(move || (0..times / 200).for_each(|_| abaca::yield_now()))).collect();
    fibers.into_iter().for_each(|fiber| fiber.join().expect("no panic"));
}

/// A fiber that is joined at once.
fn spawns_and_joins(times: u64) {
    for number in 0..times {
        let result = abaca::spawn(move || number).join();
        assert_eq!(black_box(result).expect("no panic"), number);
    }
}

/// A message through a channel of 128, from one fiber to another.
fn messages(times: u64) {
    let (sender, receiver) = abaca::channel::bounded(128);
    let producer =
        abaca::spawn(move || (0..times).for_each(|number| sender.send(number).expect("a receiver")));
    assert_eq!(receiver.iter().count() as u64, times);
    producer.join().expect("no panic");
}

/// A message to another fiber, and back, through channels of one.
fn messages_there_and_back(times: u64) {
    let (there, arrives) = abaca::channel::bounded(1);
    let (back, returns) = abaca::channel::bounded(1);
    let other =
        abaca::spawn(move || arrives.iter().for_each(|number: u64| back.send(number).expect("a receiver")));
    for number in 0..times {
        there.send(number).expect("a receiver");
        assert_eq!(returns.recv(), Ok(number));
    }
    drop(there);
    other.join().expect("no panic");
}

/// A mutex that nobody else wants.
fn locks(times: u64) {
    let counter = abaca::sync::Mutex::new(0);
    for _ in 0..times {
        *black_box(&counter).lock().expect("no panic") += 1;
    }
    assert_eq!(counter.into_inner().expect("no panic"), times);
}

/// Two fibers, each of which wakes the other and parks; one time is both.
fn parks_and_wakes(times: u64) {
    let first = fiber::current();
    let second = abaca::spawn(move || {
        for _ in 0..times {
            fiber::park();
            first.unpark();
        }
    });
    for _ in 0..times {
        second.thread().unpark();
        fiber::park();
    }
    second.join().expect("no panic");
}

/// A deadline that does not pass, around a yield.
fn timeouts(times: u64) {
    for _ in 0..times {
        let result = abaca::time::timeout(Duration::from_secs(3_600), abaca::yield_now);
        result.expect("an hour has not passed");
    }
}

/// A timer that fires.
fn sleeps(times: u64) {
    for _ in 0..times {
        abaca::sleep(SHORT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_done() {
        for operation in ALL {
            (operation.perform)(200);
        }
    }
}
