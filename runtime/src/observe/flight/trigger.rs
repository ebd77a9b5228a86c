//! Recordings that are made when something has gone wrong.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::{Recorder, Recording};
use crate::os::{service, stderr};
use crate::scheduler::{self, OnTrigger, Shared, Trigger};

/// How long after a recording has been written no other one is made.
const PAUSE: Duration = Duration::from_secs(10);

/// How many recordings of each kind are made.
const MOST: u32 = 8;

/// How long a fiber that panics waits until its recording is written. A disk may hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// The recordings that were made of one runtime.
#[derive(Default)]
struct Made {
    last: Mutex<Last>,
    of_kind: [AtomicU32; 3],
}

/// The last recording.
#[derive(Clone, Copy, Default)]
enum Last {
    #[default]
    None,
    /// It is being made and written, which takes its time on a busy machine.
    UnderWay,
    /// It was written then.
    Written(Instant),
}

/// A recording that is being made and written, until this is dropped.
struct UnderWay(Arc<Made>);

impl Made {
    /// `None` unless a recording of this kind is due, which then counts as made.
    fn begin(self: &Arc<Self>, trigger: Trigger) -> Option<UnderWay> {
        // A trigger beside another one makes nothing, nor does one soon after another one.
        let mut last = self.last.try_lock().ok()?;
        let is_due = match *last {
            Last::None => true,
            Last::UnderWay => false,
            Last::Written(when) => when.elapsed() >= PAUSE,
        };
        // Relaxed: under the lock.
        if !is_due || self.of_kind[trigger as usize].fetch_add(1, Ordering::Relaxed) >= MOST {
            return None;
        }
        *last = Last::UnderWay;
        Some(UnderWay(Arc::clone(self)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Last::Written(Instant::now());
    }
}

impl Recorder {
    /// What the runtime does when something has happened; `None` if nothing.
    pub(crate) fn on_trigger(&self) -> Option<OnTrigger> {
        let directory = self.directory.clone()?;
        let is_wanted = [self.on_stall, self.on_panic, self.on_deadline, self.on_signal];
        let made = Arc::new(Made::default());
        Some(Arc::new(move |shared: &Shared, trigger| {
            if !is_wanted[trigger as usize] {
                return;
            }
            // Who sends a signal wants a recording each time.
            let under_way = (trigger != Trigger::Signal).then(|| made.begin(trigger));
            if !matches!(under_way, Some(None))
                && let Some(recording) = Recording::of(shared)
            {
                keep(recording, directory.clone(), trigger, under_way.flatten());
            }
        }))
    }
}

/// Writes the recording into the directory.
fn keep(recording: Recording, directory: PathBuf, trigger: Trigger, under_way: Option<UnderWay>) {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    // Relaxed: a number.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let why = match trigger {
        Trigger::Stall => "stall",
        Trigger::Panic => "panic",
        Trigger::Deadline => "deadline",
        Trigger::Signal => "signal",
    };
    let stem = directory.join(format!("abaca-{}-{number}-{why}", std::process::id()));
    let (writing, written) = mpsc::channel::<()>();
    let write = move || {
        // Its end ends the wait below.
        let _writing = writing;
        let files = ["pftrace", "html"].map(|form| stem.with_extension(form));
        let result: io::Result<()> = files.iter().try_for_each(|file| recording.save(file));
        let message = match result {
            Ok(()) => format!("abaca: a recording was made because of a {why}: {}\n", files[1].display()),
            Err(error) => format!("abaca: no recording in {}: {error}\n", directory.display()),
        };
        stderr::write(message.as_bytes());
        drop(under_way);
    };
    // On a thread of its own, where there is room to look up names. Without one there is no recording.
    let writer = service::start("abaca-recorder".into(), write);
    if trigger == Trigger::Panic && writer.is_ok() {
        // The process may end as soon as this returns.
        let _ = written.recv_timeout(PATIENCE);
    }
}

/// Makes a recording of the calling fiber's runtime, if it makes one of panics. For the panic hook.
pub(crate) fn record_panic() {
    scheduler::trigger(Trigger::Panic);
}
