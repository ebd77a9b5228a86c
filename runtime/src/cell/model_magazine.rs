//! The way of a cell's memory from the worker that frees it to the one that needs it: every interleaving of a worker that gives, one that
//! takes, and a sweep. Nobody gets what another has, and what is taken was left before.

#![expect(unsafe_code, reason = "looks at what is being checked, and frees it")]

use std::alloc::{alloc, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;

use super::depot::Depot;
use super::magazine::{Magazines, layout_of};

/// As many as it takes for a full magazine to reach the depot.
const CELLS: usize = 5;

const CLASS: usize = 0;

/// The memory by its address. Loom reports a use that is not ordered after the one before.
struct Heap(BTreeMap<usize, UnsafeCell<()>>);

impl Heap {
    fn new() -> (Arc<Self>, Vec<usize>) {
        // SAFETY: the layout's size is not zero.
        let addresses: Vec<_> =
            (0..CELLS).map(|_| unsafe { alloc(layout_of(CLASS)) }.expose_provenance()).collect();
        let uses = addresses.iter().map(|address| (*address, UnsafeCell::new(()))).collect();
        (Arc::new(Self(uses)), addresses)
    }

    fn touch(&self, address: usize) {
        self.0[&address].with_mut(|_| ());
    }
}

fn give(magazines: &Magazines, heap: &Heap, address: usize) {
    heap.touch(address);
    magazines.give(CLASS, NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap());
}

fn take(magazines: &Magazines, heap: &Heap) -> Option<usize> {
    let address = magazines.take(CLASS)?.as_ptr().expose_provenance();
    heap.touch(address);
    Some(address)
}

fn free(address: usize) {
    // SAFETY: allocated by `Heap::new` for this layout, and nobody else has it.
    unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address), layout_of(CLASS)) };
}

#[test]
fn what_a_thief_frees_comes_back_to_the_spawner_once() {
    loom::model(|| {
        let depot = Arc::new(Depot::new());
        let (heap, addresses) = Heap::new();
        let thief = thread::spawn({
            let (magazines, heap) = (Magazines::new(Arc::clone(&depot)), Arc::clone(&heap));
            move || {
                addresses.into_iter().for_each(|address| give(&magazines, &heap, address));
                magazines
            }
        });
        let spawner = Magazines::new(Arc::clone(&depot));
        let mut taken: Vec<_> = (0..3).filter_map(|_| take(&spawner, &heap)).collect();
        // One goes back, as that of a fiber that its spawner has joined.
        if let Some(address) = taken.pop() {
            give(&spawner, &heap, address);
        }
        let magazines = thief.join().unwrap();
        for magazines in [&spawner, &magazines] {
            taken.extend(std::iter::from_fn(|| take(magazines, &heap)));
        }
        taken.sort_unstable();
        assert!(taken.iter().eq(heap.0.keys()), "each is there once");
        taken.into_iter().for_each(free);
    });
}

#[test]
fn a_sweep_frees_what_nobody_takes() {
    loom::model(|| {
        let depot = Arc::new(Depot::new());
        let (heap, addresses) = Heap::new();
        let owner = Magazines::new(Arc::clone(&depot));
        addresses.into_iter().for_each(|address| give(&owner, &heap, address));
        depot.sweep(1, Duration::ZERO);
        let sweeper = thread::spawn({
            let depot = Arc::clone(&depot);
            move || depot.sweep(2, Duration::ZERO)
        });
        let spawner = Magazines::new(Arc::clone(&depot));
        let taken: Vec<_> = (0..2).filter_map(|_| take(&spawner, &heap)).collect();
        sweeper.join().unwrap();
        assert!(taken.is_empty() || taken.len() == 2 && taken[0] != taken[1], "a magazine is taken or swept");
        assert_eq!(depot.bytes(), 0);
        taken.into_iter().for_each(free);
    });
}
