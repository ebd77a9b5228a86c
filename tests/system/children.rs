//! Children: what they inherit of the thread that starts them, and what becomes of children that nobody waits for.

#![expect(unsafe_code, reason = "`pre_exec`, and calls that change the calling thread")]

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use abaca::Runtime;
use abaca::process::{Child, Command, Stdio};

use super::{in_child, is_child, one_worker};

/// A child that ends when its standard input does.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

/// `Z` for a zombie; `None` once it was waited for.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until somebody has waited for the child.
fn await_reaping(pid: u32) {
    while state(pid).is_some() {
        abaca::sleep(Duration::from_millis(1));
    }
}

/// The states of the threads of this process that have a name that begins so: `S` sleeps.
fn states(name: &str) -> Vec<char> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let named = |stat: String| {
        let (comm, rest) = stat.split_once(" (")?.1.rsplit_once(") ")?;
        comm.starts_with(name).then(|| rest.chars().next())?
    };
    stats.filter_map(named).collect()
}

/// How many threads of this process have a name that begins so.
fn threads(name: &str) -> usize {
    states(name).len()
}

#[test]
fn a_child_whose_handle_was_dropped_is_reaped_when_it_ends() {
    fn run() {
        let children: Vec<_> = (0..10)
            .map(|_| {
                let mut child = cat().spawn().unwrap();
                (child.id(), child.stdin.take().unwrap())
            })
            .collect();
        for (pid, mut stdin) in children {
            // It lives on, as in std.
            assert_ne!(state(pid), None);
            stdin.write_all(b"still read").unwrap();
            drop(stdin);
            await_reaping(pid);
        }
        // A child that had ended before.
        let child = Command::new("true").spawn().unwrap();
        while state(child.id()) != Some('Z') {
            std::thread::yield_now();
        }
        let pid = child.id();
        drop(child);
        assert_eq!(state(pid), None);
    }
    one_worker().run(run);
    run();
}

#[test]
fn a_wait_that_is_given_up_leaves_no_zombie() {
    one_worker().run(|| {
        let short = Duration::from_millis(1);
        for kills in [false, true] {
            let mut child = cat().kill_on_drop(kills).stdout(Stdio::piped()).spawn().unwrap();
            let (pid, stdin) = (child.id(), child.stdin.take());
            assert!(abaca::time::timeout(short, || child.wait_with_output()).is_err());
            if !kills {
                assert_ne!(state(pid), None);
                drop(stdin);
            }
            await_reaping(pid);
        }
    });
}

#[test]
fn a_child_that_is_killed_with_its_handle_is_reaped() {
    fn run() {
        let mut child = cat().kill_on_drop(true).spawn().unwrap();
        let (pid, _stdin) = (child.id(), child.stdin.take());
        drop(child);
        await_reaping(pid);
        // A child that was waited for can no longer be killed.
        assert!(Command::new("true").kill_on_drop(true).status().unwrap().success());
    }
    one_worker().run(run);
    run();
}

/// Asks to die with its parent, which for the kernel is the thread that forked it.
fn faithful() -> Child {
    let mut command = cat();
    // SAFETY: prctl(2) may be called after a fork.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command.spawn().unwrap()
}

#[test]
fn a_child_that_dies_with_its_parent_outlives_the_pools_threads_and_the_runtime() {
    let build =
        || Runtime::builder().workers(1).name("pd").blocking_keep_alive(Duration::ZERO).build().unwrap();
    let runtime = build();
    let (mut child, mut other) = runtime.run(|| (faithful(), faithful()));
    runtime.run(|| {
        // Other threads of the pool end as soon as they are idle.
        abaca::blocking::run(|| ());
        while threads("pd-blocking") > 0 {
            abaca::sleep(Duration::from_millis(1));
        }
        assert!(threads("pd-forking") > 0, "their parent");
        assert_eq!((child.try_wait().unwrap(), other.try_wait().unwrap()), (None, None));
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    });
    drop(runtime);
    // A thread that was joined may be in the kernel's list for a little longer.
    while threads("pd-worker") > 0 {
        std::thread::yield_now();
    }
    assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success(), "nobody has killed it");
    while threads("pd-forking") > 0 {
        std::thread::yield_now();
    }
    // A child whose handle is gone keeps its parent for as long as it lives.
    let (pid, stdin) = build().run(|| {
        let mut child = faithful();
        (child.id(), child.stdin.take())
    });
    assert_eq!((threads("pd-forking"), state(pid).is_some()), (1, true));
    drop(stdin);
    while threads("pd-forking") > 0 {
        std::thread::yield_now();
    }
    assert_eq!(state(pid), None);
}

#[test]
fn many_children_at_once_need_few_threads() {
    let runtime = Runtime::builder().workers(1).name("few").build().unwrap();
    runtime.run(|| {
        let spawn = |_| {
            let child = cat().spawn().unwrap();
            // A thread that has just told its caller is not free yet.
            while !states("few-forking").iter().all(|state| *state == 'S') {
                std::thread::yield_now();
            }
            child
        };
        let children: Vec<_> = (0..100).map(spawn).collect();
        assert!(threads("few-forking") < 50);
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
    });
}

/// The attributes that a child may inherit of a thread: slack, signals, capabilities, processors, filters, niceness.
const FOUND: &str =
    "cat /proc/self/timerslack_ns; nice; grep -E 'Sig(Blk|Ign)|Cap|Seccomp|NoNew|Cpus_' /proc/self/status";

fn shell(script: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Changes the attributes that children and threads inherit of the calling thread.
fn change_this_thread() {
    // SAFETY: these take numbers, and a set of signals that is a live local.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGUSR2);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut()), 0);
        let id = libc::syscall(libc::SYS_gettid) as libc::id_t;
        assert_eq!(libc::setpriority(libc::PRIO_PROCESS, id, 7), 0);
        assert_eq!(libc::prctl(libc::PR_SET_TIMERSLACK, 77_777, 0, 0, 0), 0);
    }
}

fn slack() -> i32 {
    // SAFETY: prctl(2) with this option takes numbers.
    unsafe { libc::prctl(libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) }
}

#[test]
fn a_child_inherits_what_the_process_had() {
    let before = shell(FOUND).output().unwrap().stdout;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let runtime = Runtime::builder().workers(1).blocking_keep_alive(Duration::MAX).build().unwrap();
    runtime.run(|| {
        // Workers sleep with tight slack, now and then.
        abaca::sleep(Duration::from_millis(1));
        abaca::blocking::run(change_this_thread);
        let mut ours = Command::new("sh");
        ours.args(["-c", FOUND]);
        for _ in 0..3 {
            assert_eq!(text(&ours.output().unwrap().stdout), text(&before));
        }
        assert_eq!(text(&shell(FOUND).output().unwrap().stdout), text(&before), "std's child of a worker");
    });
}

#[test]
fn threads_that_a_fiber_starts_have_the_slack_of_the_process() {
    let own = slack();
    for poller in [abaca::runtime::Poller::Workers, abaca::runtime::Poller::Thread] {
        let runtime = Runtime::builder().workers(1).poller(poller).build().unwrap();
        let seen = runtime.run(|| {
            abaca::sleep(Duration::from_millis(1));
            [slack(), std::thread::spawn(slack).join().unwrap(), abaca::blocking::run(slack)]
        });
        assert_eq!(seen, [own; 3]);
    }
}

/// One of them is on its way to its program for as long as others take to be started.
#[test]
fn a_child_that_is_slow_to_start_holds_nobody_up() {
    one_worker().run(|| {
        let (mut reader, writer) = abaca::io::pipe().unwrap();
        let mut slow = Command::new("true");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        // SAFETY: read(2) may be called after a fork.
        unsafe {
            slow.pre_exec(move || {
                let mut byte = 0_u8;
                assert_eq!(libc::read(fd, (&raw mut byte).cast(), 1), 1);
                Ok(())
            });
        }
        let slow = abaca::spawn(move || slow.status().unwrap());
        abaca::yield_now();
        // The end of this one lets the slow one go.
        let mut echo = Command::new("echo");
        let mut child = echo.arg("x").stdout(writer).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(slow.join().unwrap().success());
        drop(echo);
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut rest).unwrap();
    });
}

/// No descriptor is left for a pidfd, nor for anything else.
#[test]
fn children_are_waited_for_without_descriptors() {
    if !is_child() {
        let test = "children::children_are_waited_for_without_descriptors";
        let output = in_child(test, "ulimit -n 40; exec \"$@\"");
        return assert!(output.status.success(), "{output:?}");
    }
    one_worker().run(|| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat; echo err >&2; exit 3"]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut children: Vec<_> = (0..4).map(|_| shell.spawn().unwrap()).collect();
        let pids: Vec<_> = children.iter().map(Child::id).collect();
        let mut stdins: Vec<_> = children.iter_mut().map(|child| child.stdin.take().unwrap()).collect();
        let mut fill = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            fill.push(file);
        }
        let [first, second, mut third, fourth] = <[_; 4]>::try_from(children).ok().unwrap();
        let whole = abaca::spawn(move || first.wait_with_output().unwrap());
        abaca::yield_now();
        stdins[0].write_all(b"out").unwrap();
        stdins.remove(0);
        let output = whole.join().unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out"[..], &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
        // Its pipes are free again: from here on there is none to spare either.
        while let Ok(file) = fs::File::open("/dev/null") {
            fill.push(file);
        }
        drop(second);
        assert_eq!(third.wait_timeout(Duration::from_millis(1)).unwrap(), None);
        let waiter = abaca::spawn(move || third.wait());
        abaca::yield_now();
        waiter.cancel();
        assert!(waiter.join().is_err(), "a wait without a pidfd can be given up");
        assert!(abaca::time::timeout(Duration::from_millis(1), || fourth.wait_with_output()).is_err());
        drop(stdins);
        drop(fill);
        for pid in pids {
            // Looked for without opening anything, as long as there is nothing to open it with.
            // SAFETY: kill(2) with signal 0 sends nothing.
            while unsafe { libc::kill(pid as i32, 0) } == 0 {
                abaca::sleep(Duration::from_millis(1));
            }
        }
    });
}

#[test]
fn a_killed_child_says_so() {
    one_worker().run(|| {
        let mut child = cat().kill_on_drop(true).spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

/// The child's descriptors are copies, which lead to the parent's epoll instance.
#[test]
fn a_parent_still_waits_for_descriptors_that_a_forked_child_closes() {
    if !is_child() {
        let test = "children::a_parent_still_waits_for_descriptors_that_a_forked_child_closes";
        let output = in_child(test, "exec \"$@\"");
        return assert!(output.status.success(), "{output:?}");
    }
    one_worker().run(|| {
        let (mut ours, mut theirs) = abaca::net::UnixStream::pair().unwrap();
        // Registered at its first wait.
        let short = Duration::from_millis(1);
        assert!(abaca::time::timeout(short, || std::io::Read::read(&mut ours, &mut [0])).is_err());
        // SAFETY: the child closes a descriptor, without waiting for anybody, and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(ours);
            // SAFETY: it runs no destructors.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the status is a live local.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0);
        let reader = abaca::spawn(move || std::io::Read::read(&mut ours, &mut [0]).unwrap());
        abaca::yield_now();
        theirs.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}
