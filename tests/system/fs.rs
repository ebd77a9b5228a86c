//! `abaca::fs` where it differs from std: stalls, cancellation, locks, full disks, conversions.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::Cancelled;
use abaca::fs::{self, DirBuilder, File, OpenOptions, TryLockError};

use super::{Folder, one_worker, wait_until};

#[test]
fn an_open_that_waits_stalls_no_worker() {
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    one_worker().run(|| {
        let path = fifo.clone();
        // Each open waits for the other.
        let reader = abaca::spawn(move || fs::read_to_string(path).unwrap());
        let path = fifo.clone();
        let writer = abaca::spawn(move || fs::write(path, "through").unwrap());
        assert_eq!(reader.join().unwrap(), "through");
        writer.join().unwrap();
    });
}

#[test]
fn a_full_disk_is_the_systems_error() {
    one_worker().run(|| {
        const NO_SPACE: Option<i32> = Some(28);
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(full.write(b"x").unwrap_err().raw_os_error(), NO_SPACE);
        assert_eq!(full.write_all(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(full.write(b"").unwrap_err().raw_os_error(), NO_SPACE, "as std's: the device is asked");
        assert_eq!(full.write_vectored(&[]).unwrap(), 0, "as std's: it is not");
        assert_eq!(full.write_at(b"x", 0).unwrap_err().raw_os_error(), NO_SPACE);
        assert_eq!(fs::write("/dev/full", "x").unwrap_err().raw_os_error(), NO_SPACE);
        assert_eq!(fs::copy("/etc/passwd", "/dev/full").unwrap_err().raw_os_error(), NO_SPACE);
    });
}

#[test]
fn a_fiber_waits_for_a_lock_while_its_worker_runs_the_holder() {
    let folder = Folder::new();
    let path = folder.path().join("locked");
    one_worker().run(|| {
        let (mine, theirs) = (File::create(&path).unwrap(), File::open(&path).unwrap());
        mine.lock().unwrap();
        assert!(matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(matches!(theirs.try_lock_shared(), Err(TryLockError::WouldBlock)));
        let waiter = abaca::spawn(move || {
            theirs.lock().unwrap();
            theirs.unlock().unwrap();
            theirs.lock_shared().unwrap();
        });
        for _ in 0..10 {
            abaca::yield_now();
        }
        assert!(!waiter.is_finished());
        mine.unlock().unwrap();
        waiter.join().unwrap();
        // The waiter's file is closed. A child that a test beside starts has a copy of it, and with it the lock, until
        // it executes its program.
        wait_until(|| mine.try_lock().is_ok());
    });
}

#[test]
fn a_wait_for_a_lock_is_cancelled() {
    let folder = Folder::new();
    let path = folder.path().join("locked");
    let holder = std::fs::File::create(&path).unwrap();
    holder.lock().unwrap();
    let runtime = one_worker();
    let (waits, theirs) = (Arc::new(AtomicBool::new(false)), File::open(&path).map(Arc::new).unwrap());
    let (said, file) = (Arc::clone(&waits), Arc::clone(&theirs));
    let fiber = runtime.spawn(move || {
        said.store(true, Ordering::SeqCst);
        file.lock_shared().unwrap();
    });
    runtime.run(|| wait_until(|| waits.load(Ordering::SeqCst)));
    runtime.run(|| {
        let late = abaca::time::timeout(Duration::from_millis(5), || theirs.lock());
        assert!(late.is_err());
    });
    fiber.cancel();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
    holder.unlock().unwrap();
    runtime.run(|| theirs.try_lock().unwrap());
}

#[test]
fn shutdown_in_the_middle_of_file_work_loses_no_file() {
    let folder = Folder::new();
    let path = folder.path().join("log");
    let runtime = one_worker();
    let (file, lines) = (File::create(&path).unwrap(), Arc::new(AtomicBool::new(false)));
    let wrote = Arc::clone(&lines);
    let fiber = runtime.spawn(move || {
        loop {
            (&file).write_all(b"a line\n").unwrap();
            wrote.store(true, Ordering::SeqCst);
        }
    });
    while !lines.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
    // Whole lines: a write that has begun is done.
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.is_empty() && text.lines().all(|line| line == "a line") && text.ends_with('\n'));
}

#[test]
fn directories_longer_than_a_batch_are_read_whole() {
    let folder = Folder::new();
    for number in 0..150 {
        std::fs::write(folder.path().join(format!("{number}")), "").unwrap();
    }
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
    one_worker().run(|| {
        let mut entries: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| {
                (entry.path(), entry.file_type().unwrap(), entry.ino(), entry.metadata().unwrap().ino())
            })
            .collect();
        let mut expected: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| {
                (entry.path(), entry.file_type().unwrap(), entry.ino(), entry.metadata().unwrap().ino())
            })
            .collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!((entries.len(), entries), (152, expected));
    });
}

#[test]
fn the_traits_of_unix_apply() {
    let folder = Folder::new();
    one_worker().run(|| {
        let secret = folder.path().join("secret");
        let file = OpenOptions::new().read(true).write(true).create(true).mode(0o600).open(&secret).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        file.write_all_at(b"0123456789", 0).unwrap();
        let mut middle = [0; 4];
        file.read_exact_at(&mut middle, 3).unwrap();
        assert_eq!(&middle, b"3456");
        assert_eq!(file.read_at(&mut middle, 8).unwrap(), 2);
        let private = folder.path().join("private");
        DirBuilder::new().mode(0o700).create(&private).unwrap();
        assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
    });
}

#[test]
fn a_file_changes_into_stds_and_back() {
    let folder = Folder::new();
    one_worker().run(|| {
        let file = File::create_new(folder.path().join("file")).unwrap();
        let number = file.as_raw_fd();
        let theirs: std::fs::File = file.into();
        (&theirs).write_all(b"written by std").unwrap();
        let fd: OwnedFd = File::from(theirs).into();
        let mut file = File::from(fd);
        assert_eq!(file.as_raw_fd(), number);
        assert!(!file.is_terminal());
        let mut twin = file.try_clone().unwrap();
        assert_eq!(twin.seek(SeekFrom::Start(8)).unwrap(), 8);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "by std");
        file.set_len(0).unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        assert_eq!(twin.metadata().unwrap().len(), 0);
        let debug = format!("{file:?}");
        assert_eq!(debug, format!("{:?}", std::fs::File::from(file)));
    });
}

#[test]
fn the_kernel_copies_from_file_to_file() {
    let folder = Folder::new();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, vec![b'x'; 100_000]).unwrap();
    one_worker().run(|| {
        let copied = abaca::io::copy_fd(&File::open(&from).unwrap(), &File::create(&to).unwrap()).unwrap();
        assert_eq!((copied, fs::metadata(&to).unwrap().len()), (100_000, 100_000));
    });
}

#[test]
fn owners_change_by_path_and_by_descriptor() {
    let run = || {
        let folder = Folder::new();
        let path = folder.path().join("owned");
        let file = File::create(&path).unwrap();
        let owner = || std::fs::metadata(&path).map(|data| (data.uid(), data.gid())).unwrap();
        let (uid, gid) = owner();
        // Everybody may give a file to its owner.
        fs::chown(&path, Some(uid), None).unwrap();
        fs::lchown(&path, None, Some(gid)).unwrap();
        fs::fchown(&file, Some(uid), Some(gid)).unwrap();
        assert_eq!(owner(), (uid, gid));
        let missing = folder.path().join("missing");
        assert_eq!(fs::chown(&missing, Some(uid), None).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs::lchown(&missing, Some(uid), None).unwrap_err().kind(), ErrorKind::NotFound);
    };
    one_worker().run(run);
    run();
}
