//! `WaitGroup` waits for all its clones.

use std::sync::atomic::{AtomicUsize, Ordering};

use abaca::sync::WaitGroup;

#[test]
fn a_group_of_one_does_not_wait() {
    WaitGroup::new().wait();
    WaitGroup::default().wait();
}

#[test]
fn wait_returns_when_every_clone_is_dropped() {
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let group = WaitGroup::new();
        for _ in 0..20 {
            let (part, done) = (group.clone(), &done);
            scope.spawn(move || {
                done.fetch_add(1, Ordering::Relaxed);
                drop(part);
            });
        }
        group.wait();
        assert_eq!(done.load(Ordering::Relaxed), 20);
    });
}

#[test]
fn several_members_can_wait_for_each_other() {
    let before = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let group = WaitGroup::new();
        for _ in 0..40 {
            let (part, before) = (group.clone(), &before);
            scope.spawn(move || {
                before.fetch_add(1, Ordering::Relaxed);
                part.wait();
                assert_eq!(before.load(Ordering::Relaxed), 40);
            });
        }
        drop(group);
    });
}

#[test]
fn a_member_that_panics_leaves_the_group() {
    let group = WaitGroup::new();
    let part = group.clone();
    let thread = std::thread::spawn(move || {
        let _part = part;
        panic!("without giving the part up");
    });
    group.wait();
    assert!(thread.join().is_err());
}

#[test]
fn it_prints_its_count() {
    let group = WaitGroup::new();
    let _part = group.clone();
    assert_eq!(format!("{group:?}"), "WaitGroup { count: 2 }");
}
