//! Bytes that an operation has moved are not lost to a cancellation.

use std::io::{Read, Write};
use std::time::Duration;

use abaca::cancel::is_cancelled;
use abaca::net::{TcpListener, TcpStream};
use abaca::time::timeout;

use super::on_one_worker;

#[test]
fn bytes_that_were_read_are_returned_whenever_the_cancellation_comes() {
    on_one_worker(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut reader = listener.accept().unwrap().0;
        const BYTES: usize = 1000;
        writer.write_all(&[7; BYTES]).unwrap();
        let mut read = 0;
        // The time is up before the first read, and a fiber yields in one of so many reads that find bytes.
        let all = timeout(Duration::ZERO, || {
            while read < BYTES {
                read += reader.read(&mut [0]).unwrap();
            }
            is_cancelled()
        });
        assert_eq!((all, read), (Ok(true), BYTES));
    });
}
