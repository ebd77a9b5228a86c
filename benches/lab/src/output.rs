//! The files of a run: opened, and room for them reserved, before anything is measured.
//!
//! What an earlier run wrote stays as it is until this one has something to write.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use abaca_lab::data::Run;
use abaca_lab::report;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// More than a run of all models takes: those of the sample are half a megabyte each.
const RESERVED_BYTES: u64 = 8 << 20;

/// Where a run goes.
pub(crate) struct Output {
    report: Place,
    raw: Place,
}

/// A file with room.
struct Place {
    path: PathBuf,
    file: File,
}

impl Output {
    /// Makes the folder and both files, and reserves room.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        Ok(Self {
            report: Place::open(folder.join("report.html"))?,
            raw: Place::open(folder.join("run.json"))?,
        })
    }

    /// Writes the run and its report; returns the paths of the report and of the run.
    pub(crate) fn write(self, run: &Run) -> io::Result<(PathBuf, PathBuf)> {
        let raw = self.raw.write(&serde_json::to_vec_pretty(run)?)?;
        Ok((self.report.write(report::html(run).as_bytes())?, raw))
    }
}

impl Place {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| told(&path, &error))?;
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVED_BYTES) {
            // A file system that cannot reserve tells a full disk when it is written to.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Self { path, file }),
            Err(errno) => Err(told(&path, &format!("no room for {RESERVED_BYTES} bytes: {errno}"))),
        }
    }

    fn write(mut self, bytes: &[u8]) -> io::Result<PathBuf> {
        // The room is that of the old content and of what follows it, so that is written over before it is cut off.
        let written = self.file.rewind().and_then(|()| self.file.write_all(bytes));
        let cut = written.and_then(|()| self.file.set_len(bytes.len() as u64));
        cut.map_err(|error| told(&self.path, &error))?;
        Ok(self.path)
    }
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
