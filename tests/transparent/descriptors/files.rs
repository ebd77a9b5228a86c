//! Locks of files, FIFOs, and calls of libc that block within.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, CString};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::ToSocketAddrs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libc::c_int;

use crate::ends::pipe;
use crate::support::{World, on_one_worker, outcome, same, with_children};

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("abaca-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn fifo(&self) -> PathBuf {
        let path = self.0.join("fifo");
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn an_open_of_a_fifo_waits_for_its_other_end() {
    same("to read", |world| {
        let folder = Folder::new();
        let path = folder.fifo();
        let writer = world.when_waiting({
            let path = path.clone();
            move || OpenOptions::new().write(true).open(path).unwrap().write_all(b"abc").unwrap()
        });
        let mut text = String::new();
        File::open(&path).unwrap().read_to_string(&mut text).unwrap();
        writer.join();
        text
    });
    same("to write", |world| {
        let folder = Folder::new();
        let path = folder.fifo();
        let (send, text) = std::sync::mpsc::channel();
        let reader = world.when_waiting({
            let path = path.clone();
            move || {
                let mut text = String::new();
                File::open(&path).unwrap().read_to_string(&mut text).unwrap();
                send.send(text).unwrap();
            }
        });
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        // SAFETY: no memory is involved.
        let mode = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK;
        file.write_all(b"abc").unwrap();
        drop(file);
        reader.join();
        (mode, text.recv().unwrap())
    });
    same("without waiting", |_| {
        let folder = Folder::new();
        let path = folder.fifo();
        use std::os::unix::fs::OpenOptionsExt;
        let open = |write: bool| {
            let mut options = OpenOptions::new();
            options.read(!write).write(write).custom_flags(libc::O_NONBLOCK);
            options.open(&path).map(drop).map_err(|error| error.raw_os_error())
        };
        (
            open(true),
            open(false),
            File::open(folder.0.join("nothing")).map(drop).map_err(|error| error.raw_os_error()),
        )
    });
}

#[test]
fn an_fopen_of_a_fifo_waits_for_its_other_end() {
    same("fopen", |world| {
        let folder = Folder::new();
        let path = folder.fifo();
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let writer = world.when_waiting(move || {
            OpenOptions::new().write(true).open(path).unwrap().write_all(b"a").unwrap()
        });
        // SAFETY: a C string; the file is the test's.
        let read = unsafe {
            let file = libc::fopen(name.as_ptr(), c"re".as_ptr());
            let flags = libc::fcntl(libc::fileno(file), libc::F_GETFD);
            (libc::fgetc(file), libc::fgetc(file), flags, libc::fclose(file))
        };
        writer.join();
        read
    });
    same("what is no FIFO", |_| {
        let open = |path: &CStr, mode: &CStr| {
            // SAFETY: C strings; the file is the test's.
            unsafe {
                let file = libc::fopen(path.as_ptr(), mode.as_ptr());
                if file.is_null() { outcome(-1) } else { outcome(libc::fclose(file) as isize) }
            }
        };
        [
            open(c"/dev/null", c"w"),
            open(c"/none", c"r"),
            open(c"/dev/null", c"?"),
            open(c"/etc/passwd", c"re"),
        ]
    });
}

fn lock_file(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap()
}

#[test]
fn a_lock_of_a_file_is_waited_for() {
    same("flock", |world| {
        let folder = Folder::new();
        let path = folder.0.join("lock");
        let (one, two) = (lock_file(&path), lock_file(&path));
        one.lock().unwrap();
        let refused = two.try_lock().is_err();
        let unlocker = world.when_waiting(move || one.unlock().unwrap());
        let locked = two.lock().map_err(|error| error.raw_os_error());
        unlocker.join();
        (refused, locked)
    });
    // Locks of open files: those of the process would not exclude one another here.
    same("F_OFD_SETLKW", |world| {
        let folder = Folder::new();
        let path = folder.0.join("lock");
        let (one, two) = (lock_file(&path), lock_file(&path));
        let lock = |fd: c_int, command: c_int, kind: c_int| {
            // SAFETY: all zeros are a lock of all bytes.
            let mut lock: libc::flock = unsafe { std::mem::zeroed() };
            lock.l_type = kind as _;
            // SAFETY: the kernel reads the lock.
            outcome(unsafe { libc::fcntl(fd, command, &raw mut lock) } as isize)
        };
        let first = lock(one.as_raw_fd(), libc::F_OFD_SETLKW, libc::F_WRLCK);
        let refused = lock(two.as_raw_fd(), libc::F_OFD_SETLK, libc::F_WRLCK);
        let unlocker = world.when_waiting(move || {
            lock(one.as_raw_fd(), libc::F_OFD_SETLKW, libc::F_UNLCK);
        });
        let second = lock(two.as_raw_fd(), libc::F_OFD_SETLKW, libc::F_WRLCK);
        unlocker.join();
        (first, refused, second)
    });
    same("lockf", |_| {
        let folder = Folder::new();
        let file = lock_file(&folder.0.join("lock"));
        // SAFETY: no memory is involved.
        [libc::F_LOCK, libc::F_TEST, libc::F_ULOCK]
            .map(|command| outcome(unsafe { libc::lockf(file.as_raw_fd(), command, 0) } as isize))
    });
}

#[test]
fn children_are_waited_for() {
    with_children(|| {
        fn sleeper(world: &World) -> (std::process::Child, crate::support::Helper) {
            let (reader, writer) = pipe();
            let child = Command::new("cat").stdin(reader).stdout(Stdio::null()).spawn().unwrap();
            (child, world.when_waiting(move || drop(writer)))
        }
        same("wait", |world| {
            let (mut child, helper) = sleeper(world);
            let status = child.wait().unwrap();
            helper.join();
            (status.code(), child.wait().unwrap().code())
        });
        same("waitpid", |world| {
            let (child, helper) = sleeper(world);
            let id = child.id() as c_int;
            let mut status = 0;
            // SAFETY: the kernel writes a number.
            let early = unsafe { libc::waitpid(id, &mut status, libc::WNOHANG) };
            // SAFETY: as above.
            let result = unsafe { libc::waitpid(id, &mut status, 0) };
            helper.join();
            // SAFETY: as above.
            let gone = outcome(unsafe { libc::waitpid(id, &mut status, 0) } as isize);
            (early, result == id, status, gone)
        });
        same("waitid", |world| {
            let (child, helper) = sleeper(world);
            // SAFETY: the kernel writes the structure.
            let (result, code) = unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let result = libc::waitid(libc::P_PID, child.id(), &mut info, libc::WEXITED);
                (result, info.si_code)
            };
            helper.join();
            (result, code)
        });
        same("output", |_| {
            let output = Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]).output().unwrap();
            (output.status.code(), output.stdout, output.stderr)
        });
    });
}

#[test]
fn ten_children_are_waited_for_at_once() {
    with_children(|| {
        on_one_worker(|| {
            let (reader, writer) = pipe();
            let fibers: Vec<_> = (0..10)
                .map(|_| {
                    let input = reader.try_clone().unwrap();
                    abaca::spawn(|| Command::new("cat").stdin(input).output().unwrap().status.success())
                })
                .collect();
            // A neighbour runs meanwhile: they end when it lets them.
            (0..20).for_each(|_| abaca::sleep(std::time::Duration::from_millis(1)));
            assert!(fibers.iter().all(|fiber| !fiber.is_finished()));
            drop(writer);
            assert!(fibers.into_iter().all(|fiber| fiber.join().unwrap()));
        });
    });
}

#[test]
fn names_are_asked_for_elsewhere() {
    same("getaddrinfo", |_| {
        let mut found: Vec<_> = ("localhost", 80).to_socket_addrs().unwrap().collect();
        found.sort();
        found.dedup();
        let none = ("name.invalid", 80).to_socket_addrs().is_err();
        (found, none, ("127.0.0.1", 1).to_socket_addrs().unwrap().next())
    });
    same("getpwuid", |_| {
        // SAFETY: libc's entry is valid until the next call; tests of it run one after the other.
        unsafe {
            let entry = libc::getpwuid(0);
            let name = (!entry.is_null()).then(|| CStr::from_ptr((*entry).pw_name).to_owned());
            let mut entry: libc::passwd = std::mem::zeroed();
            let (mut buffer, mut found) = ([0; 4096], ptr::null_mut());
            let result = libc::getpwnam_r(
                c"nobody-at-all".as_ptr(),
                &mut entry,
                buffer.as_mut_ptr(),
                4096,
                &mut found,
            );
            let mut group: libc::group = std::mem::zeroed();
            let mut found_group = ptr::null_mut();
            let second = libc::getgrgid_r(0, &mut group, buffer.as_mut_ptr(), 4096, &mut found_group);
            (name, result, found.is_null(), second, found_group.is_null())
        }
    });
}

#[test]
fn pipes_of_stdio_are_read_when_something_comes() {
    with_children(|| {
        same("fgets", |world| {
            let (reader, writer) = pipe();
            let helper = world.when_waiting(move || {
                File::from(writer).write_all(b"one\ntwo\n").unwrap();
            });
            // SAFETY: the file is libc's, over a number that it owns then.
            let lines = unsafe {
                let file = libc::fdopen(std::os::fd::IntoRawFd::into_raw_fd(reader), c"r".as_ptr());
                let mut lines = Vec::new();
                let mut buffer = [0; 100];
                while !libc::fgets(buffer.as_mut_ptr(), 100, file).is_null() {
                    lines.push(CStr::from_ptr(buffer.as_ptr()).to_owned());
                }
                let end = libc::feof(file) != 0;
                libc::fclose(file);
                (lines, end)
            };
            helper.join();
            lines
        });
        same("popen", |_| {
            // SAFETY: the file is libc's.
            unsafe {
                let file = libc::popen(c"sleep 0.05; echo abc; exit 5".as_ptr(), c"r".as_ptr());
                let mut buffer = [0_u8; 100];
                let read = libc::fread(buffer.as_mut_ptr().cast(), 1, 100, file);
                (read, buffer[..4].to_vec(), libc::pclose(file), libc::system(c"exit 7".as_ptr()))
            }
        });
    });
}

/// The pipes of one child after the other have the same number, and libc makes and closes them. A wait for a number whose file is another one by
/// now would end when it is looked at, seconds later.
#[test]
fn a_pipe_of_a_child_is_not_taken_for_that_of_the_last_one() {
    const CHILDREN: usize = 8;
    with_children(|| {
        let rounds = abaca::hook::descriptors::rounds_of_renewal;
        let missed = on_one_worker(|| {
            let reads = || {
                let before = rounds();
                // SAFETY: the file is libc's, and the buffer has room.
                let read = unsafe {
                    let file = libc::popen(c"sleep 0.05; echo abc".as_ptr(), c"r".as_ptr());
                    let mut buffer = [0_u8; 100];
                    let read = libc::fread(buffer.as_mut_ptr().cast(), 1, 4, file);
                    assert_eq!(libc::pclose(file), 0);
                    read
                };
                assert_eq!(read, 4);
                rounds() > before + 1
            };
            (0..CHILDREN).filter(|_| reads()).count()
        });
        assert!(
            missed < CHILDREN / 2,
            "{missed} of {CHILDREN} children were heard when their pipes were looked at"
        );
    });
}

#[test]
fn a_program_of_std_reads_lines_of_a_child() {
    with_children(|| {
        same("lines", |_| {
            let mut child = Command::new("sh")
                .args(["-c", "read a; echo $a; sleep 0.02; echo two; cat >/dev/null"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"one\n").unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let first = [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()];
            drop(input);
            (first, lines.next().is_none(), child.wait().unwrap().code())
        });
    });
}
