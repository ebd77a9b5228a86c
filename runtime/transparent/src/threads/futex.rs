//! futex(2) and syscall(2), by which std waits: its locks, conditions, `park`, and what is made of them.
//!
//! A fiber sleeps in the runtime's table of sleepers by address. A plain thread sleeps in the kernel, as always. Who wakes does so in
//! both: first those in the table, then by a system call those in the kernel, up to the number that was asked for. Each sleeper has
//! looked at the word under a lock (the table's, or the kernel's), after the word's change was to be seen there, so nobody misses it.
//!
//! While plain threads sleep at an address, every other wake-up begins with them, so that fibers that are always there do not keep
//! them waiting for ever.
//!
//! Words that processes share, and those with priority inheritance, are the kernel's alone.

#![expect(unsafe_code, reason = "makes system calls, and looks at the words that callers point to")]

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use abaca::hook::{self, Found, Overtaken, Slept};
use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, EAGAIN, EINTR, EINVAL, ETIMEDOUT, FUTEX_CLOCK_REALTIME,
    FUTEX_CMP_REQUEUE, FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE,
    FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, SYS_futex, timespec,
};

use super::acquire::wake_fairly;
use super::asks;
use super::number;
use super::until::{self, Until};
use crate::answer::{answer, failed};
use crate::descriptors::{control, numbers};
use crate::enter::enter;
use crate::kernel;
use crate::table::Hook;

/// All of a futex's bits: whoever sleeps without bits.
const ALL: u32 = u32::MAX;

/// syscall(2). Of all system calls only futex(2) is looked at, and those that change the mode of a file.
///
/// libc's takes any number of arguments. Here they are seven, which are passed as such a call passes them on each architecture that
/// fibers with own storage run on.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if number == SYS_futex {
        let (operation, value, value3) = (b as c_int, c as u32, f as u32);
        // SAFETY: the caller's promise.
        return answer(unsafe { futex(&Call { word: a, operation, value, timeout: d, word2: e, value3 }) })
            as c_long;
    }
    // SAFETY: the caller's promise.
    unsafe { other(number, [a, b, c, d, e, f]) }
}

/// A call that is not futex(2).
///
/// # Safety
///
/// As of `syscall`.
#[inline(never)]
unsafe fn other(number: c_long, arguments @ [a, b, c, ..]: [usize; 6]) -> c_long {
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { number::system_call(number, arguments) } {
        return answer(result) as c_long;
    }
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { of_number(number, [a, b, c]) } {
        return result.into();
    }
    // SAFETY: the caller's promise.
    answer(unsafe { asks::call(number, arguments) }) as c_long
}

fn waits_for_lock(command: c_int) -> bool {
    [libc::F_SETLKW, libc::F_OFD_SETLKW].contains(&command)
}

/// A system call about a number of a descriptor that does not wait, by the hook of its function.
///
/// # Safety
///
/// The arguments are those of the call.
unsafe fn of_number(number: c_long, [a, b, c]: [usize; 3]) -> Option<c_int> {
    // SAFETY: the caller's promise.
    let result = unsafe {
        match number {
            libc::SYS_fcntl if !waits_for_lock(b as c_int) => control::fcntl(a as c_int, b as c_int, c),
            libc::SYS_ioctl => control::ioctl(a as c_int, b as c_ulong, c),
            libc::SYS_close => numbers::close(a as c_int),
            libc::SYS_close_range => numbers::close_range(a as c_uint, b as c_uint, c as c_int),
            libc::SYS_dup => numbers::dup(a as c_int),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_dup2 => numbers::dup2(a as c_int, b as c_int),
            libc::SYS_dup3 => numbers::dup3(a as c_int, b as c_int, c as c_int),
            _ => return None,
        }
    };
    Some(result)
}

/// The hooks of this file.
pub(crate) const HOOKS: &[Hook] = &[Hook(syscall as *const (), "syscall")];

/// The arguments of futex(2).
struct Call {
    word: usize,
    operation: c_int,
    value: u32,
    /// The address of a time, or a second number of waiters.
    timeout: usize,
    word2: usize,
    value3: u32,
}

impl Call {
    /// Whether fibers may sleep at the word. What is not an address of a word of the process is the kernel's to refuse.
    #[inline(always)]
    fn is_of_fibers(&self) -> bool {
        let is_private = self.operation & FUTEX_PRIVATE_FLAG != 0;
        is_private && self.word.is_multiple_of(4) && self.word >= 4096
    }

    /// The call as it is, by the kernel.
    #[inline(never)]
    unsafe fn by_kernel(&self) -> isize {
        let Self { word, operation, value, timeout, word2, value3 } = *self;
        // SAFETY: the caller's promise.
        unsafe {
            kernel::call(
                SYS_futex,
                [word, operation as usize, value as usize, timeout, word2, value3 as usize],
            )
        }
    }
}

/// # Safety
///
/// As futex(2).
#[inline(always)]
unsafe fn futex(call: &Call) -> isize {
    let operation = call.operation & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    if !call.is_of_fibers() {
        // SAFETY: the caller's promise.
        return unsafe { call.by_kernel() };
    }
    match operation {
        // SAFETY: the caller's promise.
        FUTEX_WAIT | FUTEX_WAIT_BITSET => unsafe { wait(call, operation == FUTEX_WAIT_BITSET) },
        // SAFETY: the caller's promise.
        FUTEX_WAKE => unsafe { wake(call.word, ALL, limit(call.value)) },
        // SAFETY: the caller's promise.
        _ => unsafe { rare(call, operation) },
    }
}

/// What std's locks and channels do not do.
///
/// # Safety
///
/// As futex(2).
#[cold]
#[inline(never)]
unsafe fn rare(call: &Call, operation: c_int) -> isize {
    match operation {
        // SAFETY: the caller's promise.
        FUTEX_WAKE_BITSET if call.value3 != 0 => unsafe { wake(call.word, call.value3, limit(call.value)) },
        // SAFETY: the caller's promise.
        FUTEX_REQUEUE => unsafe { requeue(call) },
        FUTEX_CMP_REQUEUE => {
            // SAFETY: the caller's promise: the word can be read.
            if unsafe { load(call.word) } != call.value3 { failed(EAGAIN) } else { unsafe { requeue(call) } }
        }
        // SAFETY: the caller's promise.
        FUTEX_WAKE_OP => unsafe { wake_op(call) },
        // SAFETY: the caller's promise.
        _ => unsafe { call.by_kernel() },
    }
}

/// How many a call is to wake: the kernel wakes one where it is asked for none.
fn limit(value: u32) -> usize {
    (value as c_int).max(1) as usize
}

/// The word at `address`.
///
/// # Safety
///
/// It can be read, and others access it by atomic operations only.
unsafe fn load(address: usize) -> u32 {
    // SAFETY: the caller's promise. SeqCst: the sleeper's look at the word, after it can be seen.
    unsafe { AtomicU32::from_ptr(address as *mut u32) }.load(Ordering::SeqCst)
}

/// In a frame of its own, which who wakes does not make.
///
/// # Safety
///
/// As futex(2).
#[inline(never)]
unsafe fn wait(call: &Call, has_bits: bool) -> isize {
    let Some(_within) = enter() else {
        let threads = threads_at(call.word);
        // Relaxed: a hint.
        threads.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        let result = unsafe { call.by_kernel() };
        threads.fetch_sub(1, Ordering::Relaxed);
        return result;
    };
    let bits = if has_bits { call.value3 } else { ALL };
    if bits == 0 {
        return failed(EINVAL);
    }
    // SAFETY: the caller's promise: null, or a time.
    let until = match unsafe { (call.timeout as *const timespec).as_ref() } {
        None => Until::Never,
        Some(time) if !until::is_valid(time) || time.tv_sec < 0 => return failed(EINVAL),
        Some(time) if has_bits => {
            let is_real = call.operation & FUTEX_CLOCK_REALTIME != 0;
            Until::Clock(if is_real { CLOCK_REALTIME } else { CLOCK_MONOTONIC }, *time)
        }
        Some(time) => Instant::now().checked_add(until::duration(time)).map_or(Until::Never, Until::Instant),
    };
    let is_overtaken = is_overtaken_at(call.word);
    loop {
        // SAFETY: the caller's promise: the word can be read.
        let stay = || unsafe { load(call.word) } == call.value;
        match until.sleep_or_handle_at(call.word, bits, is_overtaken, stay, || ()) {
            Slept::Not => return failed(EAGAIN),
            Slept::TimedOut => return failed(ETIMEDOUT),
            Slept::Notified => {
                WOKEN_AT.set(call.word);
                return 0;
            }
            // Whoever waits here looks again.
            Slept::Cancelled => return 0,
            Slept::Interrupted => return failed(EINTR),
            // With SA_RESTART the wait goes on.
            Slept::Handled => {}
        }
    }
}

thread_local! {
    /// The word at which the calling fiber was woken, if it has waited at no other and woken nobody since; else 0.
    static WOKEN_AT: Cell<usize> = const { Cell::new(0) };
    /// As which it has slept there again.
    static OVERTAKEN: Cell<Overtaken> = const { Cell::new(Overtaken::NOT) };
}

/// Whether the calling fiber is overtaken, which is about to sleep at this word. Who is woken for a lock of std's, and gets it, wakes somebody
/// when it releases that. So may one who takes what others send it and answers them, but one who does not pays a little, and seldom.
#[inline]
fn is_overtaken_at(word: usize) -> bool {
    if WOKEN_AT.get() == word {
        return sleeps_again();
    }
    OVERTAKEN.set(Overtaken::NOT);
    false
}

#[cold]
fn sleeps_again() -> bool {
    let mut overtaken = OVERTAKEN.get();
    let is_overtaken = overtaken.again();
    OVERTAKEN.set(if is_overtaken { Overtaken::NOT } else { overtaken });
    is_overtaken
}

/// How many plain threads sleep at addresses that share a place in this table.
static THREADS: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];

fn threads_at(address: usize) -> &'static AtomicU32 {
    &THREADS[(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % THREADS.len()]
}

/// Wakes up to `most` of those who sleep at `address` for one of `bits`, fibers and threads. Returns how many it were.
///
/// # Safety
///
/// None beyond futex(2)'s, which takes the address for a key.
unsafe fn wake(address: usize, bits: u32, most: usize) -> isize {
    WOKEN_AT.set(0);
    // It may be a lock that the caller has released.
    wake_fairly(address, || wake_both(address, bits, most)) as isize
}

/// [`wake`], within a hook.
fn wake_both(address: usize, bits: u32, most: usize) -> Found {
    /// Counts the calls that could have begun with either.
    static TURN: AtomicU32 = AtomicU32::new(0);
    // Relaxed: hints, both.
    let threads_first = most != c_int::MAX as usize
        && threads_at(address).load(Ordering::Relaxed) != 0
        && TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    if threads_first {
        // SAFETY: as this function's.
        let count = unsafe { wake_threads(address, bits, most) };
        let rest = most - count.min(most);
        let threads = Found { count, is_overtaken: false };
        return if rest == 0 { threads } else { threads.and(hook::wake_at(address, bits, rest)) };
    }
    let mut found = hook::wake_at(address, bits, most);
    let rest = most - found.count;
    if rest != 0 {
        // SAFETY: as this function's.
        found.count += unsafe { wake_threads(address, bits, rest) };
    }
    found
}

unsafe fn wake_threads(address: usize, bits: u32, most: usize) -> usize {
    let operation = FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG;
    // SAFETY: the address is a key.
    let woken = unsafe { kernel::call(SYS_futex, [address, operation as usize, most, 0, 0, bits as usize]) };
    woken.try_into().unwrap_or(0)
}

/// Wakes `value` sleepers, and moves the others to another address. The fibers among them are woken instead, as any sleeper may be.
unsafe fn requeue(call: &Call) -> isize {
    let _within = enter();
    let fibers = hook::wake_at(call.word, ALL, usize::MAX).count;
    // SAFETY: the caller's promise.
    let threads = unsafe { call.by_kernel() };
    if threads < 0 && fibers == 0 { threads } else { threads.max(0) + fibers as isize }
}

/// Changes the second word and wakes sleepers of the first, and if the old value compares of the second.
unsafe fn wake_op(call: &Call) -> isize {
    let code = call.value3;
    let mut argument = (code << 8) as i32 >> 20;
    if code & (libc::FUTEX_OP_OPARG_SHIFT as u32) << 28 != 0 {
        argument = 1_i32.wrapping_shl(argument as u32);
    }
    let (operation, comparison, compared) = (code >> 28 & 7, code >> 24 & 15, (code << 20) as i32 >> 20);
    if !call.word2.is_multiple_of(4) || call.word2 < 4096 || operation > 4 || comparison > 5 {
        // SAFETY: the caller's promise; the kernel refuses the call.
        return unsafe { call.by_kernel() };
    }
    // SAFETY: the caller's promise: the word is there, and changed by atomic operations only.
    let word2 = unsafe { AtomicU32::from_ptr(call.word2 as *mut u32) };
    let change = |old: u32| match operation as c_int {
        libc::FUTEX_OP_SET => argument as u32,
        libc::FUTEX_OP_ADD => old.wrapping_add(argument as u32),
        libc::FUTEX_OP_OR => old | argument as u32,
        libc::FUTEX_OP_ANDN => old & !argument as u32,
        _ => old ^ argument as u32,
    };
    let old =
        word2.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| Some(change(old))).unwrap_or(0) as i32;
    let is_met = match comparison as c_int {
        libc::FUTEX_OP_CMP_EQ => old == compared,
        libc::FUTEX_OP_CMP_NE => old != compared,
        libc::FUTEX_OP_CMP_LT => old < compared,
        libc::FUTEX_OP_CMP_LE => old <= compared,
        libc::FUTEX_OP_CMP_GT => old > compared,
        _ => old >= compared,
    };
    // SAFETY: as this function's.
    let mut woken = unsafe { wake(call.word, ALL, limit(call.value)) };
    if is_met {
        // SAFETY: as above.
        woken += unsafe { wake(call.word2, ALL, limit(call.timeout as u32)) };
    }
    woken
}
