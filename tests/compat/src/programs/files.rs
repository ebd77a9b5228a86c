//! What changes in a folder.

use std::sync::atomic::{AtomicUsize, Ordering};

use inotify::{Inotify, WatchMask};

use super::beside::serve;
use super::http::HERE;
use super::{Program, Version, text};
use crate::call::{Answer, Call};

pub(super) const PROGRAMS: &[Program] =
    &[Program { name: "inotify", version: Version::Of("inotify"), slow: by_inotify, ..HERE }];

/// Another thread writes a file.
fn by_inotify(call: &Call<'_>) -> Answer {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = call.servers.marks.with_file_name(format!("watched-{number}"));
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
