//! Children at the end of a thread, and with other things than pipes.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use abaca::process::{ChildStdout, Command, Stdio};
use abaca_tests::on_one_worker;

use super::Folder;

/// Starts a child in its destructor, and tells whether that has worked.
struct Starts(Sender<bool>);

impl Drop for Starts {
    fn drop(&mut self) {
        let _ = self.0.send(Command::new("true").status().is_ok_and(|status| status.success()));
    }
}

thread_local! {
    static AT_END: RefCell<Option<Starts>> = const { RefCell::new(None) };
}

#[test]
fn the_destructor_of_a_thread_local_may_start_a_child() {
    for has_started_before in [false, true] {
        let (tell, told) = channel();
        let body = move || {
            // What was used first is destroyed last.
            AT_END.set(Some(Starts(tell)));
            if has_started_before {
                Command::new("true").status().unwrap();
            }
        };
        thread::spawn(body).join().unwrap();
        assert_eq!(told.recv(), Ok(true));
    }
}

#[test]
fn output_is_taken_from_a_file_in_the_place_of_a_pipe() {
    let folder = Folder::new();
    let path = folder.path().join("output");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    on_one_worker(move || {
        let mut command = Command::new("sh");
        command.args(["-c", "echo errors >&2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout = Some(ChildStdout::from(OwnedFd::from(File::open(path).unwrap())));
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout == content && output.stderr == b"errors\n");
    });
}
