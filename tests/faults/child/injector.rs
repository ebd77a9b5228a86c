//! Makes system calls of one kind fail, without the program's knowing: the kernel asks a thread of this process about
//! each of them (`SECCOMP_RET_USER_NOTIF`), and that thread lets them pass, counts them, or refuses one.
//!
//! The thread was there before the filter, so the filter is not its own; every later thread has it. While a call waits for
//! its answer the caller may hold any lock, the allocator's included: the answering loop makes system calls and touches
//! atomics, nothing else.
//!
//! Calls of children are not ours to refuse: they pass, uncounted.

#![expect(unsafe_code, reason = "system calls that nobody wraps")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;

/// The system call with this number, from the `n`th on `times` times, ends with `errno`.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) number: libc::c_long,
    pub(crate) errno: i32,
    pub(crate) first: u32,
    pub(crate) times: u32,
}

/// The numbers of system calls are smaller than this.
pub(crate) const NUMBERS: usize = 512;

/// How many calls of each number there have been while armed. Statics, as all here: the filter is the process's.
static COUNTS: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];
static IS_ARMED: AtomicBool = AtomicBool::new(false);
static HIT: AtomicU32 = AtomicU32::new(0);
static NUMBER: AtomicI32 = AtomicI32::new(-1);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static FIRST: AtomicU32 = AtomicU32::new(0);
static TIMES: AtomicU32 = AtomicU32::new(0);

/// From here on calls count.
pub(crate) fn arm() {
    IS_ARMED.store(true, SeqCst);
}

/// From here on all calls pass.
pub(crate) fn disarm() {
    IS_ARMED.store(false, SeqCst);
}

/// How many calls were refused.
pub(crate) fn refused() -> u32 {
    HIT.load(SeqCst)
}

/// How many calls of each number there were.
pub(crate) fn counts() -> impl Iterator<Item = (usize, u32)> {
    COUNTS.iter().map(|count| count.load(SeqCst)).enumerate().filter(|(_, count)| *count > 0)
}

/// Puts the calls with these numbers under control, in the calling thread and all that it will start.
pub(crate) fn install(numbers: &[libc::c_long], fault: Option<Fault>) -> io::Result<()> {
    if let Some(fault) = fault {
        NUMBER.store(i32::try_from(fault.number).expect("a small number"), SeqCst);
        ERRNO.store(fault.errno, SeqCst);
        FIRST.store(fault.first, SeqCst);
        TIMES.store(fault.times, SeqCst);
    }
    let (send, receive) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    std::thread::Builder::new().name("injector".into()).spawn(move || {
        ready.send(()).expect("its starter waits");
        let Ok(listener) = receive.recv() else { return };
        answer(listener)
    })?;
    is_ready.recv().expect("the thread is there");
    let listener = listen(numbers)?;
    // Nothing of this waits for a system call that is under control: the answering thread sleeps in a futex.
    send.send(listener).expect("the thread waits for it");
    Ok(())
}

/// Installs the filter; returns the descriptor on which the kernel asks.
fn listen(numbers: &[libc::c_long]) -> io::Result<libc::c_int> {
    let jump = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code: u16, jt: usize, k: u32| libc::sock_filter {
        code,
        jt: u8::try_from(jt).expect("a short program"),
        jf: 0,
        k,
    };
    // Load the number, which comes first in seccomp_data.
    let mut program = vec![step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0)];
    for (at, number) in numbers.iter().enumerate() {
        program.push(step(jump, numbers.len() - at, u32::try_from(*number).expect("a number")));
    }
    program.push(step(give, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(give, 0, libc::SECCOMP_RET_USER_NOTIF));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("a short program"),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: prctl(2) with this option takes numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the program is a live local and as long as said.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter) };
    if listener < 0 { Err(io::Error::last_os_error()) } else { Ok(listener as libc::c_int) }
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`: `_IOWR('!', 0, struct seccomp_notif)` and so on.
const RECEIVE: libc::c_ulong = 0xC050_2100;
const SEND: libc::c_ulong = 0xC018_2101;

/// Answers the kernel's questions until the process ends. See the module's documentation for what it may not do.
fn answer(listener: libc::c_int) {
    // SAFETY: getpid(2) has no preconditions.
    let own = unsafe { libc::getpid() };
    loop {
        // SAFETY: an all-zero question is what the kernel wants to write over.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the question is a live local of the kernel's layout.
        if unsafe { libc::ioctl(listener, RECEIVE, &raw mut asked) } != 0 {
            // Interrupted, or the caller is gone.
            continue;
        }
        // SAFETY: tgkill(2) with signal 0 only looks whether the thread is one of this process.
        let is_ours = unsafe { libc::syscall(libc::SYS_tgkill, own, asked.pid, 0) } == 0;
        let errno = if is_ours { verdict(asked.data.nr) } else { 0 };
        // SAFETY: as above.
        let mut answer: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
        answer.id = asked.id;
        answer.error = -errno;
        if errno == 0 {
            answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        }
        // SAFETY: the answer is a live local. If the caller has been killed, nobody hears it.
        unsafe { libc::ioctl(listener, SEND, &raw mut answer) };
    }
}

/// The error with which this call is to end, or 0.
fn verdict(number: i32) -> i32 {
    if !IS_ARMED.load(SeqCst) {
        return 0;
    }
    let Some(count) = usize::try_from(number).ok().and_then(|at| COUNTS.get(at)) else { return 0 };
    let nth = count.fetch_add(1, SeqCst) + 1;
    let first = FIRST.load(SeqCst);
    if number != NUMBER.load(SeqCst) || nth < first || nth - first >= TIMES.load(SeqCst) {
        return 0;
    }
    HIT.fetch_add(1, SeqCst);
    ERRNO.load(SeqCst)
}
