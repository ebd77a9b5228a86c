//! Promises on one loop: each wait returns a promise, and the rest of the program is bound to it.
//!
//! Lwt of OCaml (Vouillon, *Lwt: a cooperative thread library*, 2008), JavaScript before async/await. The loop and the
//! closures of the callback model, with values that can be returned, combined (`join`) and failed.
//!
//! State between two events: in closures bound to promises, heap objects that the loop holds by the promise they resolve.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::rc::Rc;

use super::event_loop::{EventLoop, Source};
use super::promise::{Closed, Promise};
use super::session::{Way, accept, connect, unless_it_blocks};
use super::{Capacity, Family, Model, Options, always};
use crate::service::{ANSWER, Conversation, Step, question};

pub(super) const MODEL: Model = Model {
    name: "promises",
    about: "one thread, promises with bind and join on an epoll loop",
    state: "closures bound to promises on the heap",
    source: "Vouillon, Lwt: a cooperative thread library (2008)",
    family: Family::Stackless,
    capacity: Capacity::Limits,
    available: always,
    serve,
};

type Promised<T> = Promise<Result<T, Closed>>;

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
                        client: Source::new(&home, client),
                        home: Rc::clone(&home),
                        backend: OnceCell::new(),
                        backend_address: options.backend,
                        conversation: RefCell::new(Conversation::new(options.burn)),
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
    client: Source<TcpStream>,
    backend: OnceCell<Source<TcpStream>>,
    backend_address: SocketAddr,
    conversation: RefCell<Conversation>,
}

/// The promise that a descriptor is ready.
fn ready<T: AsFd + 'static>(source: &Source<T>, way: Way) -> Promised<()> {
    let promise = Promise::pending();
    let resolver = promise.clone();
    source.when(way, move || resolver.resolve(Ok(())));
    promise
}

/// Serves a connection until it ends.
fn converse(connection: Rc<Connection>) -> Promised<()> {
    receive(Rc::clone(&connection))
        .and_then(|()| answer(Rc::clone(&connection)).and_then(|()| converse(connection)))
}

/// Answers what was received.
fn answer(connection: Rc<Connection>) -> Promised<()> {
    let step = connection.conversation.borrow_mut().step();
    let sent = send(Rc::clone(&connection));
    match step {
        Step::Read => sent,
        Step::Close => sent.and_then(|()| Promise::resolved(Err(Closed))),
        Step::Wait(wait) => {
            let heard = ask(Rc::clone(&connection), question(wait));
            sent.join(heard).and_then(|((), ())| answer(connection))
        }
    }
}

fn receive(connection: Rc<Connection>) -> Promised<()> {
    ready(&connection.client, Way::Read).and_then(|()| {
        let read = connection.client.get().read(connection.conversation.borrow_mut().room());
        match unless_it_blocks(read) {
            Ok(None) => receive(connection),
            Ok(Some(0)) | Err(_) => Promise::resolved(Err(Closed)),
            Ok(Some(length)) => {
                connection.conversation.borrow_mut().received(length);
                Promise::resolved(Ok(()))
            }
        }
    })
}

fn send(connection: Rc<Connection>) -> Promised<()> {
    loop {
        let mut conversation = connection.conversation.borrow_mut();
        if conversation.output().is_empty() {
            return Promise::resolved(Ok(()));
        }
        match unless_it_blocks(connection.client.get().write(conversation.output())) {
            Ok(Some(length)) => conversation.sent(length),
            Err(_) => return Promise::resolved(Err(Closed)),
            Ok(None) => {
                drop(conversation);
                return ready(&connection.client, Way::Write).and_then(|()| send(connection));
            }
        }
    }
}

fn ask(connection: Rc<Connection>, question: String) -> Promised<()> {
    if connection.backend.get().is_none() {
        let Ok(backend) = connect(connection.backend_address) else { return Promise::resolved(Err(Closed)) };
        let _ = connection.backend.set(Source::new(&connection.home, backend));
    }
    let backend = connection.backend.get().expect("it was just set");
    match unless_it_blocks(backend.get().write(question.as_bytes())) {
        Ok(Some(length)) if length == question.len() => hear(connection),
        Err(_) => Promise::resolved(Err(Closed)),
        Ok(length) => {
            let rest = question[length.unwrap_or(0)..].to_owned();
            ready(backend, Way::Write).and_then(|()| ask(connection, rest))
        }
    }
}

fn hear(connection: Rc<Connection>) -> Promised<()> {
    let backend = connection.backend.get().expect("it was asked");
    ready(backend, Way::Read).and_then(|()| {
        let backend = connection.backend.get().expect("it was asked");
        match unless_it_blocks(backend.get().read(&mut [0; ANSWER.len()])) {
            Ok(None) => hear(connection),
            Ok(Some(1..)) => Promise::resolved(Ok(())),
            Ok(Some(0)) | Err(_) => Promise::resolved(Err(Closed)),
        }
    })
}
