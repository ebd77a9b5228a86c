//! async/await on tokio: tasks that the compiler turned into state machines, on one thread or on a work-stealing pool, which
//! may be told what keeps a CPU busy.
//!
//! tokio 1, the runtime that most Rust servers run on. A wait returns through every level of calls to the scheduler,
//! and continuing polls down through them again.
//!
//! State between two events: in the task's future, one heap object as large as its largest set of locals that live
//! across an `await`.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::{Builder, Runtime};

use super::{Capacity, Family, Model, Options, after_failed_accept, always};
use crate::service::{ANSWER, Conversation, Step, question};

pub(super) const MODEL: Model = Model {
    name: "tokio",
    about: "async/await on tokio's work-stealing threads",
    state: "the task's future, a heap object that the compiler laid out",
    source: "tokio 1, multi-thread runtime",
    family: Family::Stackless,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve: |listener, options| serve(&threads(options)?, listener, options, Conversation::step),
};

pub(super) const IN_PLACE: Model = Model {
    name: "tokio-in-place",
    about: "the same, with long computations in block_in_place",
    serve: |listener, options| serve(&threads(options)?, listener, options, step_in_place),
    ..MODEL
};

pub(super) const CURRENT_THREAD: Model = Model {
    name: "tokio-ct",
    about: "async/await on tokio, one thread",
    source: "tokio 1, current-thread runtime",
    serve: |listener, options| serve(&current_thread()?, listener, options, Conversation::step),
    ..MODEL
};

pub(super) fn threads(options: &Options) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(options.workers).enable_all().build()
}

pub(super) fn current_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// How a connection goes on between two waits.
type Go = fn(&mut Conversation) -> Step;

/// What takes longer is given to another thread than the worker's: the length that tokio's documentation tells to stay below.
const LONG: Duration = Duration::from_micros(100);

fn step_in_place(conversation: &mut Conversation) -> Step {
    if conversation.next_work() > LONG {
        ::tokio::task::block_in_place(|| conversation.step())
    } else {
        conversation.step()
    }
}

fn serve(
    runtime: &Runtime,
    listener: std::net::TcpListener,
    options: &Options,
    go: Go,
) -> io::Result<Infallible> {
    let options = *options;
    // A connection ends with its first error, as it does when its client is gone.
    serve_each(runtime, listener, move |client| converse(client, options, go))
}

/// Serves each connection in a task of its own.
pub(super) fn serve_each<F>(
    runtime: &Runtime,
    listener: std::net::TcpListener,
    converse: impl Fn(TcpStream) -> F + Send + 'static,
) -> io::Result<Infallible>
where
    F: Future<Output: Send> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let accepting = async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(::tokio::spawn(converse(client))),
                Err(error) => after_failed_accept(error)?,
            }
        }
    };
    // A task of its own, so that it runs where tasks run.
    runtime.block_on(async move { ::tokio::spawn(accepting).await }).map_err(io::Error::other)?
}

async fn converse(mut client: TcpStream, options: Options, go: Go) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut conversation = Conversation::new(options.busy_loop);
    let mut backend = None;
    loop {
        let step = go(&mut conversation);
        if !conversation.output().is_empty() {
            client.write_all(conversation.output()).await?;
            conversation.sent(conversation.output().len());
        }
        match step {
            Step::Read => match client.read(conversation.room()).await? {
                0 => return Ok(()),
                length => conversation.received(length),
            },
            Step::Wait(wait) => {
                let backend = match &mut backend {
                    Some(backend) => backend,
                    none => none.insert(connect(&options).await?),
                };
                backend.write_all(question(wait).as_bytes()).await?;
                backend.read_exact(&mut [0; ANSWER.len()]).await?;
            }
            Step::Close => return Ok(()),
        }
    }
}

async fn connect(options: &Options) -> io::Result<TcpStream> {
    let backend = TcpStream::connect(options.backend).await?;
    backend.set_nodelay(true)?;
    Ok(backend)
}
