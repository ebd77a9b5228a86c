//! Pipes, files, children, signals, the standard output.

#![expect(unsafe_code, reason = "sends a signal")]

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use abaca::io::{Pollable, copy_fd};
use abaca::net::UnixStream;
use abaca::process::{Command, Stdio};
use abaca::signal::{Signal, Signals};

use super::{joined, on_fibers, right, spawn};

pub(super) fn pipes() -> io::Result<()> {
    on_fibers(|| {
        let (mut reader, mut writer) = abaca::io::pipe()?;
        let sender = spawn(move || writer.write_all(&[1; 200_000]))?;
        let mut bytes = Vec::new();
        let received = reader.read_to_end(&mut bytes);
        drop(reader);
        of_both(joined(sender), received.map(drop))?;
        right(bytes.len(), 200_000)?;
        let (reader, writer) = io::pipe()?;
        let (mut reader, mut writer) = (Pollable::new(reader)?, Pollable::new(writer)?);
        let sender = spawn(move || writer.write_all(b"polled"))?;
        let mut text = String::new();
        let received = reader.read_to_string(&mut text);
        drop(reader);
        of_both(joined(sender), received.map(drop))?;
        right(text, "polled".into())
    })
}

fn of_both(one: io::Result<()>, other: io::Result<()>) -> io::Result<()> {
    one.and(other)
}

/// A file with some bytes in it, whose name is gone already.
fn filled(bytes: usize) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("abaca-fault-file-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    let _ = std::fs::remove_file(&path);
    (&file).write_all(&vec![5; bytes])?;
    (&file).rewind()?;
    Ok(file)
}

pub(super) fn copies() -> io::Result<()> {
    on_fibers(|| {
        const BYTES: usize = 300_000;
        let file = filled(BYTES)?;
        let ((ours, near), (far, mut theirs)) = (UnixStream::pair()?, UnixStream::pair()?);
        let filling = spawn(move || copy_fd(&file, &ours))?;
        let passing = spawn(move || copy_fd(&near, &far))?;
        let mut bytes = Vec::new();
        let received = theirs.read_to_end(&mut bytes);
        drop(theirs);
        // All three, so that nobody is left who still copies.
        let copied = (joined(filling), joined(passing));
        received?;
        right((copied.0?, copied.1?, bytes.len()), (BYTES as u64, BYTES as u64, BYTES))?;
        let (from, to) = (filled(BYTES)?, filled(0)?);
        right(copy_fd(&from, &to)?, BYTES as u64)
    })
}

pub(super) fn files() -> io::Result<()> {
    on_fibers(|| {
        let folder = std::env::temp_dir().join(format!("abaca-fault-folder-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let work = || {
            abaca::fs::create_dir(&folder)?;
            abaca::fs::write(folder.join("one"), "contents")?;
            abaca::fs::copy(folder.join("one"), folder.join("two"))?;
            abaca::fs::rename(folder.join("two"), folder.join("three"))?;
            let mut names = abaca::fs::read_dir(&folder)?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            right(names, vec!["one".into(), "three".into()])?;
            let mut text = String::new();
            let mut file = abaca::fs::File::open(folder.join("three"))?;
            file.read_to_string(&mut text)?;
            right(file.metadata()?.len(), 8)?;
            abaca::fs::remove_file(folder.join("three"))?;
            right(text, "contents".into())
        };
        let result = work();
        let _ = std::fs::remove_dir_all(&folder);
        result
    })
}

pub(super) fn output() -> io::Result<()> {
    on_fibers(|| {
        let mut out = abaca::io::stdout();
        for n in 0..3 {
            writeln!(out, "line {n}")?;
        }
        out.flush()?;
        abaca::io::stderr().write_all(b"")
    })
}

pub(super) fn children() -> io::Result<()> {
    on_fibers(|| {
        let output = Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]).output()?;
        right((output.status.code(), &output.stdout[..]), (Some(3), &b"out\n"[..]))?;
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"fed"));
        let mut text = String::new();
        let read = child.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text));
        // Its input is closed, so it ends; it is waited for whatever went wrong before.
        let status = child.wait_timeout(Duration::from_secs(30)).and_then(|status| match status {
            Some(status) => Ok(status),
            None => Err(io::Error::other("WRONG: the child does not end")),
        });
        if status.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        of_both(fed, read.map(drop))?;
        right((status?.success(), text), (true, "fed".into()))
    })
}

/// A child whose two streams are read at once, and have nothing most of the time.
pub(super) fn outputs() -> io::Result<()> {
    on_fibers(|| {
        let (reader, mut writer) = abaca::io::pipe()?;
        let mut command = Command::new("sh");
        command.args(["-c", "while read line; do echo $line; echo $line >&2; done"]).stdin(reader);
        // The end of its input is ours to make.
        let reading = spawn(move || command.output())?;
        let written = (0..4).try_for_each(|n| {
            abaca::sleep(Duration::from_millis(2));
            writer.write_all(format!("{n}\n").as_bytes())
        });
        drop(writer);
        let output = joined(reading)?;
        written?;
        right((&output.stdout[..], &output.stderr[..]), (&b"0\n1\n2\n3\n"[..], &b"0\n1\n2\n3\n"[..]))
    })
}

pub(super) fn signals() -> io::Result<()> {
    on_fibers(|| {
        let mut signals = Signals::new([Signal::User1, Signal::Hangup])?;
        let sender = spawn(|| {
            let own = std::process::id().to_string();
            let sent = Command::new("sh").args(["-c", &format!("kill -USR1 {own}")]).status().map(drop);
            if sent.is_err() {
                // The wait is over at once.
                // SAFETY: `kill` takes numbers.
                unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
            }
            sent
        })?;
        match signals.wait_timeout(Duration::from_secs(30)) {
            Ok(Some(signal)) => {
                joined(sender)?;
                right(signal, Signal::User1)
            }
            // If it was not sent, the sender knows why.
            Ok(None) => joined(sender).and(Err(io::Error::other("WRONG: the signal is lost"))),
            Err(error) => {
                // What it sends must not meet the default disposition.
                joined(sender).and(Err(error))
            }
        }
    })
}
