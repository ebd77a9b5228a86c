//! How bytes flow through sockets: order, sizes, back-pressure, ends. `super` decides whose sockets they are.

use std::io::{IoSlice, IoSliceMut, Read, Write};

use socket2::SockRef;

use super::net::{Shutdown, TcpListener, TcpStream};
use super::thread;

/// Two ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// A byte for each position, so that a piece that is lost, doubled or out of order shows.
fn pattern(position: usize) -> u8 {
    (position % 251) as u8
}

fn send_pattern(mut stream: TcpStream, len: usize, piece: usize) {
    let mut sent = 0;
    while sent < len {
        let piece: Vec<u8> = (sent..len.min(sent + piece)).map(pattern).collect();
        stream.write_all(&piece).unwrap();
        sent += piece.len();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Reads to the end and returns how many bytes came.
fn check_pattern(mut stream: TcpStream, room: usize) -> usize {
    let mut buffer = vec![0; room];
    let mut position = 0;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return position,
            count => {
                for byte in &buffer[..count] {
                    assert_eq!(*byte, pattern(position));
                    position += 1;
                }
            }
        }
    }
}

pub(crate) fn both_directions_flow_at_once_through_clones() -> Vec<usize> {
    const LEN: usize = 2 << 20;
    let (client, server) = pair();
    let senders = [client.try_clone().unwrap(), server.try_clone().unwrap()];
    let sending = senders.map(|stream| thread::spawn(move || send_pattern(stream, LEN, 70_000)));
    let checking = [client, server].map(|stream| thread::spawn(move || check_pattern(stream, 50_000)));
    sending.into_iter().for_each(|handle| handle.join().unwrap());
    checking.into_iter().map(|handle| handle.join().unwrap()).collect()
}

pub(crate) fn a_slow_reader_gets_every_byte() -> usize {
    let (client, server) = pair();
    SockRef::from(&client).set_send_buffer_size(20_000).unwrap();
    let sending = thread::spawn(move || send_pattern(client, 500_000, 500_000));
    let received = check_pattern(server, 777);
    sending.join().unwrap();
    received
}

pub(crate) fn vectors_are_scattered_and_gathered() -> (usize, Vec<u8>, usize, Vec<u8>) {
    let (mut client, mut server) = pair();
    let gathered = [IoSlice::new(b"ga"), IoSlice::new(b""), IoSlice::new(b"thered")];
    let written = client.write_vectored(&gathered).unwrap();
    let mut whole = [0; 8];
    server.read_exact(&mut whole).unwrap();
    server.write_all(b"scattered").unwrap();
    let (mut front, mut rest) = ([0; 3], [0; 20]);
    let mut buffers = [IoSliceMut::new(&mut front), IoSliceMut::new(&mut rest)];
    let read = client.read_vectored(&mut buffers).unwrap();
    (written, whole.to_vec(), read, [&front[..], &rest[..6]].concat())
}

pub(crate) fn urgent_data_does_not_hold_up_the_rest() -> Vec<u8> {
    let (mut client, mut server) = pair();
    let reading = thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            match server.read(&mut buffer).unwrap() {
                0 => return all,
                count => all.extend(&buffer[..count]),
            }
            server.write_all(b"k").unwrap();
            if all.ends_with(b"end") {
                return all;
            }
        }
    });
    client.write_all(b"first").unwrap();
    client.read_exact(&mut [0]).unwrap();
    // The stream stays open, so that only the edges of this data can wake the reader.
    client.write_all(b"before").unwrap();
    SockRef::from(&client).send_out_of_band(b"!").unwrap();
    client.write_all(b"end").unwrap();
    let all = reading.join().unwrap();
    drop(client);
    all
}

pub(crate) fn incoming_yields_connections() -> Vec<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = thread::spawn(move || {
        for number in 0..5 {
            TcpStream::connect(address).unwrap().write_all(&[number; 100]).unwrap();
        }
    });
    let received = listener.incoming().take(5).map(|stream| {
        let mut all = Vec::new();
        stream.unwrap().read_to_end(&mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == all[0]));
        usize::from(all[0]) * 1000 + all.len()
    });
    let received = received.collect();
    connecting.join().unwrap();
    received
}

/// Data and FIN may come in one event or in two, before or after the read; the end is never missed.
pub(crate) fn a_burst_then_the_end_is_read_to_the_end() -> Vec<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let rounds = 100;
    let sending = thread::spawn(move || {
        for round in 0..rounds {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"burst").unwrap();
            if round % 3 == 0 {
                thread::yield_now();
            }
        }
    });
    let lens = (0..rounds).map(|round| {
        let (mut stream, _) = listener.accept().unwrap();
        if round % 2 == 0 {
            thread::yield_now();
        }
        let mut all: Vec<u8> = Vec::new();
        // Each read has room for more than comes, so each but the last is short.
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return all.len(),
                count => all.extend(&buffer[..count]),
            }
        }
    });
    let lens = lens.collect();
    sending.join().unwrap();
    lens
}

/// Sizes around the room of the reader's buffer: full, short, and several reads to one write.
pub(crate) fn requests_and_answers_of_all_sizes_alternate() -> usize {
    let (mut client, mut server) = pair();
    // Or else the kernel holds the second piece of an answer back.
    server.set_nodelay(true).unwrap();
    let sizes = [1, 63, 64, 65, 127, 128, 129, 1000, 2, 64, 64, 1];
    let serving = thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut total = 0;
        loop {
            match server.read(&mut buffer).unwrap() {
                0 => return total,
                count => {
                    total += count;
                    server.write_all(&buffer[..count]).unwrap();
                }
            }
        }
    });
    for size in sizes.into_iter().cycle().take(240) {
        let request: Vec<u8> = (0..size).map(pattern).collect();
        client.write_all(&request).unwrap();
        let mut answer = vec![0; size];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, request);
    }
    drop(client);
    serving.join().unwrap()
}
