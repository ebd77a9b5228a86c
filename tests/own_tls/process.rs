//! Calls that mean the whole process, made by a fiber while others run and keep their threads: `fork`, and `setuid` and its kind,
//! which libc makes in each thread.

#![expect(unsafe_code, reason = "forks, and sets the ids of the process")]

use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::Builder;

use crate::{command, is_child, passes, runtime};

thread_local!(static NUMBER: Cell<i32> = const { Cell::new(0) });

/// Calls `f` in a fiber while others yield, others start and end, and two keep their threads until it has returned.
fn among_busy_fibers(f: impl FnOnce() + Send + 'static) {
    runtime(2).run(|| {
        let is_over = Arc::new(AtomicBool::new(false));
        let hogs = Arc::new(AtomicUsize::new(0));
        let mut fibers: Vec<_> = (0..2)
            .map(|_| {
                let (is_over, hogs) = (Arc::clone(&is_over), Arc::clone(&hogs));
                abaca::spawn(move || {
                    hogs.fetch_add(1, SeqCst);
                    while !is_over.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        fibers.extend((0..4).map(|_| {
            let is_over = Arc::clone(&is_over);
            let body = move || {
                while !is_over.load(SeqCst) {
                    abaca::spawn(abaca::yield_now).join().unwrap();
                }
            };
            Builder::new().spawn_roaming(body).unwrap()
        }));
        while hogs.load(SeqCst) < 2 {
            abaca::yield_now();
        }
        let caller = abaca::spawn(f).join();
        is_over.store(true, SeqCst);
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        caller.unwrap();
    });
}

#[test]
fn a_child_of_fork_goes_on_in_the_fiber_and_its_parent_learns_how_it_ended() {
    among_busy_fibers(|| {
        for number in 1..20 {
            NUMBER.set(number);
            abaca::yield_now();
            // SAFETY: the child does what a child of a process with threads may do, and ends.
            let status = unsafe {
                let child = libc::fork();
                if child == 0 {
                    libc::_exit(NUMBER.get());
                }
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            };
            assert_eq!(libc::WEXITSTATUS(status), number);
            assert_eq!(NUMBER.get(), number);
        }
        // std's way, and ours.
        assert!(Command::new("true").status().unwrap().success());
        assert!(abaca::process::Command::new("true").status().unwrap().success());
    });
}

#[test]
fn a_child_of_fork_in_a_fiber_may_execute_another_program() {
    among_busy_fibers(|| {
        // SAFETY: the child does what a child of a process with threads may do.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                let arguments = [c"true".as_ptr(), std::ptr::null()];
                libc::execvp(c"true".as_ptr(), arguments.as_ptr());
                libc::_exit(127);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        };
        assert_eq!(status, 0);
    });
}

/// Sets all ids to what they are, and checks that each thread of the process has them.
fn set_all_ids() {
    // SAFETY: system calls without preconditions.
    unsafe {
        assert_eq!(libc::setgid(libc::getgid()), 0);
        assert_eq!(libc::setuid(libc::getuid()), 0);
        assert_eq!(libc::setregid(libc::getgid(), libc::getegid()), 0);
        assert_eq!(libc::setreuid(libc::getuid(), libc::geteuid()), 0);
        assert_eq!(libc::setresgid(libc::getgid(), libc::getegid(), libc::getegid()), 0);
        assert_eq!(libc::setresuid(libc::getuid(), libc::geteuid(), libc::geteuid()), 0);
        assert_eq!(libc::setegid(libc::getegid()), 0);
        assert_eq!(libc::seteuid(libc::geteuid()), 0);
    }
}

#[test]
fn the_family_of_setuid_returns_in_a_fiber_while_others_keep_their_threads() {
    if !is_child() {
        passes(command("process::the_family_of_setuid_returns_in_a_fiber_while_others_keep_their_threads"));
        return;
    }
    among_busy_fibers(|| {
        for _ in 0..20 {
            set_all_ids();
            abaca::yield_now();
        }
    });
}

#[test]
fn the_ids_that_a_fiber_sets_are_those_of_each_thread() {
    if !is_child() {
        passes(command("process::the_ids_that_a_fiber_sets_are_those_of_each_thread"));
        return;
    }
    // SAFETY: a system call without preconditions.
    if unsafe { libc::getuid() } != 0 {
        abaca_tests::skip(abaca_tests::Tool::Root, "only root may become another user");
        return;
    }
    among_busy_fibers(|| {
        // SAFETY: as above.
        unsafe {
            assert_eq!(libc::setresgid(54_321, 54_321, 0), 0);
            assert_eq!(libc::setresuid(54_321, 54_321, 0), 0);
            assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
        }
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let status = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
        let ids: Vec<_> = status
            .flat_map(|text| {
                let is_of_ids = |line: &&str| line.starts_with("Uid:") || line.starts_with("Gid:");
                text.lines().filter(is_of_ids).map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        assert!(ids.len() >= 8, "{ids:?}");
        let wanted = |line: &String| line.split_whitespace().skip(1).take(2).all(|id| id == "54321");
        assert!(ids.iter().all(wanted), "{ids:?}");
    });
}
