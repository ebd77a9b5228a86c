//! Connections that have been served once and then fall silent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Bench, process, why};
use crate::child::Server;
use crate::data::Idle;
use crate::load::{self, Pace};
use crate::models::Model;

/// How long a connection may take to be served once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The load of the active connections, in requests per second.
const ACTIVE: f64 = 500.0;

/// What an idle connection has asked for.
const PATH: &str = "/";

impl Bench<'_, '_> {
    /// What so many idle connections cost the model, and the active ones.
    pub(super) fn idle(&mut self, model: &'static Model, connections: u64, repetition: u32) {
        let mut row = Idle { model: model.name.to_owned(), repetition, connections, ..Idle::default() };
        if let Err(note) = self.fill_idle(model, &mut row) {
            row.note = Some(note);
        }
        self.run.idles.push(row);
    }

    fn fill_idle(&self, model: &Model, row: &mut Idle) -> Result<(), String> {
        if let Some(most) = model.capacity.clients(&self.options())
            && (most as u64) < row.connections
        {
            return Err(format!("serves {most} connections at a time"));
        }
        // A server of its own: what it keeps of these connections would be found by the idle ones.
        let mut alone = self.start(model).map_err(|error| error.to_string())?;
        row.alone_p99_us = self.active(model, &mut alone)?;
        drop(alone);
        let mut server = self.start(model).map_err(|error| error.to_string())?;
        // What the first connections make the model allocate once is not theirs.
        let _first = open(&server, 16, PATH).0;
        let before = process::memory(&server);
        let (held, failure) = open(&server, row.connections, PATH);
        row.held = held.len() as u64;
        let after = process::memory(&server);
        row.threads = process::threads(&server);
        if row.held > 0 {
            row.bytes_per_connection = Some(after.saturating_sub(before) as f64 / row.held as f64);
        }
        let active = self.active(model, &mut server);
        row.active_p99_us = active.as_ref().ok().copied().flatten();
        match (server.failure(), failure) {
            (Some(failure), _) => Err(format!("after {} connections: {failure}", row.held)),
            (None, Some(error)) => {
                let said = server.said();
                let said = said.lines().last().map(|line| format!("; it said: {line}")).unwrap_or_default();
                Err(format!("after {} connections: {error}{said}", row.held))
            }
            (None, None) => active.map(|_| ()),
        }
    }

    /// What a few active connections see: 99 of 100 requests, in microseconds; `None` where the generator was late.
    fn active(&self, model: &Model, server: &mut Server) -> Result<Option<f64>, String> {
        let mut plan = self.plan(server, model, Pace::Open { rate: ACTIVE });
        plan.connections = plan.connections.min(16);
        let active = load::run(&plan).map_err(|error| why(server, &error))?;
        Ok((active.is_valid() && active.answered > 0).then_some(active.latency.p99_ns as f64 / 1e3))
    }
}

/// How many connections are opened at a time: a model that looks at all it holds whenever one has work would otherwise
/// take a time that grows with their square.
const BATCH: u64 = 64;

/// Opens connections until there are so many or one is not served; each is served once.
pub(crate) fn open(server: &Server, count: u64, path: &str) -> (Vec<TcpStream>, Option<std::io::Error>) {
    let mut held: Vec<TcpStream> = Vec::new();
    while (held.len() as u64) < count {
        let missing = count - held.len() as u64;
        let asked: Vec<_> = (0..missing.min(BATCH)).map(|_| ask(server, path)).collect();
        let served = asked.into_iter().map(|stream| stream.and_then(answered));
        let mut failure = None;
        for stream in served {
            match stream {
                Ok(stream) => held.push(stream),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if failure.is_some() {
            return (held, failure);
        }
    }
    (held, None)
}

/// A connection that has sent a request.
fn ask(server: &Server, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server.address(), PATIENCE)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n").as_bytes())?;
    Ok(stream)
}

/// The connection, once it has its answer.
fn answered(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    // One answer fits a packet, and is not longer than this.
    if stream.read(&mut [0; 1024])? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(stream)
}
