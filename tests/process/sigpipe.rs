//! A program that has set SIGPIPE to its default, as many a command does, is not killed by a copy to a broken socket.

#![expect(unsafe_code, reason = "sets a signal's disposition")]

use std::fs::File;
use std::io::{ErrorKind, Write};

use abaca::io::copy_fd;
use abaca::net::UnixStream;

use super::{in_child, is_child};

#[test]
fn a_copy_to_a_broken_socket_is_an_error_and_no_signal() {
    if is_child() {
        // SAFETY: the default disposition takes no handler.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        abaca::run(|| {
            let broken = || UnixStream::pair().unwrap().0;
            let file = File::open(std::env::current_exe().unwrap()).unwrap();
            assert_eq!(copy_fd(&file, &broken()).unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (output, mut input) = abaca::io::pipe().unwrap();
            input.write_all(b"x").unwrap();
            assert_eq!(copy_fd(&output, &broken()).unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (ours, theirs) = UnixStream::pair().unwrap();
            (&theirs).write_all(b"x").unwrap();
            assert_eq!(copy_fd(&ours, &broken()).unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        return;
    }
    let output = in_child("sigpipe::a_copy_to_a_broken_socket_is_an_error_and_no_signal");
    assert!(output.status.success(), "{output:?}");
}
