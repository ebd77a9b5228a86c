//! What a process must have given back at its end: descriptors, threads, and the memory of stacks.
//!
//! Every test binary that links this crate takes stock before `main` and again at its exit. What is left over then is
//! named on standard error, and the process ends with [`STATUS`], so that cargo reports the binary although its tests
//! passed. A fiber that has not ended keeps its stack, and a stack keeps its mapping: the third count is theirs.
//!
//! A test that leaves something behind on purpose says so, with [`expect_runtime`] or [`expect_stacks`]; one whose fibers
//! have storage of their own, with [`expect_own_storage`].

#![expect(unsafe_code, reason = "is called before main and at the exit, and leaves by `_exit`")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::threads::has_own_storage;

/// The status of a process that has left something behind.
pub const STATUS: i32 = 97;

/// How long threads that are about to end may take for it, in milliseconds, unless this variable says otherwise: a test whose
/// child leaves something behind need not wait for it.
pub const PATIENCE: &str = "LEAK_PATIENCE_MS";
const DEFAULT_PATIENCE_MS: u64 = 60_000;

/// What tests have announced to leave behind. A matter of the process, as what it counts is.
static EXPECTED: Expected = Expected { workers: AtomicUsize::new(0), stacks: AtomicUsize::new(0) };

struct Expected {
    workers: AtomicUsize,
    stacks: AtomicUsize,
}

/// The stacks on which blocks of thread-local storage were tried, and from one of which those of all fibers are renewed. They stay.
const TEMPLATES: usize = 3;

/// Whether a runtime of this process has tried blocks.
static HAS_TEMPLATES: AtomicBool = AtomicBool::new(false);

/// Whether there is no look at the exit.
static IS_SETTLED: AtomicBool = AtomicBool::new(false);

/// Announces a runtime that will never end, with so many workers and perhaps a poller and a monitor.
pub fn expect_runtime(workers: usize) {
    EXPECTED.workers.fetch_add(workers + 2, SeqCst);
    // Each mapping has twice the stacks of the one before it.
    expect_stacks(10);
}

/// Announces mappings of stacks that will stay.
pub fn expect_stacks(count: usize) {
    EXPECTED.stacks.fetch_add(count, SeqCst);
}

/// Announces a runtime whose fibers have storage of their own.
pub fn expect_own_storage() {
    HAS_TEMPLATES.store(true, SeqCst);
}

/// The caller has looked itself, with [`left_since`]: nobody looks again at the exit.
pub fn settle() {
    IS_SETTLED.store(true, SeqCst);
}

/// What a process has.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// What each open descriptor is.
    descriptors: BTreeMap<i32, String>,
    /// The names of the threads of runtimes.
    threads: Vec<String>,
    /// The mappings of stacks.
    stacks: Vec<String>,
}

impl Stock {
    /// Takes stock of the calling process.
    pub fn take() -> Self {
        Self { descriptors: descriptors(), threads: threads(), stacks: stacks() }
    }

    /// What is there beyond `before`, in words. `kept` are the descriptors that stay with the process, each once.
    fn beyond(&self, before: &Self, kept: &[&str]) -> Vec<String> {
        let workers = EXPECTED.workers.load(SeqCst);
        let mut kept = kept.to_vec();
        kept.extend(
            ["anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[timerfd]"].repeat(workers),
        );
        // A runtime that never ends has as many spare threads as it has needed, each with a descriptor.
        let is_spare = |name: &&String| workers > 0 && name.contains("-spare");
        let spares = self.threads.iter().filter(is_spare).count();
        kept.extend(["anon_inode:[eventfd]"].repeat(spares));
        // ThreadSanitizer has a program of its own tell the names in a report, also in one that is suppressed, and talks to it by pipes.
        kept.extend(if cfg!(abaca_tsan) { &["pipe:"; 2][..] } else { &[] });
        // std opens the standard streams of a program that was started without.
        let is_new = |(fd, what): &(&i32, &String)| **fd > 2 && before.descriptors.get(fd) != Some(what);
        let mut found: Vec<_> = self
            .descriptors
            .iter()
            .filter(is_new)
            .filter(|(_, what)| {
                let place = kept.iter().position(|kept| what.starts_with(kept));
                place.map(|place| kept.swap_remove(place)).is_none()
            })
            .map(|(fd, what)| format!("descriptor {fd}: {what}"))
            .collect();
        let threads = self.threads.len().saturating_sub(before.threads.len() + spares);
        if threads > workers {
            found.push(format!("{threads} threads, of {:?}", self.threads));
        }
        // Neighbours in the address space are one mapping to the kernel.
        let mut unseen = (1_usize << OWN_POOLS.len()) - 1;
        let is_new = |range: &&String| !before.stacks.contains(range);
        let stacks = self.stacks.iter().filter(is_new).filter(|range| {
            let some =
                (1..=unseen).find(|some| some & !unseen == 0 && bytes(range) == first_slabs_bytes(*some));
            unseen &= !some.unwrap_or(0);
            some.is_none()
        });
        let stacks = stacks.count();
        let has_templates = HAS_TEMPLATES.load(SeqCst) || has_own_storage();
        if stacks > EXPECTED.stacks.load(SeqCst) + if has_templates { TEMPLATES } else { 0 } {
            found.push(format!("{stacks} mappings of stacks, of {:?}", self.stacks));
        }
        found
    }
}

/// What is left behind since `before`, once all that was about to go has gone. `kept` are the beginnings of what
/// descriptors stay with the process, each good for one of them.
pub fn left_since(before: &Stock, kept: &[&str]) -> Vec<String> {
    let patience = std::env::var(PATIENCE).ok().and_then(|millis| millis.parse().ok());
    let deadline = Instant::now() + Duration::from_millis(patience.unwrap_or(DEFAULT_PATIENCE_MS));
    loop {
        let found = Stock::take().beyond(before, kept);
        if found.is_empty() || Instant::now() >= deadline {
            return found;
        }
        // Threads end some time after what they have done has been seen.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The sizes of stacks in the pools that live as long as the process, each mapped at its first use: those of coroutines, of panics
/// that are carried from thread to thread, and of unwindings that foreign code may end.
const OWN_POOLS: &[usize] = &[abaca_asm::stack::DEFAULT_STACK_BYTES, 256 * 1024, 64 * 1024];

/// How long the first mappings of `some` of those pools are, a bit for each: 64 stacks, each with a guard of 64 KiB, an odd
/// number of pages apart.
fn first_slabs_bytes(some: usize) -> usize {
    const PAGE: usize = 4096;
    let is_one = |place: &usize| some >> place & 1 == 1;
    let slab_bytes = |place: usize| 64 * (((OWN_POOLS[place] + 64 * 1024) / PAGE) | 1) * PAGE;
    (0..OWN_POOLS.len()).filter(is_one).map(slab_bytes).sum()
}

/// The length of a range as /proc writes it.
fn bytes(range: &str) -> usize {
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-').unwrap_or_default();
    address(end).zip(address(start)).map_or(0, |(end, start)| end - start)
}

fn descriptors() -> BTreeMap<i32, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted").flatten();
    let numbers: Vec<_> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The one with which the folder was read is gone by now.
    let what =
        |fd| Some((fd, fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.to_string_lossy().into_owned()));
    numbers.into_iter().filter_map(what).collect()
}

/// The id of the calling thread.
fn own_thread() -> i32 {
    // SAFETY: gettid(2) has no preconditions.
    unsafe { libc::gettid() }
}

/// The threads of runtimes, as `Builder::name` calls them, as far as the kernel keeps their names. Those of other libraries and
/// of tests may outlive them.
fn threads() -> Vec<String> {
    let is_ours = |name: &String| {
        name.starts_with("abaca") || ["-wor", "-mon", "-pol", "-blo"].iter().any(|part| name.contains(part))
    };
    let own = own_thread().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted").flatten();
    let others = tasks.filter(|task| task.file_name().to_str() != Some(&own));
    // One that has ended meanwhile has no name.
    others.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).filter(is_ours).collect()
}

/// Mappings that never get huge pages (`nh`) and that no memory is set aside for (`nr`): what `abaca_asm` asks for when it
/// maps stacks. The C library's stacks of threads have memory set aside, and its arenas may get huge pages.
fn stacks() -> Vec<String> {
    // ThreadSanitizer's own memory is of the same kind.
    if cfg!(abaca_tsan) {
        return Vec::new();
    }
    let maps = fs::read_to_string("/proc/self/smaps").expect("/proc is mounted");
    let has_both = |flags: &str| ["nh", "nr"].iter().all(|flag| flags.split(' ').any(|other| other == *flag));
    let mut range = "";
    let mut found = Vec::new();
    for line in maps.lines() {
        match line.split_once(':') {
            Some(("VmFlags", flags)) if has_both(flags) => found.push(range.to_owned()),
            Some((range_and_rest, _)) if range_and_rest.contains('-') => {
                range = line.split(' ').next().unwrap_or(line);
            }
            _ => {}
        }
    }
    found
}

/// What there was before `main`.
static BEFORE: OnceLock<Stock> = OnceLock::new();

/// The C library calls what stands in this section before `main`, in every binary that links this crate.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn begin() {
        BEFORE.get_or_init(Stock::take);
        // SAFETY: the function is static and does not unwind. Registered first, it is called last.
        unsafe { libc::atexit(end) };
    }
    begin
};

extern "C" fn end() {
    // Who ends the process from a thread or a fiber leaves all that runs to its fate.
    if own_thread().cast_unsigned() != std::process::id() {
        return;
    }
    // The eventfd that signals write to lives as long as the process.
    let look = |before| left_since(before, &["anon_inode:[eventfd]"]);
    let Some(found) = BEFORE.get().filter(|_| !IS_SETTLED.load(SeqCst)).map(look) else { return };
    if !found.is_empty() {
        eprintln!("left behind at the end of the process:\n  {}", found.join("\n  "));
        // SAFETY: leaving has no preconditions; standard error has no buffer.
        unsafe { libc::_exit(STATUS) };
    }
}
