//! `abaca::promise` and `abaca::actor` use only what is public: here they are compiled, and used, as parts of another crate.
//! What they name of their own crate is found in `abaca`'s, or this file does not compile.

// Looks at the end for what is left behind.
use abaca_tests as _;

// What the two modules find at the root of their crate.
use abaca::{blocking, cancel, channel, fiber, park, spawn, sync, time};

#[path = "../../runtime/src/actor/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "most of it is for users")]
mod actor;
#[path = "../../runtime/src/promise/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "most of it is for users")]
mod promise;
mod queue;

#[test]
fn a_promise_is_kept_outside() {
    abaca::run(|| {
        let (gate, open) = promise::Promise::pending();
        let doubled = gate.map(|value: u32| value * 2);
        let waiting = spawn(move || doubled.wait());
        open.resolve(21);
        assert_eq!(waiting.join().unwrap().unwrap(), 42);
    });
}

#[test]
fn an_actor_lives_outside() {
    abaca::run(|| {
        let echo = actor::spawn(|mailbox: &mut actor::Mailbox<(u32, actor::Reply<u32>)>| {
            let (number, reply) = mailbox.receive();
            reply.send(number);
        });
        assert_eq!(echo.call(time::Duration::MAX, |reply| (7, reply)).unwrap(), 7);
        assert_eq!(echo.wait(), actor::ExitReason::Normal);
    });
}
