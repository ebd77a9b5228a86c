//! Calls: an answer, or an error that says why there is none, and never an endless wait.

use std::time::Duration;

use abaca::actor::{self, Actor, CallError, ExitReason, Mailbox, Reply};

use super::LONG;

/// How the test's server handles a call.
enum Request {
    Double(u32, Reply<u32>),
    Forget(Reply<u32>),
    Keep(Reply<u32>),
    Panic(Reply<u32>),
    Delegate(actor::ActorRef<Request>, Reply<u32>),
    Stop,
}

#[derive(Default)]
struct Server {
    kept: Vec<Reply<u32>>,
}

impl Actor for Server {
    type Message = Request;

    fn handle(&mut self, request: Request, mailbox: &mut Mailbox<Request>) {
        match request {
            Request::Double(n, reply) => reply.send(2 * n),
            Request::Forget(reply) => drop(reply),
            Request::Keep(reply) => self.kept.push(reply),
            Request::Panic(_reply) => panic!("asked to"),
            Request::Delegate(other, reply) => other.cast(Request::Double(50, reply)),
            Request::Stop => mailbox.stop(ExitReason::failed("stopped")),
        }
    }
}

#[test]
fn a_call_is_answered_by_the_server_or_by_another() {
    abaca::run(|| {
        let (server, other) = (actor::start(Server::default()), actor::start(Server::default()));
        assert_eq!(server.call(LONG, |reply| Request::Double(4, reply)), Ok(8));
        assert_eq!(server.call(LONG, |reply| Request::Delegate(other, reply)), Ok(100));
        // A fiber that joined the thread would hold up the worker on which the server may live.
        let (answer, answers) = abaca::channel::bounded(1);
        std::thread::spawn(move || answer.send(server.call(LONG, |reply| Request::Double(5, reply))));
        assert_eq!(answers.recv().unwrap(), Ok(10));
    });
}

#[test]
fn a_forgotten_reply_and_a_late_one_are_errors() {
    abaca::run(|| {
        let server = actor::start(Server::default());
        assert_eq!(server.call(LONG, Request::Forget), Err(CallError::NoReply));
        assert_eq!(server.call(Duration::from_millis(1), Request::Keep), Err(CallError::TimedOut));
        let busy = actor::Builder::new().capacity(0).start(Server::default()).unwrap();
        assert_eq!(busy.call(LONG, Request::Keep), Err(CallError::Full));
        assert_eq!(server.call(LONG, |reply| Request::Double(1, reply)), Ok(2), "it lives on");
    });
}

#[test]
fn a_server_that_dies_before_during_or_after_a_call_is_an_error() {
    abaca::run(|| {
        let server = actor::start(Server::default());
        let error = server.call(LONG, Request::Panic).unwrap_err();
        assert_eq!(error, CallError::Exited(ExitReason::Panicked("asked to".into())));
        let error = server.call(LONG, Request::Keep).unwrap_err();
        assert_eq!(error, CallError::Exited(ExitReason::Panicked("asked to".into())));

        let server = actor::start(Server::default());
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let server = server.clone();
                abaca::spawn(move || server.call(LONG, Request::Keep))
            })
            .collect();
        // Some calls are answered by the death while they wait, some before they begin.
        server.cast(Request::Stop);
        for caller in callers {
            let error = caller.join().unwrap().unwrap_err();
            // The replies that the server kept are dropped with its state, while it returns.
            let died = CallError::Exited(ExitReason::failed("stopped"));
            assert!(error == died || error == CallError::NoReply, "{error:?}");
        }
    });
}

#[test]
fn a_call_to_a_killed_server_returns_its_death() {
    abaca::run(|| {
        let server = actor::start(Server::default());
        let caller = abaca::spawn({
            let server = server.clone();
            move || server.call(LONG, Request::Keep)
        });
        abaca::yield_now();
        server.kill();
        assert_eq!(caller.join().unwrap(), Err(CallError::Exited(ExitReason::Killed)));
    });
}

#[test]
fn a_cancelled_caller_does_not_disturb_the_server() {
    abaca::run(|| {
        let server = actor::start(Server::default());
        for _ in 0..20 {
            let theirs = server.clone();
            let caller = abaca::spawn(move || theirs.call(LONG, Request::Keep));
            abaca::yield_now();
            caller.cancel();
            assert!(caller.join().unwrap_err().is::<abaca::Cancelled>());
        }
        assert_eq!(server.call(LONG, |reply| Request::Double(3, reply)), Ok(6));
    });
}
