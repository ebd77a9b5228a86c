//! Calls that a thread of the pool makes for a fiber.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::Write;
use std::mem::zeroed;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr::null_mut;

use libc::{F_OFD_SETLK, F_OFD_SETLKW, F_SETLKW, SIGUSR2};

use crate::calls::{Calls, tell};
use crate::room::fill;
use crate::{LONG, alarms, outcome};

/// A file of which another open file has locked all bytes, to stay open.
fn locked() -> (File, File) {
    let path = std::env::temp_dir().join(format!("abaca-signals-lock-{}", std::process::id()));
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    let (file, other) = (open(), open());
    std::fs::remove_file(&path).unwrap();
    lock(&other, F_OFD_SETLK);
    (file, other)
}

fn lock(file: &File, command: c_int) -> String {
    // SAFETY: all zeros are a lock from the beginning to the end.
    let mut wanted: libc::flock = unsafe { zeroed() };
    wanted.l_type = libc::F_WRLCK as i16;
    tell!(libc::fcntl(file.as_raw_fd(), command, &raw const wanted))
}

fn fifo() -> CString {
    let path = std::env::temp_dir().join(format!("abaca-signals-fifo-{}", std::process::id()));
    let path = CString::new(path.into_os_string().into_vec()).unwrap();
    // SAFETY: a path. It may be there from the last time.
    unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    path
}

fn open_fifo(flags: c_int) -> String {
    let path = fifo();
    // SAFETY: a path; the number is not kept.
    let opened = tell!(libc::open(path.as_ptr(), flags | libc::O_CLOEXEC));
    std::fs::remove_file(path.to_str().unwrap()).unwrap();
    opened
}

/// A socket whose peer reads nothing, and that has more to send than its peer has room for.
fn full() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let there = listener.accept().unwrap().0;
    fill(&stream);
    (stream, there)
}

/// The calls that wait for ever if no handler runs, and two that no handler ends.
pub(super) fn calls() -> Calls {
    vec![
        ("fcntl", Box::new(|| lock(&locked().0, F_SETLKW))),
        ("fcntl of an open file", Box::new(|| lock(&locked().0, F_OFD_SETLKW))),
        ("lockf", Box::new(|| tell!(libc::lockf(locked().0.as_raw_fd(), libc::F_LOCK, 0)))),
        ("open to read", Box::new(|| open_fifo(libc::O_RDONLY))),
        ("open to write", Box::new(|| open_fifo(libc::O_WRONLY))),
        (
            "sigwaitinfo",
            Box::new(|| {
                // SAFETY: all zeros are an empty set.
                let mut set = unsafe { zeroed() };
                // SAFETY: as above.
                unsafe { libc::sigaddset(&mut set, SIGUSR2) };
                tell!(libc::sigwaitinfo(&set, null_mut()))
            }),
        ),
        (
            "sigtimedwait",
            Box::new(|| {
                // SAFETY: all zeros are an empty set.
                let mut set = unsafe { zeroed() };
                // SAFETY: as above.
                unsafe { libc::sigaddset(&mut set, SIGUSR2) };
                tell!(libc::sigtimedwait(&set, null_mut(), &LONG))
            }),
        ),
        (
            "close that lingers",
            Box::new(|| {
                let (socket, there) = full();
                let linger = libc::linger { l_onoff: 1, l_linger: 100 };
                let bytes = size_of_val(&linger) as u32;
                let fd = socket.into_raw_fd();
                // SAFETY: the option's value; the number is the test's to close.
                unsafe {
                    libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), bytes)
                };
                let closed = tell!(libc::close(fd));
                let again = tell!(libc::fcntl(fd, libc::F_GETFD));
                drop(there);
                format!("{closed}; {again}")
            }),
        ),
        (
            "fgets of a part of a line",
            Box::new(|| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                writer.write_all(b"ab").unwrap();
                let mut line = [0; 16];
                // SAFETY: a descriptor that the file takes, and a buffer of this size.
                unsafe {
                    let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
                    let result = libc::fgets(line.as_mut_ptr(), 16, file);
                    let ended = outcome(if result.is_null() { -1 } else { 0 });
                    let flags = (libc::feof(file), libc::ferror(file) != 0, libc::fclose(file));
                    format!("{ended}, {flags:?}")
                }
            }),
        ),
        (
            "fread of a part",
            Box::new(|| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                writer.write_all(b"abc").unwrap();
                let mut bytes = [0_u8; 16];
                // SAFETY: a descriptor that the file takes, and a buffer of this size.
                unsafe {
                    let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
                    let count = libc::fread(bytes.as_mut_ptr().cast(), 2, 8, file);
                    let flags = (libc::feof(file), libc::ferror(file) != 0, libc::fclose(file));
                    format!("{count}, {bytes:?}, {flags:?}")
                }
            }),
        ),
        (
            "fputs of a line to a full socket",
            Box::new(|| {
                let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
                fill(&near);
                // SAFETY: a descriptor that the file takes.
                unsafe {
                    let file = libc::fdopen(near.into_raw_fd(), c"w".as_ptr());
                    libc::setvbuf(file, null_mut(), libc::_IOLBF, 4096);
                    let ended = outcome(libc::fputs(c"line\n".as_ptr(), file) as isize);
                    format!("{ended}, {:?}", (libc::ferror(file) != 0, libc::fclose(file)))
                }
            }),
        ),
        (
            "fscanf of a part",
            Box::new(|| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                writer.write_all(b"7 8").unwrap();
                let mut numbers = [0; 3];
                let [one, two, three] = numbers.each_mut().map(|number| &raw mut *number);
                // SAFETY: a descriptor that the file takes, and as many numbers as the format has.
                unsafe {
                    let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
                    let found = outcome(libc::fscanf(file, c"%d%d%d".as_ptr(), one, two, three) as isize);
                    let flags = (libc::feof(file), libc::ferror(file) != 0, libc::fclose(file));
                    format!("{found}, {numbers:?}, {flags:?}")
                }
            }),
        ),
        ("system", Box::new(|| tell!(libc::system(c"sleep 0.02; exit 3".as_ptr())))),
        (
            "pclose",
            Box::new(|| {
                // SAFETY: a command, and a file that is closed here.
                let file = unsafe { libc::popen(c"sleep 0.02; exit 4".as_ptr(), c"r".as_ptr()) };
                tell!(libc::pclose(file))
            }),
        ),
    ]
}

/// Two processes that wait for each other's lock: the second to wait is told.
pub(super) fn deadlock() {
    alarms(false);
    let path = std::env::temp_dir().join(format!("abaca-signals-deadlock-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let fd = file.as_raw_fd();
    let lock = |command: c_int, kind: c_int, at: i64| {
        // SAFETY: all zeros are a lock.
        let mut wanted: libc::flock = unsafe { zeroed() };
        (wanted.l_type, wanted.l_start, wanted.l_len) = (kind as i16, at, 1);
        outcome(unsafe_fcntl(fd, command, &wanted))
    };
    let (mut told, tell) = std::io::pipe().unwrap();
    lock(libc::F_SETLK, libc::F_WRLCK, 0);
    // SAFETY: the copy makes calls of the kernel only, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: valid arguments; all zeros are a lock.
        unsafe {
            let mut wanted: libc::flock = zeroed();
            (wanted.l_type, wanted.l_start, wanted.l_len) = (libc::F_WRLCK as i16, 1, 1);
            libc::syscall(libc::SYS_fcntl, fd, libc::F_SETLK, &raw const wanted);
            libc::syscall(libc::SYS_write, tell.as_raw_fd(), c"a".as_ptr(), 1);
            wanted.l_start = 0;
            libc::syscall(libc::SYS_fcntl, fd, F_SETLKW, &raw const wanted);
            libc::_exit(0);
        }
    }
    std::io::Read::read_exact(&mut told, &mut [0]).unwrap();
    // The other process sleeps in nothing but its wait for the first lock.
    let sleeps = || {
        let about = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
        about.rsplit(") ").next().unwrap().starts_with('S')
    };
    while !sleeps() {
        std::thread::yield_now();
    }
    println!("a deadlock: {}", lock(F_SETLKW, libc::F_WRLCK, 1));
    lock(libc::F_SETLK, libc::F_UNLCK, 0);
    println!("and without: {}", lock(F_SETLKW, libc::F_WRLCK, 1));
    let mut status = -1;
    // SAFETY: a number to be written.
    assert_eq!((unsafe { libc::waitpid(child, &mut status, 0) }, status), (child, 0));
}

fn unsafe_fcntl(fd: c_int, command: c_int, lock: &libc::flock) -> isize {
    // SAFETY: a lock that can be read.
    unsafe { libc::fcntl(fd, command, std::ptr::from_ref(lock)) as isize }
}
