//! Further channels between threads.

use super::beside::{THREADS, serve};
use super::{Program, Version, text};
use crate::call::{Answer, Call};

pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "flume", version: Version::Of("flume"), slow: by_flume, ..THREADS },
    Program { name: "kanal", version: Version::Of("kanal"), slow: by_kanal, ..THREADS },
];

/// A channel without room, by a selector, which is woken by std's `unpark`.
fn by_flume(call: &Call<'_>) -> Answer {
    let (sender, receiver) = flume::bounded(0);
    let time = call.time;
    call.ready();
    let thread = std::thread::spawn(move || {
        serve(time);
        sender.send("done").unwrap();
    });
    let answer = flume::Selector::new().recv(&receiver, |answer| answer).wait().map_err(text)?;
    thread.join().unwrap();
    Ok(answer.into())
}

fn by_kanal(call: &Call<'_>) -> Answer {
    let (sender, receiver) = kanal::bounded(0);
    let time = call.time;
    call.ready();
    let thread = std::thread::spawn(move || {
        serve(time);
        sender.send("done").unwrap();
    });
    let answer = receiver.recv().map_err(text)?;
    thread.join().unwrap();
    Ok(answer.into())
}
