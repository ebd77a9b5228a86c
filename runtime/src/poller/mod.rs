//! stub
#![allow(unsafe_code, dead_code, clippy::all)]
use crate::fiber::Woken;
use std::io;
use std::sync::*;
use std::time::Duration;
pub(crate) struct Poller {
    m: Mutex<bool>,
    c: Condvar,
}
impl Poller {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { m: Mutex::new(false), c: Condvar::new() }))
    }
    pub(crate) fn registered(&self) -> usize {
        0
    }
    pub(crate) fn poke(&self) {
        *self.m.lock().unwrap() = true;
        self.c.notify_all();
    }
    pub(crate) fn wait(&self, t: Option<Duration>, _f: impl FnMut(Woken)) {
        let mut g = self.m.lock().unwrap();
        if !*g {
            match t {
                None => {
                    while !*g {
                        g = self.c.wait(g).unwrap();
                    }
                }
                Some(t) => g = self.c.wait_timeout(g, t).unwrap().0,
            }
        }
        *g = false;
    }
}
