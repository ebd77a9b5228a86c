//! A connection over blocking calls: the same lines for processes, threads, coroutines and fibers, which differ in
//! what a call blocks.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::Options;
use crate::busy_loop::BusyLoop;
use crate::service::{ANSWER, Conversation, Step, question};

/// Serves one connection to its end. `connect` opens a connection to the backend, when the first request needs it.
pub(super) fn converse<B: Read + Write>(
    mut client: impl Read + Write,
    busy_loop: BusyLoop,
    connect: impl Fn() -> io::Result<B>,
) -> io::Result<()> {
    let mut conversation = Conversation::new(busy_loop);
    let mut backend = None;
    loop {
        let step = conversation.step();
        if !conversation.output().is_empty() {
            client.write_all(conversation.output())?;
            conversation.sent(conversation.output().len());
        }
        match step {
            Step::Read => match client.read(conversation.room())? {
                0 => return Ok(()),
                length => conversation.received(length),
            },
            Step::Wait(wait) => {
                let backend = match &mut backend {
                    Some(backend) => backend,
                    none => none.insert(connect()?),
                };
                backend.write_all(question(wait).as_bytes())?;
                backend.read_exact(&mut [0; ANSWER.len()])?;
            }
            Step::Close => return Ok(()),
        }
    }
}

/// [`converse`] over std's sockets. The connection ends with its first error, as it does when its client is gone.
pub(super) fn converse_std(client: &TcpStream, options: &Options) {
    let connect = || {
        let backend = TcpStream::connect(options.backend)?;
        backend.set_nodelay(true)?;
        Ok(backend)
    };
    let _ = client.set_nodelay(true).and_then(|()| converse(client, options.busy_loop, connect));
}
