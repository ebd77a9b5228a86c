//! Files that change, and files that are locked.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use inotify::{Inotify, WatchMask};

use super::beside::serve;
use super::http::HERE;
use super::{Program, Version, text};
use crate::call::{Answer, Call};

pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "std::fs::File::lock", slow: by_lock, ..HERE },
    Program { name: "inotify", version: Version::Of("inotify"), slow: by_inotify, ..HERE },
];

/// A path that nobody else uses.
fn path(call: &Call<'_>) -> PathBuf {
    static PATHS: AtomicUsize = AtomicUsize::new(0);
    call.servers.marks.with_file_name(format!("path-{}", PATHS.fetch_add(1, Ordering::Relaxed)))
}

/// Another user of the file has locked it.
fn by_lock(call: &Call<'_>) -> Answer {
    let path = path(call);
    let holder = File::create(&path).map_err(text)?;
    holder.lock().map_err(text)?;
    let file = File::open(path).map_err(text)?;
    let time = call.time;
    call.ready();
    std::thread::spawn(move || {
        serve(time);
        drop(holder);
    });
    file.lock().map_err(text)?;
    Ok("locked".into())
}

/// Another thread writes a file.
fn by_inotify(call: &Call<'_>) -> Answer {
    let folder = path(call);
    std::fs::create_dir(&folder).map_err(text)?;
    let mut watcher = Inotify::init().map_err(text)?;
    watcher.watches().add(&folder, WatchMask::CLOSE_WRITE).map_err(text)?;
    let time = call.time;
    call.ready();
    std::thread::spawn(move || {
        serve(time);
        std::fs::write(folder.join("file"), "done").unwrap();
    });
    let mut buffer = [0; 1024];
    let events = watcher.read_events_blocking(&mut buffer).map_err(text)?;
    let names: Vec<_> = events.filter_map(|event| Some(event.name?.to_string_lossy().into_owned())).collect();
    Ok(names.join(" "))
}
