//! Promises on one loop: each wait returns a promise, and the rest of the program is bound to it.
//!
//! Lwt of OCaml (Vouillon, *Lwt: a cooperative thread library*, 2008), JavaScript before async/await. The loop and the
//! closures of the callback model, with values that can be returned, combined (`join`) and failed.
//!
//! State between two events: in closures bound to promises, heap objects that the loop holds by the promise they resolve.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use super::event_loop::{EventLoop, Source};
use super::promise::{Closed, Promise};
use super::promised::{Promised, Socket, attempt, once_ready, ready, unless_ended};
use super::session::{Way, accept, connect};
use super::{Capacity, Family, Model, Options, always};
use crate::service::{ANSWER, Conversation, Step, question};

pub(super) const MODEL: Model = Model {
    name: "promises",
    about: "one thread, promises with bind and join on an epoll loop",
    state: "closures bound to promises on the heap",
    source: "Vouillon, Lwt: a cooperative thread library (2008)",
    family: Family::Stackless,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let home = EventLoop::new()?;
    let _accepting = accept_all(Rc::new(Source::new(&home, listener)), Rc::clone(&home), *options);
    home.run()
}

fn accept_all(listener: Rc<Source<TcpListener>>, home: Rc<EventLoop>, options: Options) -> Promised<()> {
    ready(&listener, Way::Read).and_then(move |()| {
        loop {
            match accept(listener.get()) {
                Ok(Some(client)) => {
                    let connection = Connection {
                        client: Rc::new(Source::new(&home, client)),
                        home: Rc::clone(&home),
                        backend: OnceCell::new(),
                        backend_address: options.backend,
                        conversation: RefCell::new(Conversation::new(options.busy_loop)),
                    };
                    // Nobody waits for a connection's end.
                    let _ = converse(Rc::new(connection));
                }
                Ok(None) => return accept_all(listener, home, options),
                Err(error) => {
                    eprintln!("no more connections: {error}");
                    return Promise::resolved(Err(Closed));
                }
            }
        }
    })
}

/// It lives as long as a closure holds it.
struct Connection {
    home: Rc<EventLoop>,
    client: Socket,
    backend: OnceCell<Socket>,
    backend_address: SocketAddr,
    conversation: RefCell<Conversation>,
}

/// Serves a connection until it ends.
fn converse(connection: Rc<Connection>) -> Promised<()> {
    let (next, reader) = (Rc::clone(&connection), Rc::clone(&connection));
    once_ready(Rc::clone(&connection.client), Way::Read, move |mut socket| {
        socket.read(reader.conversation.borrow_mut().room())
    })
    .and_then(unless_ended)
    .and_then(move |length| {
        connection.conversation.borrow_mut().received(length);
        answer(connection)
    })
    .and_then(move |()| converse(next))
}

/// Answers what was received.
fn answer(connection: Rc<Connection>) -> Promised<()> {
    let step = connection.conversation.borrow_mut().step();
    let sent = send(Rc::clone(&connection));
    match step {
        Step::Read => sent,
        Step::Close => sent.and_then(|()| Promise::resolved(Err(Closed))),
        Step::Wait(wait) => {
            let heard = exchange(&connection, question(wait));
            sent.join(heard).and_then(|_| answer(connection))
        }
    }
}

fn send(connection: Rc<Connection>) -> Promised<()> {
    if connection.conversation.borrow().output().is_empty() {
        return Promise::resolved(Ok(()));
    }
    let writer = Rc::clone(&connection);
    attempt(Rc::clone(&connection.client), Way::Write, move |mut socket| {
        socket.write(writer.conversation.borrow().output())
    })
    .and_then(move |length| {
        connection.conversation.borrow_mut().sent(length);
        send(connection)
    })
}

/// Sends the backend a question; the promise of its answer.
fn exchange(connection: &Connection, question: String) -> Promised<usize> {
    let connected =
        || connect(connection.backend_address).map(|it| Rc::new(Source::new(&connection.home, it)));
    if connection.backend.get().is_none() {
        let Ok(backend) = connected() else { return Promise::resolved(Err(Closed)) };
        let _ = connection.backend.set(backend);
    }
    let backend = Rc::clone(connection.backend.get().expect("it was just set"));
    // So few bytes are sent at once or not at all.
    attempt(Rc::clone(&backend), Way::Write, move |mut socket| socket.write(question.as_bytes()))
        .and_then(move |_| once_ready(backend, Way::Read, |mut socket| socket.read(&mut [0; ANSWER.len()])))
        .and_then(unless_ended)
}
