//! An event loop as in browsers and Node: callbacks for readiness, timers and microtasks, each of which runs to
//! completion before the next begins.
//!
//! A callback is forgotten when it has run: whoever wants the next event asks again. The callback models and the promises
//! stand on it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::readiness::{Readiness, Watch};
use super::session::Way;

type Callback = Box<dyn FnOnce()>;

/// The loop, shared by everything that runs on it.
pub(super) struct EventLoop {
    readiness: RefCell<Readiness>,
    slots: RefCell<Slots>,
    /// By when they are due, and in the order of their setting.
    timers: RefCell<BTreeMap<(Instant, u64), Callback>>,
    microtasks: RefCell<VecDeque<Callback>>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Option<Slot>>,
    free: Vec<usize>,
    timers_set: u64,
}

struct Slot {
    descriptor: Rc<dyn AsFd>,
    watch: Watch,
    callback: Option<Callback>,
}

impl EventLoop {
    pub(super) fn new() -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            readiness: RefCell::new(Readiness::new()?),
            slots: RefCell::default(),
            timers: RefCell::default(),
            microtasks: RefCell::default(),
        }))
    }

    /// Runs `callback` once, after this time.
    pub(super) fn set_timeout(&self, after: Duration, callback: impl FnOnce() + 'static) {
        let mut slots = self.slots.borrow_mut();
        slots.timers_set += 1;
        let at = (Instant::now() + after, slots.timers_set);
        self.timers.borrow_mut().insert(at, Box::new(callback));
    }

    /// Runs `callback` when the one that runs now has ended, before any other event.
    pub(super) fn microtask(&self, callback: impl FnOnce() + 'static) {
        self.microtasks.borrow_mut().push_back(Box::new(callback));
    }

    /// Runs forever.
    pub(super) fn run(&self) -> io::Result<Infallible> {
        let mut keys = Vec::new();
        loop {
            self.run_microtasks();
            let now = Instant::now();
            let timeout = self.timers.borrow().keys().next().map(|(at, _)| at.saturating_duration_since(now));
            self.readiness.borrow_mut().wait(timeout, &mut keys)?;
            for key in keys.drain(..) {
                if let Some(callback) = self.callback_for(key as usize)? {
                    callback();
                    self.run_microtasks();
                }
            }
            while let Some(callback) = self.due_timer() {
                callback();
                self.run_microtasks();
            }
        }
    }

    fn run_microtasks(&self) {
        // The queue must not be borrowed while a task runs, since it may add another.
        let next = || self.microtasks.borrow_mut().pop_front();
        while let Some(task) = next() {
            task();
        }
    }

    fn due_timer(&self) -> Option<Callback> {
        let mut timers = self.timers.borrow_mut();
        let first = timers.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    /// The callback that waits for this event. Events that nobody waits for are turned off.
    fn callback_for(&self, index: usize) -> io::Result<Option<Callback>> {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = &mut slots.all[index] else { return Ok(None) };
        if slot.callback.is_none() {
            self.readiness.borrow().forget(slot.descriptor.as_fd(), &mut slot.watch)?;
        }
        Ok(slot.callback.take())
    }
}

/// A descriptor whose readiness the loop reports.
pub(super) struct Source<T: AsFd + 'static> {
    home: Rc<EventLoop>,
    descriptor: Rc<T>,
    index: usize,
}

impl<T: AsFd + 'static> Source<T> {
    pub(super) fn new(home: &Rc<EventLoop>, descriptor: T) -> Self {
        let descriptor = Rc::new(descriptor);
        let mut slots = home.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        let slot = Slot { descriptor: Rc::clone(&descriptor) as _, watch: Watch::default(), callback: None };
        slots.all[index] = Some(slot);
        Self { home: Rc::clone(home), descriptor, index }
    }

    pub(super) fn get(&self) -> &T {
        &self.descriptor
    }

    /// Runs `callback` once, when the descriptor is ready for `way`; it may find that it is not.
    pub(super) fn when(&self, way: Way, callback: impl FnOnce() + 'static) {
        let mut slots = self.home.slots.borrow_mut();
        let slot = slots.all[self.index].as_mut().expect("a source has a slot");
        let readiness = self.home.readiness.borrow();
        match readiness.want(slot.descriptor.as_fd(), &mut slot.watch, self.index as u64, way) {
            Ok(()) => slot.callback = Some(Box::new(callback)),
            // Without memory for an event nothing will ever be reported: the connection ends with its callback.
            Err(error) => eprintln!("no event for a connection: {error}"),
        }
    }
}

impl<T: AsFd + 'static> Drop for Source<T> {
    fn drop(&mut self) {
        let mut slots = self.home.slots.borrow_mut();
        let slot = slots.all[self.index].take();
        slots.free.push(self.index);
        drop(slots);
        // Here goes the descriptor, and with it its place in the epoll set.
        drop(slot);
    }
}
