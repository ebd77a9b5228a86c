//! The callees of the hand-compiled state machine: the objects of the functions that `Converse` awaits, and the leaf that
//! all of them await in the end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::session::{Side, Wants, Way, connect, unless_it_blocks};
use crate::service::{ANSWER, Conversation, question};

/// The sockets, and what the innermost future has registered to wait for: a runtime's reactor would keep that, with
/// the waker.
pub(super) struct Io {
    pub(super) client: TcpStream,
    pub(super) backend: Option<TcpStream>,
    pub(super) wants: Wants,
}

/// `ready(side, way).await`: the leaf of every wait.
#[derive(Default)]
pub(super) struct Ready {
    has_waited: bool,
}

impl Ready {
    pub(super) fn poll(&mut self, io: &mut Io, wants: Wants, _: &mut Context<'_>) -> Poll<()> {
        if self.has_waited {
            return Poll::Ready(());
        }
        self.has_waited = true;
        io.wants = wants;
        Poll::Pending
    }
}

/// `async fn send_all(io, conversation)`: `None` before its first await point.
#[derive(Default)]
pub(super) struct SendAll(Option<Ready>);

impl SendAll {
    pub(super) fn poll(
        &mut self,
        io: &mut Io,
        talk: &mut Conversation,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !talk.output().is_empty() {
            if let Some(writable) = &mut self.0 {
                ready!(writable.poll(io, (Side::Client, Way::Write), cx));
                self.0 = None;
            }
            match unless_it_blocks(io.client.write(talk.output()))? {
                Some(length) => talk.sent(length),
                None => self.0 = Some(Ready::default()),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// `async fn exchange(io, question)`, with the backend.
pub(super) enum Exchange {
    /// Until the connection is there and the question sent.
    Asking(Ready, String),
    Hearing(Ready),
}

impl Exchange {
    /// A connected socket is writable as a rule, so the question is sent without waiting for that.
    pub(super) fn new(wait: Duration) -> Self {
        Self::Asking(Ready { has_waited: true }, question(wait))
    }

    pub(super) fn poll(
        &mut self,
        io: &mut Io,
        backend: SocketAddr,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if io.backend.is_none() {
            io.backend = Some(connect(backend)?);
        }
        loop {
            match self {
                Self::Asking(writable, question) => {
                    ready!(writable.poll(io, (Side::Backend, Way::Write), cx));
                    let socket = io.backend.as_mut().ok_or(ErrorKind::NotConnected)?;
                    let sent = unless_it_blocks(socket.write(question.as_bytes()))?.unwrap_or(0);
                    let rest = question.split_off(sent);
                    *self = if rest.is_empty() {
                        Self::Hearing(Ready::default())
                    } else {
                        Self::Asking(Ready::default(), rest)
                    };
                }
                Self::Hearing(readable) => {
                    ready!(readable.poll(io, (Side::Backend, Way::Read), cx));
                    let socket = io.backend.as_mut().ok_or(ErrorKind::NotConnected)?;
                    match unless_it_blocks(socket.read(&mut [0; ANSWER.len()]))? {
                        None => *self = Self::Hearing(Ready::default()),
                        Some(0) => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                        Some(_) => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}
