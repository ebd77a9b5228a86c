//! stub
#![allow(unsafe_code, dead_code, clippy::all, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::*;
pub(crate) unsafe trait Link {
    fn next(&self) -> &Cell<Option<NonNull<Self>>>;
}
#[derive(Debug)]
pub(crate) struct ReadyList<T> {
    head: Cell<Option<NonNull<T>>>,
    tail: Cell<Option<NonNull<T>>>,
}
impl<T: Link> ReadyList<T> {
    pub(crate) const fn new() -> Self {
        Self { head: Cell::new(None), tail: Cell::new(None) }
    }
    #[inline]
    pub(crate) unsafe fn push_back(&self, i: NonNull<T>) {
        unsafe { i.as_ref() }.next().set(None);
        match self.tail.replace(Some(i)) {
            Some(t) => unsafe { t.as_ref() }.next().set(Some(i)),
            None => self.head.set(Some(i)),
        }
    }
    pub(crate) unsafe fn push_front(&self, i: NonNull<T>) {
        unsafe { i.as_ref() }.next().set(self.head.get());
        if self.head.replace(Some(i)).is_none() {
            self.tail.set(Some(i))
        }
    }
    #[inline]
    pub(crate) fn pop_front(&self) -> Option<NonNull<T>> {
        let h = self.head.get()?;
        let n = unsafe { h.as_ref() }.next().get();
        self.head.set(n);
        if n.is_none() {
            self.tail.set(None)
        }
        Some(h)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }
}
pub(crate) struct Inbox<T>(AtomicPtr<T>);
pub(crate) struct Pushed(bool);
impl Pushed {
    pub(crate) fn must_poke(self) -> bool {
        self.0
    }
}
fn sl<T>() -> *mut T {
    1 as *mut T
}
impl<T: Link> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }
    pub(crate) unsafe fn push(&self, i: NonNull<T>) -> Pushed {
        let mut h = self.0.load(Ordering::Relaxed);
        loop {
            let real = if h == sl() { std::ptr::null_mut() } else { h };
            unsafe { i.as_ref() }.next().set(NonNull::new(real));
            match self.0.compare_exchange(h, i.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Pushed(h == sl()),
                Err(x) => h = x,
            }
        }
    }
    pub(crate) fn is_empty(&self) -> bool {
        let h = self.0.load(Ordering::Relaxed);
        h.is_null() || h == sl()
    }
    pub(crate) fn is_sleeping(&self) -> bool {
        self.0.load(Ordering::Relaxed) == sl()
    }
    pub(crate) fn drain(&self) -> ReadyList<T> {
        let l = ReadyList::new();
        if self.is_empty() {
            return l;
        }
        let mut h = NonNull::new(self.0.swap(std::ptr::null_mut(), Ordering::AcqRel));
        while let Some(x) = h {
            let n = unsafe { x.as_ref() }.next().get();
            unsafe { l.push_front(x) };
            h = n;
        }
        l
    }
    pub(crate) fn begin_sleep(&self) -> bool {
        self.0.compare_exchange(std::ptr::null_mut(), sl(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
    pub(crate) fn end_sleep(&self) {
        let _ = self.0.compare_exchange(sl(), std::ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed);
    }
    pub(crate) fn poke_if_sleeping(&self) -> bool {
        self.0.compare_exchange(sl(), std::ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
pub(crate) struct LifoSlot<T>(AtomicPtr<T>);
impl<T> LifoSlot<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }
    pub(crate) fn put(&self, i: NonNull<T>) -> Option<NonNull<T>> {
        NonNull::new(self.0.swap(i.as_ptr(), Ordering::AcqRel))
    }
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        NonNull::new(self.0.swap(std::ptr::null_mut(), Ordering::AcqRel))
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }
}
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
pub(crate) use crate::queue::spin_lock::{SpinGuard, SpinLock};
mod spin_lock;
