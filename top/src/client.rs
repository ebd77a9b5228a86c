//! The other end of the socket.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take. A dump waits for workers that do not come to their hubs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest first line of an answer: what listens may be no program of ours.
const LONGEST_HEAD: u64 = 256;

/// A connection to an observed program.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The program has ended, or does not answer.
    Gone(io::Error),
    /// The program says why.
    Refused(String),
    /// The answer cannot be printed.
    Output(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(error) => write!(f, "the program does not answer: {error}"),
            Self::Refused(text) => f.write_str(text),
            Self::Output(error) => write!(f, "cannot print the answer: {error}"),
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Client {
    /// Connects to the socket of a program.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request, and returns its answer.
    pub(crate) fn ask(&mut self, request: &str) -> Result<Vec<u8>, ClientError> {
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        let mut head = String::new();
        if self.stream.by_ref().take(LONGEST_HEAD).read_line(&mut head)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match head.trim_end().split_once(' ') {
            Some(("ok", length)) => {
                let length = length.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                let mut answer = Vec::new();
                self.stream.by_ref().take(length).read_to_end(&mut answer)?;
                if (answer.len() as u64) < length {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Ok(answer)
            }
            Some(("error", text)) => Err(ClientError::Refused(text.into())),
            _ => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
        }
    }
}
