//! `abaca::actor`: Erlang's model.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod calls;
mod deaths;
mod mailbox;
mod names;
mod restarts;
mod stress;
mod supervision;

use std::time::Duration;

use abaca::actor::{self, ActorRef, Mailbox};

/// Longer than anything takes that does not hang.
const LONG: Duration = Duration::from_secs(60);

/// An actor that waits for ever.
fn idle() -> ActorRef<()> {
    actor::spawn(|mailbox: &mut Mailbox<()>| {
        loop {
            mailbox.receive();
        }
    })
}

/// Runs `body` as an actor, and fails if it does.
fn as_actor<M: Send + 'static>(body: impl FnOnce(&mut Mailbox<M>) + Send + 'static) {
    abaca::run(|| assert_eq!(actor::spawn(body).wait(), actor::ExitReason::Normal));
}
