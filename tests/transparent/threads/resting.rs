//! How much of its stack a thread has touched that serves a connection and waits for the next request.

#![expect(unsafe_code, reason = "asks the kernel for the pages of a stack")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use crate::support::on_one_worker;

/// How many connections: several for each of the places in a page in which stacks begin.
const CONNECTIONS: usize = 64;

/// The pages of most. The block of thread-local storage takes more than one, with libc's reserve, and the frames lie right below. Without
/// optimisation frames are larger: four pages were enough, and there is one of room.
const PAGES: usize = if cfg!(debug_assertions) { 5 } else { 2 };

/// How many may have one more: where stacks begin in the last of the eight places, a block as large as this program's leaves less room.
const LARGER: usize = CONNECTIONS / 4;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A thread of a server as many are, with a buffer on its stack.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut buffer, mut filled) = ([0; 1024], 0);
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            length => filled += length,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            stream.write_all(ANSWER)?;
            filled = 0;
        }
    }
}

/// How many pages the kernel has for these addresses.
fn pages(range: &Range<usize>, page_bytes: usize) -> usize {
    let first = range.start / page_bytes * page_bytes;
    let mut present = vec![0_u8; (range.end - first).div_ceil(page_bytes)];
    // SAFETY: the kernel writes a byte for each page.
    let error = unsafe {
        libc::mincore(std::ptr::without_provenance_mut(first), range.end - first, present.as_mut_ptr())
    };
    assert_eq!(error, 0, "the stack is mapped");
    present.iter().filter(|page| **page & 1 != 0).count()
}

/// With a page more for some, an idle connection took 15,075 bytes in place of 14,087, and a new one a fault more (`benches/BARS.md`). Frames that
/// lie below this wait, or below what a thread does before, belong in functions of their own if they are needed rarely.
#[test]
fn a_connection_that_waits_has_touched_two_pages_of_optimised_frames() {
    // SAFETY: sysconf(3) has no preconditions.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    if page_bytes != 4096 {
        return;
    }
    abaca_transparent::threads_are_fibers().unwrap();
    // Its stacks are new: nobody has used them before.
    let counts = on_one_worker(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, stacks) = mpsc::channel();
        let mut held = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = TcpStream::connect(address).unwrap();
            let (stream, _) = listener.accept().unwrap();
            let tell = tell.clone();
            threads.push(thread::spawn(move || {
                tell.send(abaca::hook::stack().expect("a thread is a fiber")).unwrap();
                drop(tell);
                serve(stream)
            }));
            for _ in 0..3 {
                client.write_all(REQUEST).unwrap();
                client.read_exact(&mut [0; ANSWER.len()]).unwrap();
            }
            held.push(client);
        }
        let counts: Vec<_> = stacks.iter().take(CONNECTIONS).map(|stack| pages(&stack, page_bytes)).collect();
        drop(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        counts
    });
    assert!(counts.iter().all(|pages| *pages <= PAGES + 1), "{counts:?}");
    assert!(counts.iter().filter(|pages| **pages > PAGES).count() <= LARGER, "{counts:?}");
}
