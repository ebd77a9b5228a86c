//! A call: what a program is told. The calls of a row begin together, when all of their clients are connected.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::servers::Servers;

/// A program's answer, or its error.
pub(crate) type Answer = Result<String, String>;

/// Where the calls of a row wait for each other.
pub(crate) struct Start {
    missing: Mutex<usize>,
    all_here: Condvar,
    began: Mutex<Option<Instant>>,
    /// By how much a neighbour was late since then, in microseconds.
    pub(crate) late: AtomicU64,
}

impl Start {
    pub(crate) fn of(calls: usize) -> Self {
        Self {
            missing: Mutex::new(calls),
            all_here: Condvar::new(),
            began: Mutex::new(None),
            late: AtomicU64::new(0),
        }
    }

    /// One more is here. The last one starts the clock.
    fn arrive(&self) {
        let mut missing = self.missing.lock().unwrap();
        *missing -= 1;
        if *missing == 0 {
            *self.began.lock().unwrap() = Some(Instant::now());
            self.late.store(0, Ordering::Relaxed);
            self.all_here.notify_all();
        }
    }

    fn wait(&self) {
        let missing = self.missing.lock().unwrap();
        drop(self.all_here.wait_while(missing, |missing| *missing > 0).unwrap());
    }

    /// How long ago the calls began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.lock().unwrap().expect("all have arrived").elapsed()
    }
}

/// What a program is told.
pub(crate) struct Call<'a> {
    pub(crate) servers: &'a Servers,
    /// How long the server takes.
    pub(crate) time: Duration,
    start: &'a Start,
    is_ready: Cell<bool>,
}

impl<'a> Call<'a> {
    /// Lets `program` make a call.
    pub(crate) fn make(
        program: fn(&Call<'_>) -> Answer,
        servers: &'a Servers,
        time: Duration,
        start: &'a Start,
    ) -> Answer {
        let call = Call { servers, time, start, is_ready: Cell::new(false) };
        let answer = program(&call);
        if !call.is_ready.get() {
            // The others do not wait for one that has failed before.
            start.arrive();
        }
        answer
    }

    /// The client is connected: waits for the others.
    pub(crate) fn ready(&self) {
        assert!(!self.is_ready.replace(true), "once");
        self.start.arrive();
        self.start.wait();
    }
}
