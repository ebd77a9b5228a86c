//! Fibers that roam, which a worker shows under the lock by which they are kept from ending.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
#[expect(unsafe_code, reason = "fibers that roam")]
fn fibers_that_roam_are_shown_wherever_they_are() {
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let builder = |name: &str| abaca::Builder::new().name(name.into());
        // SAFETY: neither has anything that is bound to a thread.
        let [parks, moves] = unsafe {
            [
                builder("roams, parked").spawn_roaming_unchecked(abaca::park).unwrap(),
                builder("roams")
                    .spawn_roaming_unchecked(move || {
                        while !theirs.load(Ordering::Relaxed) {
                            abaca::yield_now();
                        }
                    })
                    .unwrap(),
            ]
        };
        let dump = loop {
            let dump = super::whole_dump();
            let is_there = |name: &str| dump.fibers().iter().find(|fiber| fiber.name() == Some(name));
            if is_there("roams").is_some()
                && is_there("roams, parked").is_some_and(|fiber| fiber.wait().is_some())
            {
                break dump;
            }
            abaca::yield_now();
        };
        let parked = dump.fibers().iter().find(|fiber| fiber.name() == Some("roams, parked")).unwrap();
        assert_eq!(parked.wait().unwrap().reason(), "park");
        stop.store(true, Ordering::Relaxed);
        parks.fiber().unpark();
        parks.join().unwrap();
        moves.join().unwrap();
    });
}
