//! Actors on abaca: a process for each connection, and one for each request.
//!
//! Erlang's way (Armstrong, *Making reliable distributed systems in the presence of software errors*, 2003): what happens
//! at the same time is in processes that share nothing and send messages. A connection's process sends what it has read
//! to a new one, linked to it, which does the work, waits for the backend and sends the answer back.
//!
//! State between two events: on the stacks of the two fibers, and in the message between them.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use ::abaca::actor::{self, ActorRef, Mailbox};
use ::abaca::net::TcpStream;

use super::{Capacity, Family, Model, Options, after_failed_accept, always};
use crate::service::{ANSWER, Conversation, Step, question};

pub(super) const MODEL: Model = Model {
    name: "actors",
    about: "a process per connection and per request: actors on abaca's fibers (M:N)",
    state: "the stacks of two fibers, and a message",
    source: "Armstrong, Making reliable distributed systems (2003)",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

/// A process that starts another may have to enlarge its worker's queue, which takes some 20 KiB of stack in a debug
/// build. Only touched pages cost memory.
const STACK_BYTES: usize = 64 * 1024;

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let options = *options;
    let runtime = ::abaca::Runtime::builder().workers(options.workers).stack_size(STACK_BYTES).build()?;
    runtime.run(move || {
        let listener = ::abaca::net::TcpListener::from(listener);
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    let body = move |mailbox: &mut Mailbox<Talk>| converse(mailbox, client, options);
                    if let Err(error) = actor::Builder::new().spawn(body) {
                        eprintln!("no process for a connection: {error}");
                    }
                }
                Err(error) => after_failed_accept(error)?,
            }
        }
    })
}

/// What travels between a connection's process and those of its requests.
struct Talk {
    conversation: Conversation,
    backend: Option<TcpStream>,
    step: Step,
}

/// A connection's process, which ends with its first error, as it does when its client is gone.
fn converse(mailbox: &mut Mailbox<Talk>, mut client: TcpStream, options: Options) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut talk =
        Talk { conversation: Conversation::new(options.busy_loop), backend: None, step: Step::Read };
    loop {
        if !talk.conversation.output().is_empty() {
            client.write_all(talk.conversation.output())?;
            talk.conversation.sent(talk.conversation.output().len());
        }
        match talk.step {
            Step::Read => match client.read(talk.conversation.room())? {
                0 => return Ok(()),
                length => talk.conversation.received(length),
            },
            Step::Wait(_) => {}
            Step::Close => return Ok(()),
        }
        let me = mailbox.me();
        // If it fails, it takes this process with it.
        mailbox.spawn_link(move |_: &mut Mailbox<()>| work(talk, &me, &options));
        talk = mailbox.receive();
    }
}

/// A request's process.
fn work(mut talk: Talk, connection: &ActorRef<Talk>, options: &Options) -> io::Result<()> {
    if let Step::Wait(wait) = talk.step {
        ask(&mut talk.backend, wait, options)?;
    }
    talk.step = talk.conversation.step();
    connection.cast(talk);
    Ok(())
}

fn ask(backend: &mut Option<TcpStream>, wait: Duration, options: &Options) -> io::Result<()> {
    let backend = match backend {
        Some(backend) => backend,
        none => {
            let connected = TcpStream::connect(options.backend)?;
            connected.set_nodelay(true)?;
            none.insert(connected)
        }
    };
    backend.write_all(question(wait).as_bytes())?;
    backend.read_exact(&mut [0; ANSWER.len()])
}
