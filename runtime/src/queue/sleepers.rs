//! stand-in
#![allow(unsafe_code, dead_code, missing_docs, clippy::all)]
use std::sync::atomic::*;
pub(crate) struct Sleepers {
    bits: AtomicUsize,
    searching: AtomicUsize,
    n: usize,
}
impl Sleepers {
    pub(crate) fn new(n: usize) -> Self {
        Self { bits: AtomicUsize::new(0), searching: AtomicUsize::new(0), n }
    }
    pub(crate) fn start_searching(&self) -> bool {
        if self.searching.load(Ordering::Relaxed) * 2 >= self.n {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }
    pub(crate) fn stop_searching(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::SeqCst) == 1
    }
    pub(crate) fn announce(&self, w: usize) {
        self.bits.fetch_or(1 << w, Ordering::SeqCst);
    }
    pub(crate) fn retract(&self, w: usize) {
        self.bits.fetch_and(!(1 << w), Ordering::SeqCst);
    }
    pub(crate) fn any(&self) -> bool {
        self.bits.load(Ordering::Relaxed) != 0
    }
    pub(crate) fn choose(&self) -> Option<usize> {
        if self.searching.load(Ordering::SeqCst) != 0 {
            return None;
        }
        let mut b = self.bits.load(Ordering::SeqCst);
        while b != 0 {
            let i = b.trailing_zeros() as usize;
            b = self.bits.fetch_and(!(1 << i), Ordering::SeqCst);
            if b & (1 << i) != 0 {
                return Some(i);
            }
            b &= !(1 << i);
        }
        None
    }
}
