//! An event loop with callbacks: each wait is a function to call later, and the handler returns.
//!
//! Node, browsers, libevent, Twisted, nginx's handlers: one thread, callbacks that run to completion, timers by
//! `set_timeout`, microtasks. What would be the next line of a blocking program is another function here, and what it
//! needs is moved into its closure.
//!
//! State between two events: in the closure that waits in the loop, which holds the connection.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;
use std::{io, mem};

use super::event_loop::{EventLoop, Source};
use super::session::{Way, connect, unless_it_blocks};
use super::{Capacity, Family, Model, Options, always};
use crate::service::{ANSWER, Conversation, Step, question};

pub(super) const MODEL: Model = Model {
    name: "callbacks",
    about: "one thread, an epoll loop that calls closures",
    state: "the closure that waits in the loop",
    source: "Node and browsers: event loop, timers, microtasks",
    family: Family::Events,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

/// How long an accept that failed is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(1);

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let home = EventLoop::new()?;
    on_connection(Rc::new(Source::new(&home, listener)), Rc::clone(&home), *options);
    home.run()
}

fn on_connection(listener: Rc<Source<TcpListener>>, home: Rc<EventLoop>, options: Options) {
    let again = {
        let (listener, home) = (Rc::clone(&listener), Rc::clone(&home));
        move || on_connection(listener, home, options)
    };
    loop {
        match unless_it_blocks(listener.get().accept()) {
            Ok(None) => return listener.when(Way::Read, again),
            Err(_) => return home.set_timeout(ACCEPT_PAUSE, again),
            Ok(Some((client, _))) => {
                if client.set_nonblocking(true).and_then(|()| client.set_nodelay(true)).is_ok() {
                    let connection = Connection {
                        client: Source::new(&home, client),
                        home: Rc::clone(&home),
                        backend: OnceCell::new(),
                        backend_address: options.backend,
                        conversation: RefCell::new(Conversation::new(options.busy_loop)),
                    };
                    wait_for_request(Rc::new(connection));
                }
            }
        }
    }
}

/// It lives as long as a callback holds it, and is closed when none does.
struct Connection {
    home: Rc<EventLoop>,
    client: Source<TcpStream>,
    backend: OnceCell<Source<TcpStream>>,
    backend_address: SocketAddr,
    conversation: RefCell<Conversation>,
}

fn wait_for_request(connection: Rc<Connection>) {
    let next = Rc::clone(&connection);
    connection.client.when(Way::Read, move || on_bytes(next));
}

fn on_bytes(connection: Rc<Connection>) {
    let read = connection.client.get().read(connection.conversation.borrow_mut().room());
    match unless_it_blocks(read) {
        Ok(None) => wait_for_request(connection),
        Ok(Some(0)) | Err(_) => {}
        Ok(Some(length)) => {
            connection.conversation.borrow_mut().received(length);
            // The requests have their turn when this event is over.
            Rc::clone(&connection.home).microtask(move || step(connection));
        }
    }
}

fn step(connection: Rc<Connection>) {
    let step = connection.conversation.borrow_mut().step();
    send(connection, move |connection| match step {
        Step::Read => wait_for_request(connection),
        Step::Wait(wait) => ask(connection, question(wait)),
        Step::Close => {}
    });
}

fn send(connection: Rc<Connection>, then: impl FnOnce(Rc<Connection>) + 'static) {
    loop {
        let mut conversation = connection.conversation.borrow_mut();
        if conversation.output().is_empty() {
            mem::drop(conversation);
            return then(connection);
        }
        match unless_it_blocks(connection.client.get().write(conversation.output())) {
            Ok(Some(length)) => conversation.sent(length),
            Err(_) => return,
            Ok(None) => {
                let next = Rc::clone(&connection);
                return connection.client.when(Way::Write, move || send(next, then));
            }
        }
    }
}

fn ask(connection: Rc<Connection>, question: String) {
    if connection.backend.get().is_none() {
        let Ok(backend) = connect(connection.backend_address) else { return };
        let _ = connection.backend.set(Source::new(&connection.home, backend));
    }
    let next = Rc::clone(&connection);
    let Some(backend) = connection.backend.get() else { return };
    match unless_it_blocks(backend.get().write(question.as_bytes())) {
        Ok(Some(length)) if length == question.len() => backend.when(Way::Read, move || on_answer(next)),
        Ok(length) => backend.when(Way::Write, move || ask(next, question[length.unwrap_or(0)..].to_owned())),
        Err(_) => {}
    }
}

fn on_answer(connection: Rc<Connection>) {
    let Some(backend) = connection.backend.get() else { return };
    match unless_it_blocks(backend.get().read(&mut [0; ANSWER.len()])) {
        Ok(None) => backend.when(Way::Read, {
            let next = Rc::clone(&connection);
            move || on_answer(next)
        }),
        Ok(Some(1..)) => step(connection),
        Ok(Some(0)) | Err(_) => {}
    }
}
