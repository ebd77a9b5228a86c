//! The standard streams, in child processes: nothing stalls a worker, lines stay whole, locks know fibers.

use std::io::{BufRead, Read, Write};
use std::process::{Command, Output, Stdio};

use abaca::Cancelled;

use super::{in_child, is_child, one_worker};

/// The child's part of a test: its output, without the test harness's.
fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1 passed"), "{text}");
    text.lines().filter_map(|line| line.split_once("> ").map(|(_, said)| said.to_owned())).collect()
}

/// Runs the named test again as a child that reads `input` after each of its lines has been asked for.
fn child(test: &str) -> Command {
    let this = std::env::current_exe().expect("this test has a path");
    // A child that hangs fails the test, and does not hang it.
    let mut command = Command::new("timeout");
    command
        .args(["-k", "10", "300"])
        .arg(this)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("ROLE", "child");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[test]
fn a_fiber_that_reads_stalls_no_worker_and_lines_come_as_written() {
    if is_child() {
        one_worker().run(|| {
            let reader = abaca::spawn(|| {
                let mut first = String::new();
                assert_eq!(abaca::io::stdin().read_line(&mut first).unwrap(), 6);
                let rest: Vec<_> = abaca::io::stdin().lines().map(Result::unwrap).collect();
                (first, rest)
            });
            // Runs while the other waits: the parent sends nothing before it has read this.
            abaca::spawn(|| abaca::println!("\n> ready")).join().unwrap();
            let (first, rest) = reader.join().unwrap();
            abaca::println!("> {} {rest:?}", first.trim_end());
        });
        return;
    }
    let mut child =
        child("stdio::a_fiber_that_reads_stalls_no_worker_and_lines_come_as_written").spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("> ready\n") {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\nsecond\nthird").unwrap();
    drop(input);
    output.read_to_string(&mut text).unwrap();
    assert!(text.contains("> first [\"second\", \"third\"]\n"), "{text}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn lines_of_many_fibers_and_threads_stay_whole_and_locked_ones_together() {
    if is_child() {
        abaca::println!();
        let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
        let print = |name: usize| {
            for round in 0..50 {
                let mut locked = abaca::io::stdout().lock();
                write!(locked, "> {name} ").unwrap();
                abaca::yield_now();
                // The owner may lock again.
                abaca::println!("{round}");
            }
        };
        let fibers: Vec<_> = (0..4).map(|name| runtime.spawn(move || print(name))).collect();
        print(4);
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        return;
    }
    let test = "stdio::lines_of_many_fibers_and_threads_stay_whole_and_locked_ones_together";
    // Through a pipe that a slow reader keeps full, and into a file.
    for script in ["\"$@\" | { sleep 0.05; cat; }", "file=$(mktemp); \"$@\" > $file; cat $file; rm $file"] {
        let mut said = lines(&in_child(test, script));
        assert_eq!(said.len(), 250, "{said:?}");
        said.sort();
        let mut expected: Vec<_> =
            (0..5).flat_map(|name| (0..50).map(move |round| format!("{name} {round}"))).collect();
        expected.sort();
        assert_eq!(said, expected);
    }
}

#[test]
fn half_a_line_is_written_at_the_exit() {
    /// Comes after what the first use of the stream has registered.
    extern "C" fn last() {
        abaca::print!(", and the rest");
    }
    if is_child() {
        #[expect(unsafe_code, reason = "registers a hook of the exit")]
        // SAFETY: the function is static, and does not unwind.
        let registered = unsafe { libc::atexit(last) };
        assert_eq!(registered, 0);
        // It ends from the thread of a test, while the main one waits for that.
        abaca_tests::leaks::settle();
        one_worker().run(|| abaca::print!("\n> first\n> half"));
        abaca::eprintln!("error {}", 1);
        std::process::exit(0);
    }
    let output = in_child("stdio::half_a_line_is_written_at_the_exit", "exec \"$@\"");
    assert!(output.status.success());
    assert!(output.stdout.ends_with(b"> first\n> half, and the rest"), "{output:?}");
    assert!(output.stderr.ends_with(b"error 1\n"), "{output:?}");
}

#[test]
fn a_wait_for_input_is_cancelled_and_frees_the_lock() {
    if is_child() {
        one_worker().run(|| {
            // There is one worker: once the fiber has begun, it waits with the lock when this one runs again.
            let fiber = abaca_tests::begun(|| abaca::io::stdin().lock().read_exact(&mut [0; 4]));
            let late =
                abaca::time::timeout(std::time::Duration::from_millis(1), || abaca::io::stdin().lock());
            assert!(late.is_err(), "the fiber has the lock");
            fiber.cancel();
            assert!(fiber.join().unwrap_err().is::<Cancelled>());
            abaca::println!("\n> cancelled");
            let mut text = String::new();
            abaca::io::stdin().read_to_string(&mut text).unwrap();
            abaca::println!("> {text}");
        });
        return;
    }
    let mut child = child("stdio::a_wait_for_input_is_cancelled_and_frees_the_lock").spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("> cancelled\n") {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
    }
    child.stdin.take().unwrap().write_all(b"later").unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(text.contains("> later\n"), "{text}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn files_named_pipes_and_missing_streams_work_too() {
    if is_child() {
        // Where a stream is missing, std has opened /dev/null since the stock was taken.
        abaca_tests::leaks::settle();
        one_worker().run(|| {
            let mut text = String::new();
            abaca::io::stdin().read_to_string(&mut text).unwrap();
            abaca::println!("\n> {:?}", text.lines().next());
            abaca::eprintln!("> nobody reads this");
        });
        return;
    }
    let test = "stdio::files_named_pipes_and_missing_streams_work_too";
    let said = |script| lines(&in_child(test, script)).remove(0);
    assert_eq!(said("\"$@\" < /dev/null 2>&-"), "None");
    assert_eq!(said("f=$(mktemp); echo line > $f; \"$@\" < $f 2> /dev/null; rm $f"), "Some(\"line\")");
    // The kernel cannot be asked not to wait for a named pipe: it is polled, and read on the pool.
    let script =
        "f=$(mktemp -u); mkfifo $f; { sleep 0.05; echo named; } > $f & \"$@\" < $f 2> /dev/null; rm $f";
    assert_eq!(said(script), "Some(\"named\")");
}

#[test]
fn the_mode_of_the_shared_file_is_left_alone() {
    if is_child() {
        one_worker().run(|| {
            let reader = abaca::spawn(|| abaca::io::stdin().read_line(&mut String::new()));
            abaca::yield_now();
            let flags = std::fs::read_to_string("/proc/self/fdinfo/0").unwrap();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            // O_NONBLOCK
            abaca::println!("\n> {}", u32::from_str_radix(flags, 8).unwrap() & 0o4000);
            reader.cancel();
            let _ = reader.join();
        });
        return;
    }
    let mut child = child("stdio::the_mode_of_the_shared_file_is_left_alone").spawn().unwrap();
    let input = child.stdin.take();
    assert_eq!(lines(&child.wait_with_output().unwrap()), ["0"]);
    drop(input);
}

#[test]
fn a_guard_that_outlives_its_fiber_keeps_all_others_out() {
    if is_child() {
        one_worker().run(|| {
            let (release, released) = abaca::channel::bounded::<()>(0);
            let holder = abaca::spawn_local(move || {
                let lock = abaca::io::stdout().lock();
                abaca::spawn_local(move || {
                    let _ = released.recv();
                    drop(lock);
                })
            });
            let keeper = holder.join().unwrap();
            // One of these is where the holder was.
            let others: Vec<_> =
                (0..64).map(|_| abaca_tests::begun(|| drop(abaca::io::stdout().lock()))).collect();
            abaca::yield_now();
            assert_eq!(others.iter().filter(|other| other.is_finished()).count(), 0);
            drop(release);
            keeper.join().unwrap();
            others.into_iter().for_each(|other| other.join().unwrap());
            if abaca_tests::has_own_storage() {
                // A coroutine ends with its fiber.
                abaca::println!("\n> done");
                return;
            }
            // In a coroutine as well, which goes on in another fiber and is the first holder still.
            let mut coroutine = abaca::spawn_local(|| {
                let mut coroutine = abaca::coroutine::Coroutine::<(), (), ()>::new(|yielder, ()| {
                    let _lock = abaca::io::stdout().lock();
                    yielder.suspend(());
                });
                coroutine.resume(());
                coroutine
            })
            .join()
            .unwrap();
            let other = abaca_tests::begun(|| drop(abaca::io::stdout().lock()));
            abaca::yield_now();
            assert!(!other.is_finished());
            coroutine.resume(());
            other.join().unwrap();
            abaca::println!("\n> done");
        });
        return;
    }
    let test = "stdio::a_guard_that_outlives_its_fiber_keeps_all_others_out";
    assert_eq!(lines(&in_child(test, "exec \"$@\"")), ["done"]);
}

#[test]
fn a_lock_that_a_thread_has_forgotten_is_no_later_threads() {
    if is_child() {
        std::thread::spawn(|| std::mem::forget(abaca::io::stderr().lock())).join().unwrap();
        for _ in 0..32 {
            let late = std::thread::spawn(|| {
                let wait = std::time::Duration::from_millis(1);
                abaca::time::timeout(wait, || drop(abaca::io::stderr().lock())).is_err()
            });
            assert!(late.join().unwrap());
        }
        println!("\n> done");
        return;
    }
    let test = "stdio::a_lock_that_a_thread_has_forgotten_is_no_later_threads";
    assert_eq!(lines(&in_child(test, "exec \"$@\"")), ["done"]);
}
