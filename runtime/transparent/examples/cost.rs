//! What the hooks cost: a round trip of 64 bytes over TCP on one worker, by `std::net` with the hooks and by `abaca::net`. And on a plain
//! thread, calls through the hooks beside system calls.
//!
//! `cargo run --release -p abaca-transparent --example cost`. Alternating; medians of 9.

#![expect(unsafe_code, reason = "calls C functions")]

use std::io::{Read, Write};
use std::time::Instant;

const ROUNDS: u32 = 20_000;
const BYTES: usize = 64;

/// Nanoseconds for a round trip between two fibers.
fn echo<S: Read + Write + Send + 'static>(mut client: S, mut server: S) -> f64 {
    let fiber = abaca::spawn(move || {
        let mut buffer = [0; BYTES];
        while server.read_exact(&mut buffer).is_ok() {
            server.write_all(&buffer).unwrap();
        }
    });
    let mut buffer = [7; BYTES];
    let mut round = || {
        client.write_all(&buffer).unwrap();
        client.read_exact(&mut buffer).unwrap();
    };
    (0..ROUNDS / 10).for_each(|_| round());
    let began = Instant::now();
    (0..ROUNDS).for_each(|_| round());
    let taken = began.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
    drop(client);
    fiber.join().unwrap();
    taken
}

fn of_std() -> f64 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    echo(client, server)
}

fn of_abaca() -> f64 {
    let listener = abaca::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = abaca::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    echo(client, server)
}

/// Nanoseconds for a call that need not wait, by libc's name and without it.
fn calls() -> [f64; 2] {
    let (reader, writer) = std::io::pipe().unwrap();
    let (reader, writer) =
        (std::os::fd::AsRawFd::as_raw_fd(&reader), std::os::fd::AsRawFd::as_raw_fd(&writer));
    let mut byte = 0_u8;
    let byte = (&raw mut byte).cast();
    let count = 200_000;
    let hooked = Instant::now();
    for _ in 0..count {
        // SAFETY: one byte.
        unsafe {
            libc::write(writer, byte, 1);
            libc::read(reader, byte, 1);
        }
    }
    let hooked = hooked.elapsed();
    // SAFETY: the name ends in a zero byte, and the functions have these types.
    let (write, read) = unsafe {
        let next = |name: &std::ffi::CStr| libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        (
            std::mem::transmute::<*mut _, unsafe extern "C" fn(i32, *const libc::c_void, usize) -> isize>(
                next(c"write"),
            ),
            std::mem::transmute::<*mut _, unsafe extern "C" fn(i32, *mut libc::c_void, usize) -> isize>(
                next(c"read"),
            ),
        )
    };
    let plain = Instant::now();
    for _ in 0..count {
        // SAFETY: one byte.
        unsafe {
            write(writer, byte, 1);
            read(reader, byte, 1);
        }
    }
    [hooked, plain.elapsed()].map(|taken| taken.as_nanos() as f64 / f64::from(2 * count))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    abaca_transparent::install().unwrap();
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    let (std, own): (Vec<_>, Vec<_>) = runtime.run(|| (0..9).map(|_| (of_std(), of_abaca())).unzip());
    let ratios = std.iter().zip(&own).map(|(std, own)| std / own).collect();
    println!(
        "echo: std, hooked {:.0} ns; abaca::net {:.0} ns; ratio {:.3}",
        median(std),
        median(own),
        median(ratios)
    );
    let (hooked, plain): (Vec<_>, Vec<_>) =
        (0..9).map(|_| calls()).map(|[hooked, plain]| (hooked, plain)).unzip();
    println!("a call on a plain thread: hooked {:.1} ns; libc's own {:.1} ns", median(hooked), median(plain));
}
