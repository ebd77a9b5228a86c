//! Fibers and plain threads on the same sockets, some of whom give up.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use abaca::net::unix::{SocketAddr, UnixDatagram, UnixStream};
use abaca::time::timeout;

use super::kinds::on_each_runtime;

const SENDERS: usize = 6;
const RECEIVERS: usize = 6;
const EACH: usize = 200;

/// How many numbers this receiver gets before it is told to stop. An impatient one gives up all the time.
fn receive(socket: &UnixDatagram, is_impatient: bool) -> usize {
    let mut count = 0;
    let mut buffer = [0; 8];
    loop {
        let received = if is_impatient {
            timeout(Duration::from_micros(50), || socket.recv(&mut buffer))
        } else {
            Ok(socket.recv(&mut buffer))
        };
        match received {
            Ok(Ok(8)) => count += 1,
            Ok(stop) => {
                assert_eq!(stop.unwrap(), 0);
                return count;
            }
            Err(_) => {}
        }
    }
}

#[test]
fn every_datagram_reaches_one_receiver() {
    on_each_runtime(|| {
        let receiver = Arc::new(UnixDatagram::bind_addr(&SocketAddr::from_pathname("").unwrap()).unwrap());
        let address = receiver.local_addr().unwrap();
        let (mut fibers, mut threads) = (Vec::new(), Vec::new());
        for number in 0..RECEIVERS {
            let receiver = Arc::clone(&receiver);
            let body = move || receive(&receiver, number % 2 == 0);
            if number < 4 { fibers.push(abaca::spawn(body)) } else { threads.push(std::thread::spawn(body)) }
        }
        let (mut sending_fibers, mut sending_threads) = (Vec::new(), Vec::new());
        for number in 0..SENDERS {
            let address = address.clone();
            let body = move || {
                let sender = UnixDatagram::unbound().unwrap();
                for count in 0..EACH {
                    sender.send_to_addr(&count.to_le_bytes(), &address).unwrap();
                }
            };
            if number < 4 {
                sending_fibers.push(abaca::spawn(body));
            } else {
                sending_threads.push(std::thread::spawn(body));
            }
        }
        sending_fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        // Joining a thread blocks this one, and with it, maybe, those whom it waits for.
        super::on_thread(move || sending_threads.into_iter().for_each(|thread| thread.join().unwrap()));
        let stopper = UnixDatagram::unbound().unwrap();
        for _ in 0..RECEIVERS {
            stopper.send_to_addr(&[], &address).unwrap();
        }
        let by_fibers: usize = fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum();
        let by_threads: usize =
            super::on_thread(move || threads.into_iter().map(|thread| thread.join().unwrap()).sum());
        assert_eq!(by_fibers + by_threads, SENDERS * EACH);
    });
}

#[test]
fn a_stream_is_written_by_fibers_and_threads_and_read_by_one_who_gives_up_all_the_time() {
    on_each_runtime(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs = Arc::new(theirs);
        let write = |stream: Arc<UnixStream>, byte: u8| {
            move || (0..EACH).for_each(|_| (&*stream).write_all(&[byte]).unwrap())
        };
        let threads = [1, 2].map(|byte| std::thread::spawn(write(Arc::clone(&theirs), byte)));
        let fibers = [3, 4].map(|byte| abaca::spawn(write(Arc::clone(&theirs), byte)));
        drop(theirs);
        let mut counts = [0; 5];
        let mut buffer = [0; 16];
        loop {
            match timeout(Duration::from_micros(20), || (&ours).read(&mut buffer)) {
                Ok(Ok(0)) => break,
                Ok(length) => {
                    buffer[..length.unwrap()].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
                }
                Err(_) => {}
            }
        }
        assert_eq!(counts, [0, EACH, EACH, EACH, EACH]);
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
