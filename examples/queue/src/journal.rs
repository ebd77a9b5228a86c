//! What a worker has done, on disk: its effects, and what Redis has acknowledged.
//!
//! A line is one write(2) to a file that is opened for appending, so it outlives the process whole or not at all. The audit reads the
//! journals of all workers, the killed ones among them; Redis is not asked.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// A worker's journal; without a file, nothing is written.
pub(crate) struct Journal(Option<File>);

/// A line of a journal. Times are in nanoseconds since the machine has started.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// The handler had the job's effect, in a call that began then.
    Effect { id: String, job: String, begun: u128 },
    /// Redis said then that the entry is settled.
    Settled { id: String, when: u128 },
}

impl Journal {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| File::options().append(true).create(true).open(path);
        Ok(Self(path.map(open).transpose()?))
    }

    /// The same clock for all processes of the machine, which nobody sets.
    pub(crate) fn now(&self) -> u128 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u128 * 1_000_000_000 + now.tv_nsec as u128
    }

    pub(crate) fn effect(&self, id: &str, job: &str, begun: u128) -> io::Result<()> {
        self.write(&format!("effect {id} {begun} {job}\n"))
    }

    pub(crate) fn settled<'a>(&self, ids: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let now = self.now();
        self.write(&ids.map(|id| format!("settled {id} {now}\n")).collect::<String>())
    }

    fn write(&self, lines: &str) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |mut file| file.write_all(lines.as_bytes()))
    }

    /// The lines of a journal. A line that a death has cut off does not count.
    pub(crate) fn read(path: &Path) -> io::Result<Vec<Line>> {
        let text = std::fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| Line::of(line).ok_or_else(|| io::Error::other(format!("what is `{line}`?"))))
            .collect()
    }
}

impl Line {
    fn of(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (kind, id, time) = (words.next()?, words.next()?.to_owned(), words.next()?.parse().ok()?);
        match (kind, words.next()) {
            ("effect", Some(job)) => Some(Self::Effect { id, job: job.to_owned(), begun: time }),
            ("settled", None) => Some(Self::Settled { id, when: time }),
            _ => None,
        }
    }
}
