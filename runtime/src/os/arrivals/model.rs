//! Every interleaving of a few arrivals with receivers that wait for them: a receiver sees all that has arrived, is not
//! left asleep beside an arrival, and reports none twice.
//!
//! The handler's step and the receiver's are those that ship; what is between them is the kernel's part. A [`Watch`] is
//! what one receiver's epoll instance knows of the eventfd, behind a mutex as in the kernel. There are two ways to wait
//! for it. A plain thread polls the instance, which is *ready* from an announcement until that is taken away. A fiber's
//! poller watches it edge-triggered: it passes an *edge* on, but only if the instance is ready when it collects the edge.
//! Here it collects as late as it can, which is when the receiver waits; sooner can only wake the receiver once more.
//!
//! Left out: signals that interrupt each other's handler, who comes and goes (`WATCHES`, a mutex), and the slot between the
//! poller and the fiber, which `poller/model.rs` checks.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::count::{Count, Seen, look};

/// Who waits for the epoll instance.
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

    /// The look at the epoll instance, which takes its events away.
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

struct World {
    counts: [Count; 2],
    watches: Vec<Watch>,
}

impl World {
    fn new(watches: usize) -> Arc<Self> {
        let watches = (0..watches).map(|_| Watch::new()).collect();
        Arc::new(Self { counts: [Count::new(), Count::new()], watches })
    }

    /// The handler.
    fn arrive(&self, signal: usize) {
        self.counts[signal].arrive(|| self.watches.iter().for_each(Watch::announce));
    }
}

/// What a receiver of both signals has: it has not seen anything before the model begins.
struct Receiver {
    seen: [Seen; 2],
    watch: usize,
    reports: [u64; 2],
}

impl Receiver {
    fn new(world: &World, watch: usize) -> Self {
        Self { seen: world.counts.each_ref().map(Seen::new), watch, reports: [0; 2] }
    }

    /// One report, of the first signal that has one; false if there is none.
    fn try_receive(&mut self, world: &World) -> bool {
        let first = (0..2).find(|&signal| self.seen[signal].has_changed(&world.counts[signal]));
        first.map(|signal| self.reports[signal] += 1).is_some()
    }

    /// One report, for which it waits.
    fn receive(&mut self, world: &World, waits: Waits) {
        let watch = &world.watches[self.watch];
        let take_away = || {
            watch.take_away();
            Ok(())
        };
        while look(take_away, || self.try_receive(world).then_some(())).is_err() {
            watch.wait(waits);
        }
    }

    /// Waits until that signal has been reported.
    fn receive_until(mut self, world: &World, waits: Waits, signal: usize) -> Self {
        while self.reports[signal] == 0 {
            self.receive(world, waits);
        }
        self
    }

    /// Nothing arrives any more: what is left is reported, and nothing after that.
    fn check(mut self, world: &World, arrivals: [u64; 2]) {
        while self.try_receive(world) {}
        assert_eq!(world.counts.each_ref().map(Count::now), arrivals);
        for (reports, arrivals) in self.reports.into_iter().zip(arrivals) {
            assert!(reports <= arrivals, "{reports} reports of {arrivals} arrivals");
            assert!(reports > 0 || arrivals == 0, "no report of {arrivals} arrivals");
        }
    }
}

fn check(model: impl Fn(Waits) + Sync + Send + Copy + 'static) {
    for waits in [Waits::OnThread, Waits::OnFiber] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || model(waits));
    }
}

#[test]
fn an_arrival_ends_the_wait_of_everybody_once() {
    check(|waits| {
        let world = World::new(2);
        let receivers = [0, 1].map(|watch| {
            let (world, receiver) = (Arc::clone(&world), Receiver::new(&world, watch));
            thread::spawn(move || receiver.receive_until(&world, waits, 0))
        });
        world.arrive(0);
        receivers.map(|receiver| receiver.join().unwrap().check(&world, [1, 0]));
    });
}

#[test]
fn arrivals_on_two_threads_are_both_counted() {
    check(|waits| {
        let world = World::new(1);
        let receiver = Receiver::new(&world, 0);
        let handlers = [&[0][..], &[0, 1]].map(|signals| {
            let world = Arc::clone(&world);
            thread::spawn(move || signals.iter().for_each(|&signal| world.arrive(signal)))
        });
        let receiver = receiver.receive_until(&world, waits, 1);
        handlers.map(|handler| handler.join().unwrap());
        receiver.check(&world, [2, 1]);
    });
}

#[test]
fn the_last_of_several_arrivals_is_not_slept_through() {
    check(|waits| {
        let world = World::new(1);
        let receiver = Receiver::new(&world, 0);
        let handler = {
            let world = Arc::clone(&world);
            thread::spawn(move || [0, 0, 1].map(|signal| world.arrive(signal)))
        };
        let receiver = receiver.receive_until(&world, waits, 1);
        handler.join().unwrap();
        receiver.check(&world, [2, 1]);
    });
}
