//! What empties the buffers of files of stdio: fflush(3) of all, moves, other buffers, and reads of a file that has something to write.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use libc::FILE;

use crate::ends::{pipe, unix};
use crate::sinks::{ended, full_pipe, open};
use crate::support::{World, on_one_worker, raw, same, with_children};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn fseeko64(file: *mut FILE, offset: i64, from: c_int) -> c_int;
    fn fsetpos64(file: *mut FILE, position: *const c_void) -> c_int;
    fn setbuffer(file: *mut FILE, buffer: *mut c_char, bytes: usize);
    fn _IO_flush_all() -> c_int;
    fn _flushlbf();
    fn flockfile(file: *mut FILE);
    fn funlockfile(file: *mut FILE);
    fn ftrylockfile(file: *mut FILE) -> c_int;
}

const TEXT: &CStr = c"what waits in the buffer\n";

/// A function that empties the buffer of a file which has something to write.
type Empties = (&'static str, fn(*mut FILE) -> isize);

// SAFETY: for all, the only callers pass an open file; positions and buffers of the test's.
const EMPTY: &[Empties] = unsafe {
    &[
        ("fseek", |file| libc::fseek(file, 0, libc::SEEK_SET) as isize),
        ("fseeko", |file| libc::fseeko(file, 0, libc::SEEK_CUR) as isize),
        ("fseeko64", |file| fseeko64(file, 0, libc::SEEK_END) as isize),
        ("fsetpos", |file| libc::fsetpos(file, [0_u64; 2].as_ptr().cast()) as isize),
        ("fsetpos64", |file| fsetpos64(file, [0_u64; 2].as_ptr().cast()) as isize),
        ("rewind", |file| {
            libc::rewind(file);
            0
        }),
        ("setvbuf", |file| libc::setvbuf(file, null_mut(), libc::_IONBF, 0) as isize),
        ("setbuffer", |file| {
            setbuffer(file, null_mut(), 0);
            0
        }),
        ("setbuf", |file| {
            libc::setbuf(file, null_mut());
            0
        }),
    ]
};

/// Puts the text into the file's buffer, calls the function, and lets another empty the pipe when it waits.
fn emptied(world: &World, function: fn(*mut FILE) -> isize) -> String {
    let (reader, writer) = full_pipe();
    let file = open(writer.into_raw_fd(), c"w");
    // SAFETY: the file is the test's.
    unsafe { libc::fputs(TEXT.as_ptr(), file) };
    let helper = world.when_waiting(move || {
        let mut all = vec![0; 4096 + TEXT.count_bytes()];
        File::from(reader).read_exact(&mut all).unwrap();
        assert_eq!(&all[4096..], TEXT.to_bytes());
    });
    let result = ended(function(file), file);
    helper.join();
    // SAFETY: as above.
    format!("{result}, {}", unsafe { libc::fclose(file) })
}

#[test]
fn what_moves_a_file_or_changes_its_buffer_waits_for_room() {
    for (name, function) in EMPTY {
        same(name, move |world| emptied(world, *function));
        same(&format!("{name}, non-blocking"), move |_| {
            let (_reader, writer) = full_pipe();
            // SAFETY: descriptors of the test's.
            unsafe {
                libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK);
                let file = open(writer.into_raw_fd(), c"w");
                libc::fputs(TEXT.as_ptr(), file);
                let result = ended(function(file), file);
                libc::fclose(file);
                result
            }
        });
    }
    same("another buffer that is none", |_| {
        let (_reader, writer) = full_pipe();
        let file = open(writer.into_raw_fd(), c"w");
        // SAFETY: the file is the test's.
        unsafe {
            libc::fputs(c"x".as_ptr(), file);
            let kept = [libc::_IOLBF, libc::_IOFBF, 7].map(|mode| libc::setvbuf(file, null_mut(), mode, 100));
            libc::fcntl(libc::fileno(file), libc::F_SETFL, libc::O_NONBLOCK);
            (kept, libc::fclose(file))
        }
    });
}

#[test]
fn what_moves_a_file_or_changes_its_buffer_can_be_given_up() {
    for (name, function) in EMPTY {
        on_one_worker(|| {
            let (_reader, writer) = full_pipe();
            let fd = writer.into_raw_fd();
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                let file = open(fd, c"w");
                // SAFETY: the file is the test's.
                unsafe {
                    libc::fputs(TEXT.as_ptr(), file);
                    function(file);
                    libc::fclose(file);
                }
            });
            assert!(late.is_err(), "{name}");
        });
    }
}

/// Two pipes without room and a file on a disk, all with something to write.
fn all_files(world: &World, flush: fn() -> c_int) -> String {
    let [one, two] = [(); 2].map(|()| full_pipe());
    let files = [one.1, two.1].map(|writer| open(writer.into_raw_fd(), c"w"));
    // SAFETY: files of the test's.
    let of_disk = unsafe {
        let of_disk = libc::tmpfile();
        files.iter().chain([&of_disk]).for_each(|file| _ = libc::fputs(TEXT.as_ptr(), *file));
        files.iter().for_each(|file| _ = libc::setvbuf(*file, null_mut(), libc::_IOLBF, 0));
        of_disk
    };
    let helper = world.when_waiting(move || {
        // libc's order is its own: there is room in both first.
        let mut readers = [one.0, two.0].map(File::from);
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0; 4096]).unwrap());
        for reader in &mut readers {
            let mut text = vec![0; TEXT.count_bytes()];
            reader.read_exact(&mut text).unwrap();
            assert_eq!(text, TEXT.to_bytes());
        }
    });
    let result = flush();
    helper.join();
    // SAFETY: as above.
    unsafe {
        let mut about: libc::stat = std::mem::zeroed();
        libc::fstat(libc::fileno(of_disk), &mut about);
        format!(
            "{result}, {} bytes, {:?}",
            about.st_size,
            [files[0], files[1], of_disk].map(|file| libc::fclose(file))
        )
    }
}

#[test]
fn all_files_are_written() {
    // SAFETY: they take null, or nothing.
    let flushes: [fn() -> c_int; 3] = unsafe {
        [
            || libc::fflush(null_mut()),
            || _IO_flush_all(),
            || {
                _flushlbf();
                0
            },
        ]
    };
    // No other test has files meanwhile.
    with_children(|| {
        for (number, flush) in flushes.into_iter().enumerate() {
            same(&format!("{number}"), move |world| all_files(world, flush));
        }
        same("one that fails", |_| {
            let (reader, writer) = pipe();
            drop(reader);
            let file = open(writer.into_raw_fd(), c"w");
            // SAFETY: the file is the test's.
            unsafe {
                libc::fputs(TEXT.as_ptr(), file);
                (ended(libc::fflush(null_mut()) as isize, file), libc::fclose(file))
            }
        });
        on_one_worker(|| {
            let (_reader, writer) = full_pipe();
            let fd = writer.into_raw_fd();
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                let file = open(fd, c"w");
                // SAFETY: the file is the test's.
                unsafe {
                    libc::fputs(TEXT.as_ptr(), file);
                    let ended = ended(libc::fflush(null_mut()) as isize, file);
                    assert!(ended.contains(&format!("-1, Some({})", libc::ECANCELED)), "{ended}");
                    libc::fclose(file);
                }
            });
            assert!(late.is_err());
        });
        // A neighbour who waits has the file, and who flushes all waits for both.
        on_one_worker(|| {
            let (reader, writer) = full_pipe();
            let file = open(writer.into_raw_fd(), c"w").expose_provenance();
            let flush = |all: bool| {
                move || {
                    let file: *mut FILE = std::ptr::with_exposed_provenance_mut(file);
                    // SAFETY: the file is open until both have ended.
                    unsafe {
                        libc::fputs(TEXT.as_ptr(), file);
                        libc::fflush(if all { null_mut() } else { file })
                    }
                }
            };
            let first = abaca::spawn(flush(false));
            (0..20).for_each(|_| abaca::yield_now());
            let second = abaca::spawn(flush(true));
            (0..20).for_each(|_| abaca::yield_now());
            assert!(!first.is_finished() && !second.is_finished());
            let mut all = vec![0; 4096 + 2 * TEXT.count_bytes()];
            File::from(reader).read_exact(&mut all).unwrap();
            assert_eq!((first.join().unwrap(), second.join().unwrap()), (0, 0));
            // SAFETY: as above.
            unsafe { libc::fclose(std::ptr::with_exposed_provenance_mut(file)) };
        });
    });
}

/// What is to be written goes out before a read waits for the answer.
#[test]
fn a_read_writes_before_what_is_to_be_written() {
    same("a socket", |world| {
        let (far, near) = unix();
        let file = open(near.into_raw_fd(), c"r+");
        let mut far = File::from(far);
        let helper = world.when_waiting(move || {
            let mut question = [0; 9];
            far.read_exact(&mut question).unwrap();
            far.write_all(&[&question[..], b"yes\n"].concat()).unwrap();
        });
        let mut answer = [0; 32];
        // SAFETY: the file is the test's, and the buffer is that large.
        let read = unsafe {
            libc::fputs(c"question\n".as_ptr(), file);
            let first = !libc::fgets(answer.as_mut_ptr(), 32, file).is_null();
            (first, libc::fgetc(file), libc::ferror(file), libc::fclose(file))
        };
        helper.join();
        (read, answer)
    });
    on_one_worker(|| {
        let (_far, near) = unix();
        crate::room::fill(&near);
        let fd = near.into_raw_fd();
        let late = abaca::time::timeout(Duration::from_millis(2), || {
            let file = open(fd, c"r+");
            // SAFETY: the file is the test's.
            unsafe {
                libc::fputs(TEXT.as_ptr(), file);
                let ended = ended(libc::fgetc(file) as isize, file);
                assert!(ended.starts_with(&format!("-1, Some({})", libc::ECANCELED)), "{ended}");
                libc::fclose(file);
            }
        });
        assert!(late.is_err());
    });
}

/// After what was put back comes what was there, without a wait.
#[test]
fn what_was_put_back_is_read_before_the_rest() {
    same("ungetc", |_| {
        let (reader, writer) = pipe();
        File::from(writer.try_clone().unwrap()).write_all(b"abcdef\n").unwrap();
        let file = open(reader.into_raw_fd(), c"r");
        // SAFETY: the file is the test's, and the buffer is that large.
        let read = unsafe {
            let mut line = [0; 32];
            let first = libc::fgetc(file);
            let back = [c_int::from(b'x'), c_int::from(b'y')].map(|byte| libc::ungetc(byte, file));
            let two = [libc::fgetc(file), libc::fgetc(file), libc::fgetc(file)];
            libc::ungetc(c_int::from(b'z'), file);
            let rest = !libc::fgets(line.as_mut_ptr(), 32, file).is_null();
            (first, back, two, rest, line, libc::fclose(file))
        };
        drop(writer);
        read
    });
    same("a file to write", |_| {
        let (_reader, writer) = pipe();
        let file = open(writer.into_raw_fd(), c"w");
        // SAFETY: the file is the test's.
        unsafe { (ended(libc::fgetc(file) as isize, file), libc::fclose(file)) }
    });
}

#[test]
fn a_lock_of_a_file_that_a_neighbour_has_is_waited_for() {
    on_one_worker(|| {
        let (_reader, writer) = pipe();
        let file = open(writer.into_raw_fd(), c"w").expose_provenance();
        let at = move || -> *mut FILE { std::ptr::with_exposed_provenance_mut(file) };
        let [has, release] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let began = Arc::new(AtomicUsize::new(0));
        let holder = abaca::spawn({
            let (has, release) = (has.clone(), release.clone());
            move || {
                // SAFETY: the file is open until all have ended, here and below.
                unsafe {
                    flockfile(at());
                    flockfile(at());
                    has.store(true, SeqCst);
                    while !release.load(SeqCst) {
                        abaca::yield_now();
                    }
                    funlockfile(at());
                    funlockfile(at());
                }
            }
        });
        while !has.load(SeqCst) {
            abaca::yield_now();
        }
        // SAFETY: as above.
        assert_ne!(unsafe { ftrylockfile(at()) }, 0);
        let waiter = abaca::spawn({
            let began = began.clone();
            move || {
                began.store(1, SeqCst);
                // SAFETY: as above.
                unsafe {
                    flockfile(at());
                    began.store(2, SeqCst);
                    funlockfile(at());
                }
            }
        });
        while began.load(SeqCst) == 0 {
            abaca::yield_now();
        }
        // It is no place to be cancelled.
        waiter.cancel();
        (0..20).for_each(|_| abaca::yield_now());
        assert_eq!(began.load(SeqCst), 1);
        release.store(true, SeqCst);
        holder.join().unwrap();
        let _ = waiter.join();
        assert_eq!(began.load(SeqCst), 2);
        // SAFETY: as above.
        unsafe { libc::fclose(at()) };
    });
}
