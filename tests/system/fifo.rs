//! Files at whose other end there may be nobody: opens, reads and writes end with the time of their caller, take no
//! thread meanwhile, and lose nothing.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use abaca::blocking;
use abaca::fs::{self, File, OpenOptions};
use abaca::time::timeout;
use abaca_tests::begun;

use super::{Folder, in_child, is_child, one_worker, wait_until};

/// Runs `body` in a process of its own. In this one the tests beside start children, which have copies of both ends of a
/// FIFO until they execute their programs.
fn alone(test: &str, body: fn()) {
    if is_child() {
        return body();
    }
    let output = in_child(&format!("fifo::{test}"), "exec \"$@\"");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

const SOON: Duration = Duration::from_millis(5);

fn fifo(folder: &Folder) -> PathBuf {
    let path = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// A descriptor of the FIFO that keeps it open for both, without waiting.
fn keeper(path: &PathBuf) -> std::fs::File {
    std::fs::File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn an_open_ends_with_the_time_of_its_caller_and_keeps_no_thread() {
    alone("an_open_ends_with_the_time_of_its_caller_and_keeps_no_thread", || {
        let folder = Folder::new();
        let path = fifo(&folder);
        one_worker().run(|| {
            let opens: [fn(&PathBuf); 6] = [
                |path| drop(File::open(path)),
                |path| drop(File::create(path)),
                |path| drop(OpenOptions::new().append(true).open(path)),
                |path| drop(fs::read(path)),
                |path| drop(fs::read_to_string(path)),
                |path| drop(fs::write(path, "nobody reads it")),
            ];
            for _ in 0..3 {
                for open in opens {
                    assert!(timeout(SOON, || open(&path)).is_err());
                }
            }
            assert!(timeout(SOON, || fs::copy("/etc/passwd", &path)).is_err());
            assert_eq!(
                fs::copy(&path, folder.path().join("copy")).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            wait_until(|| blocking::metrics().idle == blocking::metrics().threads);
            // The call that was given up took no byte from later ones.
            let reading = begun({
                let path = path.clone();
                move || fs::read_to_string(path).unwrap()
            });
            fs::write(&path, "through").unwrap();
            assert_eq!(reading.join().unwrap(), "through");
        });
    });
}

#[test]
fn an_open_waits_for_the_other_end_and_for_nothing_else() {
    alone("an_open_waits_for_the_other_end_and_for_nothing_else", || {
        let folder = Folder::new();
        let path = fifo(&folder);
        one_worker().run(|| {
            // The writer has written nothing, and closes.
            let reader = begun({
                let path = path.clone();
                move || File::open(path).unwrap().read(&mut [0]).unwrap()
            });
            drop(File::create(&path).unwrap());
            assert_eq!(reader.join().unwrap(), 0);
            // The writer stays, and writes nothing yet.
            let reader = begun({
                let path = path.clone();
                move || File::open(path).unwrap()
            });
            let writer = File::create(&path).unwrap();
            let reader = reader.join().unwrap();
            assert!(timeout(SOON, || (&reader).read(&mut [0])).is_err());
            drop(writer);
            assert_eq!((&reader).read(&mut [0]).unwrap(), 0);
            // Afterwards the file blocks, as std's does.
            let std = std::fs::File::from(reader);
            assert!(!socket2::SockRef::from(&std).nonblocking().unwrap());
            // Who asks for it does not wait.
            let nonblocking = || {
                let mut options = OpenOptions::new();
                options.custom_flags(0o4000);
                options
            };
            assert_eq!(nonblocking().write(true).open(&path).is_err(), std::fs::metadata(&path).is_err());
            drop(std);
            assert!(nonblocking().write(true).open(&path).is_err(), "nobody reads");
            nonblocking().read(true).open(&path).unwrap();
        });
    });
}

#[test]
fn reads_and_writes_end_with_the_time_of_their_caller_and_lose_nothing() {
    alone("reads_and_writes_end_with_the_time_of_their_caller_and_lose_nothing", || {
        let folder = Folder::new();
        let path = fifo(&folder);
        one_worker().run(|| {
            let mut other = keeper(&path);
            let mut file = File::open(&path).unwrap();
            for _ in 0..3 {
                assert!(timeout(SOON, || file.read(&mut [0; 8])).is_err());
                assert!(timeout(SOON, || file.read_exact(&mut [0; 8])).is_err());
            }
            other.write_all(b"kept").unwrap();
            let mut bytes = [0; 8];
            assert_eq!(file.read(&mut bytes).unwrap(), 4);
            assert_eq!(&bytes[..4], b"kept");

            let mut writer = File::create(&path).unwrap();
            let mut written = 0;
            let full =
                timeout(SOON, || while writer.write(&[7; 3000]).map(|more| written += more).is_ok() {});
            assert!(full.is_err());
            let mut arrived = vec![0; written];
            other.read_exact(&mut arrived).unwrap();
            assert!(arrived.iter().all(|&byte| byte == 7));
            assert!(timeout(SOON, || file.read(&mut [0; 8])).is_err(), "no more than what was told");
            assert_eq!(blocking::metrics().queued, 0);
            wait_until(|| blocking::metrics().idle == blocking::metrics().threads);
        });
    });
}

#[test]
fn a_terminal_that_is_opened_as_a_file_is_waited_for() {
    one_worker().run(|| {
        let (mut master, terminal) = abaca_tests::terminal();
        let mut file = File::from(terminal);
        assert!(timeout(SOON, || file.read(&mut [0; 8])).is_err());
        master.write_all(b"typed\n").unwrap();
        let mut text = [0; 6];
        file.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"typed\n");
        // Nobody displays it.
        assert!(timeout(SOON, || file.write_all(&[b'x'; 1 << 20])).is_err());
        wait_until(|| blocking::metrics().idle == blocking::metrics().threads);
    });
}

/// It would wait for ever.
#[test]
fn the_end_of_a_runtime_waits_for_no_open() {
    let folder = Folder::new();
    let path = fifo(&folder);
    let runtime = one_worker();
    runtime.run(|| drop(begun(move || File::open(path).map(drop))));
    runtime.shutdown(Duration::from_secs(1000)).unwrap();
}
