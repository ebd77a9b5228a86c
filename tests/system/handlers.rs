//! Handlers that others have: while `Signals` live they go on being called, in whatever order they were made. tokio, ctrlc and
//! signal-hook are the others, and handlers by hand for what those do not do. Each test in a process of its own.

#![expect(unsafe_code, reason = "handlers of signals, made by hand")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::signal::{Signal, Signals};

use super::{in_child, is_child, one_worker};

/// Runs the rest of the test in a child, which must pass there.
macro_rules! in_a_process_of_its_own {
    ($name:literal) => {
        if !is_child() {
            let output = in_child(concat!("handlers::", $name), "exec \"$@\"");
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            return;
        }
    };
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

fn calls() -> usize {
    CALLS.load(SeqCst)
}

extern "C" fn plain(_signal: libc::c_int) {
    CALLS.fetch_add(1, SeqCst);
}

extern "C" fn with_info(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel has passed it, possibly through another handler.
    let number = unsafe { (*info).si_signo };
    assert!(number == signal && !context.is_null());
    CALLS.fetch_add(1, SeqCst);
}

fn set(signal: Signal, handler: usize, flags: libc::c_int) {
    // SAFETY: all zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handler has the signature that the flags say.
    assert_eq!(unsafe { libc::sigaction(signal.number(), &action, std::ptr::null_mut()) }, 0);
}

fn now(signal: Signal) -> usize {
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only asks.
    assert_eq!(unsafe { libc::sigaction(signal.number(), std::ptr::null(), &mut action) }, 0);
    action.sa_sigaction
}

/// Sends the calling thread a signal; it has been handled when this returns.
fn raise(signal: Signal) {
    // SAFETY: raise(3) takes a number.
    assert_eq!(unsafe { libc::raise(signal.number()) }, 0);
}

#[test]
fn handlers_of_both_kinds_are_called_and_come_back() {
    in_a_process_of_its_own!("handlers_of_both_kinds_are_called_and_come_back");
    let handlers = [(plain as *const () as usize, 0), (with_info as *const () as usize, libc::SA_SIGINFO)];
    for (handler, flags) in handlers {
        for round in 1..=3 {
            CALLS.store(0, SeqCst);
            set(Signal::User1, handler, flags);
            let mut signals = Signals::new([Signal::User1]).unwrap();
            for times in 1..=round {
                raise(Signal::User1);
                assert_eq!((signals.try_wait(), calls()), (Some(Signal::User1), times));
            }
            assert_eq!(signals.try_wait(), None);
            drop(signals);
            assert_eq!(now(Signal::User1), handler);
            raise(Signal::User1);
            assert_eq!(calls(), round + 1);
        }
    }
}

#[test]
fn what_was_ignored_or_wanted_once_stays_so() {
    in_a_process_of_its_own!("what_was_ignored_or_wanted_once_stays_so");
    set(Signal::User1, libc::SIG_IGN, 0);
    let mut signals = Signals::new([Signal::User1]).unwrap();
    raise(Signal::User1);
    assert_eq!(signals.try_wait(), Some(Signal::User1));
    drop(signals);
    assert_eq!(now(Signal::User1), libc::SIG_IGN);
    set(Signal::User2, plain as *const () as usize, libc::SA_RESETHAND);
    let mut signals = Signals::new([Signal::User2]).unwrap();
    for _ in 0..3 {
        raise(Signal::User2);
        assert_eq!((signals.try_wait(), calls()), (Some(Signal::User2), 1));
    }
    drop(signals);
    assert_eq!(now(Signal::User2), libc::SIG_DFL);
    // A process that ignores SIGCHLD gets no zombies.
    set(Signal::Child, libc::SIG_IGN, 0);
    let mut signals = Signals::new([Signal::Child]).unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    assert_eq!(signals.wait().unwrap(), Signal::Child);
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
}

/// If the program replaces our handler by one that does not pass signals on, ours gets nothing, and comes back with the next
/// `Signals`.
#[test]
fn a_handler_that_replaced_ours_is_replaced_by_the_next_receiver() {
    in_a_process_of_its_own!("a_handler_that_replaced_ours_is_replaced_by_the_next_receiver");
    let mut first = Signals::new([Signal::User1]).unwrap();
    set(Signal::User1, plain as *const () as usize, 0);
    raise(Signal::User1);
    assert_eq!((first.try_wait(), calls()), (None, 1));
    drop(first);
    assert_eq!(now(Signal::User1), plain as *const () as usize);
    // More often than ours can lie over theirs.
    for round in 2..20 {
        let mut next = Signals::new([Signal::User1]).unwrap();
        raise(Signal::User1);
        assert_eq!((next.try_wait(), calls()), (Some(Signal::User1), round));
    }
}

#[test]
fn a_handler_of_signal_hook_over_and_under_ours_hears_each_signal_once() {
    in_a_process_of_its_own!("a_handler_of_signal_hook_over_and_under_ours_hears_each_signal_once");
    let register = |signal: Signal| {
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        let action = move || _ = theirs.fetch_add(1, SeqCst);
        // SAFETY: it only counts.
        unsafe { signal_hook::low_level::register(signal.number(), action) }.unwrap();
        count
    };
    // Theirs first.
    let count = register(Signal::User1);
    for round in 1..=10 {
        let mut signals = Signals::new([Signal::User1]).unwrap();
        raise(Signal::User1);
        assert_eq!((signals.try_wait(), signals.try_wait()), (Some(Signal::User1), None));
        drop(signals);
        raise(Signal::User1);
        assert_eq!(count.load(SeqCst), 2 * round);
    }
    // Ours first: theirs covers ours and passes on to it, and is covered by ours again.
    set(Signal::User2, plain as *const () as usize, 0);
    let mut signals = Signals::new([Signal::User2]).unwrap();
    let count = register(Signal::User2);
    for round in 1..=10 {
        raise(Signal::User2);
        assert_eq!((signals.try_wait(), signals.try_wait()), (Some(Signal::User2), None));
        assert_eq!((count.load(SeqCst), calls()), (round, round));
        drop(signals);
        signals = Signals::new([Signal::User2]).unwrap();
    }
    drop(signals);
    raise(Signal::User2);
    assert_eq!((count.load(SeqCst), calls()), (11, 11));
}

#[test]
fn tokio_receives_the_same_signals_whichever_came_first() {
    in_a_process_of_its_own!("tokio_receives_the_same_signals_whichever_came_first");
    use tokio::signal::unix::{SignalKind, signal};
    // The sockets that its handlers write to live as long as the process.
    abaca_tests::leaks::settle();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let theirs = |of: Signal| {
        let _inside = tokio.enter();
        signal(SignalKind::from_raw(of.number())).unwrap()
    };
    let mut they_first = theirs(Signal::Terminate);
    let mut ours = Signals::new([Signal::Terminate, Signal::Hangup]).unwrap();
    let mut they_last = theirs(Signal::Hangup);
    let runtime = one_worker();
    for _ in 0..3 {
        raise(Signal::Terminate);
        tokio.block_on(they_first.recv()).unwrap();
        assert_eq!(runtime.run(|| ours.wait().unwrap()), Signal::Terminate);
        raise(Signal::Hangup);
        tokio.block_on(they_last.recv()).unwrap();
        assert_eq!(runtime.run(|| ours.wait().unwrap()), Signal::Hangup);
    }
    drop(ours);
    raise(Signal::Terminate);
    raise(Signal::Hangup);
    tokio.block_on(they_first.recv()).unwrap();
    tokio.block_on(they_last.recv()).unwrap();
}

#[test]
fn ctrlc_hears_the_interrupt_before_and_after_us() {
    in_a_process_of_its_own!("ctrlc_hears_the_interrupt_before_and_after_us");
    // Its thread lives as long as the process.
    abaca_tests::leaks::settle();
    let (sender, heard) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || sender.send(()).unwrap()).unwrap();
    let runtime = one_worker();
    for _ in 0..3 {
        runtime.run(|| {
            let mut signals = Signals::new([Signal::Interrupt]).unwrap();
            raise(Signal::Interrupt);
            assert_eq!(signals.wait().unwrap(), Signal::Interrupt);
        });
        heard.recv().unwrap();
        raise(Signal::Interrupt);
        heard.recv().unwrap();
    }
}

static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_child(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel has passed it.
    STOPPED.fetch_or(unsafe { (*info).si_code } == libc::CLD_STOPPED, SeqCst);
    CALLS.fetch_add(1, SeqCst);
}

#[test]
fn a_handler_that_wants_no_stops_of_children_gets_none() {
    in_a_process_of_its_own!("a_handler_that_wants_no_stops_of_children_gets_none");
    set(Signal::Child, on_child as *const () as usize, libc::SA_SIGINFO | libc::SA_NOCLDSTOP);
    let mut signals = Signals::new([Signal::Child]).unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: kill(2) takes numbers.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    assert_eq!(signals.wait().unwrap(), Signal::Child);
    assert_eq!(calls(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
    signals.wait().unwrap();
    // A signal is counted before it is passed on, perhaps by another thread.
    while calls() == 0 {
        std::thread::yield_now();
    }
    assert!(!STOPPED.load(SeqCst));
}
