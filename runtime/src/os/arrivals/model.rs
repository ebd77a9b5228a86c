//! Every interleaving of a few arrivals with receivers that wait for them: a receiver sees all arrivals, is not
//! left asleep beside one, and reports none twice.
//!
//! The handler's step and the receiver's are those that ship; between them is the kernel's part. A [`Watch`] is the state of
//! the eventfd in one receiver's epoll instance, behind a mutex as in the kernel. There are two ways to wait for it. A plain
//! thread polls the instance, which is *ready* from an announcement until that is taken away. A fiber's poller watches it
//! edge-triggered: it passes an *edge* on, but only if the instance is ready when it collects the edge. Here it collects as
//! late as it can, which is when the receiver waits; an earlier collection can only wake the receiver once more.
//!
//! Left out: signals that interrupt each other's handler, subscriptions that begin and end (`WATCHERS`, a mutex), and the
//! slot between the poller and the fiber, which `poller/model.rs` checks.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::count::{Count, SeenCount, look};

/// The two ways to wait for the epoll instance.
#[derive(Clone, Copy)]
enum Waits {
    OnThread,
    OnFiber,
}

#[derive(Default)]
struct State {
    is_ready: bool,
    has_edge: bool,
}

/// See the module's documentation.
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Watch {
    fn new() -> Self {
        Self { state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// The write to the eventfd.
    fn announce(&self) {
        *self.state.lock().unwrap() = State { is_ready: true, has_edge: true };
        self.changed.notify_one();
    }

    /// The receiver's call of `epoll_wait`, which takes the events away.
    fn take_away(&self) {
        self.state.lock().unwrap().is_ready = false;
    }

    /// Waits for an event. Loom reports a deadlock if none comes.
    fn wait(&self, waits: Waits) {
        let mut state = self.state.lock().unwrap();
        loop {
            let has_edge = std::mem::take(&mut state.has_edge);
            if state.is_ready && (has_edge || matches!(waits, Waits::OnThread)) {
                return;
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}

struct Model {
    counts: [Count; 2],
    watches: Vec<Watch>,
}

impl Model {
    fn new(watches: usize) -> Arc<Self> {
        let watches = (0..watches).map(|_| Watch::new()).collect();
        Arc::new(Self { counts: [Count::new(), Count::new()], watches })
    }

    /// The handler.
    fn arrive(&self, signal: usize) {
        self.counts[signal].arrive(|| self.watches.iter().for_each(Watch::announce));
    }
}

/// A receiver of both signals. It has seen no arrivals before the model begins.
struct Receiver {
    seen: [SeenCount; 2],
    watch: usize,
    reports: [u64; 2],
}

impl Receiver {
    fn new(model: &Model, watch: usize) -> Self {
        Self { seen: model.counts.each_ref().map(SeenCount::new), watch, reports: [0; 2] }
    }

    /// Makes one report, for the first signal that has arrived. Returns false if none has.
    fn try_receive(&mut self, model: &Model) -> bool {
        let first = (0..2).find(|&signal| self.seen[signal].has_changed(&model.counts[signal]));
        first.map(|signal| self.reports[signal] += 1).is_some()
    }

    /// Makes one report, and waits for an arrival if there is none.
    fn receive(&mut self, model: &Model, waits: Waits) {
        let watch = &model.watches[self.watch];
        let take_away = || {
            watch.take_away();
            Ok(())
        };
        while look(take_away, || self.try_receive(model).then_some(())).is_err() {
            watch.wait(waits);
        }
    }

    /// Waits until `signal` has been reported.
    fn receive_until(mut self, model: &Model, waits: Waits, signal: usize) -> Self {
        while self.reports[signal] == 0 {
            self.receive(model, waits);
        }
        self
    }

    /// Checks the reports at the end, when nothing arrives any more and the last arrivals have been reported.
    fn check(mut self, model: &Model, arrivals: [u64; 2]) {
        while self.try_receive(model) {}
        assert_eq!(model.counts.each_ref().map(Count::now), arrivals);
        for (reports, arrivals) in self.reports.into_iter().zip(arrivals) {
            assert!(reports <= arrivals, "{reports} reports of {arrivals} arrivals");
            assert!(reports > 0 || arrivals == 0, "no report of {arrivals} arrivals");
        }
    }
}

fn check(body: impl Fn(Waits) + Sync + Send + Copy + 'static) {
    for waits in [Waits::OnThread, Waits::OnFiber] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || body(waits));
    }
}

#[test]
fn an_arrival_ends_the_wait_of_every_receiver_once() {
    check(|waits| {
        let model = Model::new(2);
        let receivers = [0, 1].map(|watch| {
            let (model, receiver) = (Arc::clone(&model), Receiver::new(&model, watch));
            thread::spawn(move || receiver.receive_until(&model, waits, 0))
        });
        model.arrive(0);
        receivers.map(|receiver| receiver.join().unwrap().check(&model, [1, 0]));
    });
}

#[test]
fn arrivals_on_two_threads_are_both_counted() {
    check(|waits| {
        let model = Model::new(1);
        let receiver = Receiver::new(&model, 0);
        let handlers = [&[0][..], &[0, 1]].map(|signals| {
            let model = Arc::clone(&model);
            thread::spawn(move || signals.iter().for_each(|&signal| model.arrive(signal)))
        });
        let receiver = receiver.receive_until(&model, waits, 1);
        handlers.map(|handler| handler.join().unwrap());
        receiver.check(&model, [2, 1]);
    });
}

#[test]
fn the_last_of_several_arrivals_is_not_slept_through() {
    check(|waits| {
        let model = Model::new(1);
        let receiver = Receiver::new(&model, 0);
        let handler = {
            let model = Arc::clone(&model);
            thread::spawn(move || [0, 0, 1].map(|signal| model.arrive(signal)))
        };
        let receiver = receiver.receive_until(&model, waits, 1);
        handler.join().unwrap();
        receiver.check(&model, [2, 1]);
    });
}
