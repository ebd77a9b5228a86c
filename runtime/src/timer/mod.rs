//! stub
#![allow(unsafe_code, dead_code, clippy::all, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]
use std::cell::*;
use std::collections::BTreeMap;
use std::ptr::NonNull;
pub(crate) struct Entry {
    key: Cell<(u64, usize)>,
    linked: Cell<bool>,
    owner: *const (),
}
impl Entry {
    pub(crate) fn new(o: *const ()) -> Self {
        Self { key: Cell::new((0, 0)), linked: Cell::new(false), owner: o }
    }
    pub(crate) fn owner(&self) -> *const () {
        self.owner
    }
}
pub(crate) struct Wheel(RefCell<BTreeMap<(u64, usize), NonNull<Entry>>>);
impl Wheel {
    pub(crate) fn new(_: u64) -> Self {
        Self(Default::default())
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.0.borrow().keys().next().map(|k| k.0)
    }
    pub(crate) unsafe fn insert(&self, e: NonNull<Entry>, at: u64) {
        let k = (at, e.as_ptr() as usize);
        let x = unsafe { e.as_ref() };
        x.key.set(k);
        x.linked.set(true);
        self.0.borrow_mut().insert(k, e);
    }
    pub(crate) unsafe fn cancel(&self, e: NonNull<Entry>) {
        let x = unsafe { e.as_ref() };
        if x.linked.replace(false) {
            self.0.borrow_mut().remove(&x.key.get());
        }
    }
    pub(crate) fn expire(&self, now: u64, mut f: impl FnMut(NonNull<Entry>)) {
        loop {
            let e = {
                let mut m = self.0.borrow_mut();
                match m.first_key_value() {
                    Some((k, e)) if k.0 <= now => {
                        let (k, e) = (*k, *e);
                        m.remove(&k);
                        e
                    }
                    _ => return,
                }
            };
            unsafe { e.as_ref() }.linked.set(false);
            f(e)
        }
    }
}
