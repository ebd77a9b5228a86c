//! What still blocks: the calls in which a fiber has kept its OS thread in the kernel while others waited for the worker.
//!
//! The monitor notices such a thread when its worker leaves it. There only numbers are noted: what is needed to name them takes locks of
//! libc's, which the stuck fiber may hold.

#![expect(unsafe_code, reason = "reads the stack of a thread that is stuck, and names addresses")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::fmt;
use std::fs;
use std::mem::MaybeUninit;

use abaca::hook::PerProcess;

use crate::kernel::kernel;

/// How many words of a stack are looked through for return addresses.
const WORDS: usize = 256;

/// How many functions a call's backtrace has at most.
const FRAMES: usize = 16;

/// How many different calls are kept.
const CALLS: usize = 256;

/// A place in which threads were stuck: the number of the system call, and the address from which it was made.
type Place = (i64, usize);

struct Seen {
    count: u64,
    /// Words of the stack, as they were the first time.
    stack: Vec<usize>,
}

static SEEN: PerProcess<BTreeMap<Place, Seen>> = PerProcess::new(BTreeMap::new);

/// Has the monitor tell of stuck threads.
pub(crate) fn begin() {
    abaca::hook::observe_stuck_threads(note);
}

/// Notes the call that a thread is in, if it is in one.
fn note(thread: i32) {
    let Ok(text) = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else { return };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (Some(Ok(number)), [.., sp, pc]) = (words.first().map(|word| word.parse::<i64>()), &*words) else {
        return;
    };
    let address = |word: &str| usize::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let (Some(sp), Some(pc)) = (address(sp), address(pc)) else { return };
    if number < 0 {
        return;
    }
    let mut seen = SEEN.lock();
    if let Some(known) = seen.get_mut(&(number, pc)) {
        known.count += 1;
    } else if seen.len() < CALLS {
        seen.insert((number, pc), Seen { count: 1, stack: stack_of(sp) });
    }
}

/// The words from `sp` on, as far as there are any. The thread may go on meanwhile: then they are no longer what they were.
fn stack_of(sp: usize) -> Vec<usize> {
    let mut words = vec![0_usize; WORDS];
    let local = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(words.as_slice()) };
    let remote = libc::iovec { iov_base: sp as *mut c_void, iov_len: local.iov_len };
    // SAFETY: the kernel copies what is mapped.
    let read = unsafe {
        let this = kernel!(libc::SYS_getpid);
        kernel!(libc::SYS_process_vm_readv, this, &raw const local, 1, &raw const remote, 1, 0)
    };
    words.truncate(usize::try_from(read).unwrap_or(0) / size_of::<usize>());
    words
}

/// A call in which fibers have kept an OS thread while others waited; see [`report`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingCall {
    /// The number of the system call.
    pub system_call: i64,
    /// Its name, if it is one in which programs often wait.
    pub name: Option<&'static str>,
    /// The function that has made it, if its library says its name.
    pub symbol: Option<String>,
    /// The file of the library, or of the program.
    pub library: Option<String>,
    /// Functions found on the stack the first time, innermost first, with their files: a hint, since not each of them need still be active.
    pub backtrace: Vec<String>,
    /// How often a worker has left a thread that was in this call.
    pub count: u64,
}

/// The calls that have blocked OS threads since [`install`](crate::install()), those that did so most often first: where a fiber has waited in
/// the kernel, and not by a function that parks it, for longer than about a millisecond, while others waited for its worker.
///
/// Such a call costs a thread, not the others' time. What is listed here often is worth a hook, or
/// [`blocking::run`](abaca::blocking::run).
///
/// ```no_run
/// for call in abaca_transparent::report() {
///     println!("{call}");
/// }
/// ```
#[must_use]
pub fn report() -> Vec<BlockingCall> {
    let seen = SEEN.lock();
    let raw: Vec<_> = seen.iter().map(|(place, seen)| (*place, seen.count, seen.stack.clone())).collect();
    drop(seen);
    let mut calls: Vec<BlockingCall> = raw
        .into_iter()
        .map(|((system_call, pc), count, stack)| {
            let (symbol, library) = function_at(pc).unwrap_or_default();
            let frames = stack.into_iter().filter_map(function_at);
            let described =
                frames.filter_map(|(symbol, library)| Some(format!("{} ({})", symbol?, library?)));
            let mut backtrace: Vec<String> = described.collect();
            backtrace.dedup();
            backtrace.truncate(FRAMES);
            let name = abaca::hook::name_of_system_call(system_call);
            BlockingCall { system_call, name, symbol, library, backtrace, count }
        })
        .collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.count));
    calls
}

/// The function that an address is in, and the file; `None` if it is in none.
fn function_at(address: usize) -> Option<(Option<String>, Option<String>)> {
    let mut about = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr looks the address up, and fills the structure in.
    if address == 0 || unsafe { libc::dladdr(address as *const c_void, about.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: as above; its names are null, or C strings of loaded libraries.
    let text = |name: *const std::ffi::c_char| {
        // SAFETY: as above.
        unsafe { name.as_ref() }.map(|name| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    };
    // SAFETY: as above.
    let about = unsafe { about.assume_init() };
    Some((text(about.dli_sname), text(about.dli_fname)))
}

impl fmt::Display for BlockingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = self.symbol.as_deref().unwrap_or("?");
        let library = self.library.as_deref().unwrap_or("?");
        match self.name {
            Some(name) => write!(f, "{}x in {name}(2)", self.count)?,
            None => write!(f, "{}x in system call {}", self.count, self.system_call)?,
        }
        write!(f, " by {symbol} ({library})")?;
        self.backtrace.iter().try_for_each(|function| write!(f, "\n    {function}"))
    }
}
