//! What leaves a recording without being asked for: a hog, a panic, a missed deadline, a signal.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use abaca::observe::flight::Recorder;
use abaca_tests::with_workers_on_their_threads;

use super::flight::runtime;

/// The directory in which a child of these tests, which may write next to nothing, makes its files.
const FULL: &str = "ABACA_TEST_FULL";

/// A directory that no other test uses, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("abaca-flight-{name}-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        Self(place)
    }

    /// How many files there are whose names end so.
    fn count(&self, end: &str) -> usize {
        let names = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(end)).count()
    }

    fn recorder(&self) -> Recorder {
        Recorder::new().directory(&self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_panic_leaves_a_recording_and_one_soon_after_leaves_none() {
    let place = Place::new("panic");
    runtime(1, place.recorder().on_panic(true)).run(|| {
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
    });
    // A fiber that panics waits for it, but not for ever, where the machine is busy; the page is written last.
    while place.count("panic.html") == 0 {
        std::thread::yield_now();
    }
    assert_eq!(["pftrace", "html"].map(|form| place.count(&format!("panic.{form}"))), [1, 1]);
}

#[test]
fn a_missed_deadline_leaves_a_recording() {
    let place = Place::new("deadline");
    let late = runtime(1, place.recorder().on_deadline(true));
    late.run(|| assert!(abaca::time::timeout(Duration::from_millis(1), abaca::park).is_err()));
    // A thread of its own writes it, the page last.
    while place.count("deadline.html") == 0 {
        std::thread::yield_now();
    }
    assert_eq!(place.count("deadline.pftrace"), 1);
}

#[test]
fn a_hog_leaves_a_recording_while_it_keeps_its_worker() {
    let place = Place::new("stall");
    // A worker that left its thread would run the other fiber, and nobody would wait for the hog.
    let builder = with_workers_on_their_threads().workers(1);
    let builder = builder.stall_threshold(Duration::from_millis(20)).on_stall(|_| ());
    builder.flight_recorder(place.recorder().on_stall(true)).build().unwrap().run(|| {
        // Somebody must wait for the worker.
        let waits = abaca::spawn(|| ());
        while place.count("stall.html") == 0 {
            std::hint::spin_loop();
        }
        waits.join().unwrap();
    });
    assert_eq!(place.count("stall.pftrace"), 1);
}

#[test]
fn each_signal_leaves_a_recording_and_the_program_goes_on() {
    let place = Place::new("signal");
    let told = runtime(1, place.recorder().on_signal(true));
    for count in 1..=2 {
        let id = std::process::id().to_string();
        assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
        while place.count("signal.html") < count {
            std::thread::yield_now();
        }
    }
    assert_eq!(told.run(|| abaca::spawn(|| 3).join().unwrap()), 3);
    assert_eq!(place.count("signal.pftrace"), 2);
}

#[test]
fn without_its_setting_nothing_leaves_a_recording() {
    let place = Place::new("none");
    runtime(1, place.recorder()).run(|| {
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
        assert!(abaca::time::timeout(Duration::from_millis(1), abaca::park).is_err());
    });
    assert_eq!(place.count(""), 0);
}

#[test]
fn a_disk_that_is_full_in_the_middle_leaves_what_was_there() {
    if let Some(place) = std::env::var_os(FULL) {
        return fill(Path::new(&place));
    }
    let place = Place::new("full");
    std::fs::write(place.0.join("page.html"), "the page before").unwrap();
    // No file of more than half a KiB: as a disk that is full, but for the number of the error.
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "flight_causes::a_disk_that_is_full_in_the_middle_leaves_what_was_there",
        "--nocapture",
    ]);
    let output = child.env(FULL, &place.0).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&format!("abaca: no recording in {}: ", place.0.display())), "{told}");
    assert_eq!(std::fs::read_to_string(place.0.join("page.html")).unwrap(), "the page before");
    assert_eq!(place.count(""), 1, "no part of a file is left");
}

#[test]
fn a_disk_that_hangs_stops_no_fiber_that_panics_for_ever() {
    if let Some(place) = std::env::var_os(FULL) {
        return hang(Path::new(&place));
    }
    let place = Place::new("hang");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "flight_causes::a_disk_that_hangs_stops_no_fiber_that_panics_for_ever",
        "--nocapture",
    ]);
    let output = child.env(FULL, &place.0).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("abaca: a recording was made because of a panic"), "{told}");
}

/// Makes a recording in a directory where to write takes until somebody reads.
fn hang(place: &Path) {
    let forms =
        ["pftrace", "html"].map(|form| place.join(format!("abaca-{}-1-panic.{form}", std::process::id())));
    assert!(Command::new("mkfifo").args(&forms).status().unwrap().success());
    runtime(1, Recorder::new().directory(place).on_panic(true)).run(|| {
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
    });
    // Nobody has read until now.
    assert!(forms.iter().all(|form| !std::fs::read(form).unwrap().is_empty()));
}

/// Makes recordings in a directory that has no room for them.
fn fill(place: &Path) {
    let runtime = runtime(1, Recorder::new().directory(place).on_panic(true));
    runtime.run(|| {
        // So that either form is longer.
        (0..100).for_each(|_| abaca::spawn(abaca::yield_now).join().unwrap());
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
        assert_eq!(abaca::spawn(|| 3).join().unwrap(), 3);
    });
    let recording = runtime.recording().unwrap();
    for name in ["page.html", "new.html", "new.pftrace"] {
        let error = recording.save(place.join(name)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }
}

#[test]
fn a_full_disk_is_an_error_and_stops_nobody() {
    let recorder = Recorder::new().directory(Path::new("/dev/full")).on_panic(true);
    let runtime = runtime(1, recorder);
    runtime.run(|| {
        // No file can be made in there, which is reported.
        assert!(abaca::spawn(|| std::panic::panic_any(())).join().is_err());
        assert_eq!(abaca::spawn(|| 3).join().unwrap(), 3);
    });
    let recording = runtime.recording().unwrap();
    let error = recording.save("/dev/full").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let mut page = std::fs::File::create("/dev/full").unwrap();
    assert_eq!(recording.write_html(&mut page).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}
