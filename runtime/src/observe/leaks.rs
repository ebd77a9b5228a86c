//! The report of leaks: fibers that nobody can wake any more, and places where ever more fibers wait.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::collect;
use super::dump::{Dump, FiberDump, Wait, count, elsewhere};
use super::leak::{self, NotSearched};
use super::text;
use crate::os::fork::PerProcess;
use crate::os::service;

/// In how many looks in a row a site must have grown.
const GROWING_LOOKS: u32 = 3;

/// How many fibers must wait at a site before its growth counts.
const MANY: usize = 16;

/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Fibers that wait in vain, and places where ever more wait; made by [`leaks`].
#[derive(Clone, Debug, Default)]
pub struct Leaks {
    fibers: Vec<FiberDump>,
    growing: Vec<Growth>,
    not_searched: Option<NotSearched>,
}

/// A place where ever more fibers wait; see [`Leaks::growing`].
#[derive(Clone, Debug)]
pub struct Growth {
    spawn_site: &'static Location<'static>,
    reason: &'static str,
    fibers: usize,
    before: usize,
    sample: FiberDump,
}

impl Growth {
    /// Where the fibers were spawned.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.spawn_site
    }

    /// What they wait for, in a word or two; see [`Wait::reason`].
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// How many there are now.
    pub fn fibers(&self) -> usize {
        self.fibers
    }

    /// How many there were when the growth began.
    pub fn before(&self) -> usize {
        self.before
    }

    /// One of them.
    pub fn sample(&self) -> &FiberDump {
        &self.sample
    }
}

impl Leaks {
    /// The fibers that nobody can wake any more, but by a cancellation.
    pub fn fibers(&self) -> &[FiberDump] {
        &self.fibers
    }

    /// The places where more fibers waited at each of the last three looks than at the one before, and 16 at the least. That need not
    /// be a leak: it is also what a server looks like whose load grows.
    pub fn growing(&self) -> &[Growth] {
        &self.growing
    }

    /// Why fibers that nobody can wake were not searched for, in some words. `None` if they were; then [`fibers`](Self::fibers) has
    /// those that there are.
    pub fn not_searched(&self) -> Option<&'static str> {
        self.not_searched.map(NotSearched::text)
    }

    /// Whether nothing was found. See also [`not_searched`](Self::not_searched).
    pub fn is_empty(&self) -> bool {
        self.fibers.is_empty() && self.growing.is_empty()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.fibers.is_empty() {
            writeln!(f, "abaca: {} that nobody can wake any more", count(self.fibers.len(), "fiber"))?;
            text::write_groups(f, &self.fibers)?;
        }
        if let Some(why) = self.not_searched() {
            writeln!(f, "abaca: fibers that nobody can wake any more were NOT SEARCHED for: {why}")?;
        }
        for growth in &self.growing {
            let Growth { spawn_site, reason, fibers, before, sample } = growth;
            writeln!(f, "abaca: {fibers} fibers [{reason}] spawned at {spawn_site}, {before} before")?;
            text::write_groups(f, std::slice::from_ref(sample))?;
        }
        Ok(())
    }
}

/// Looks for leaked fibers in the process: those that wait for a message on a channel (or on one of several, in a `select`), on a oneshot,
/// or for a wait group, whose other ends are all held by fibers that wait so themselves; for a lock that such a fiber holds; for the
/// end of one; or for a notification, a condition variable, a semaphore, a barrier, the readers of a lock, to which only such fibers have a
/// way. Of these nobody takes notice any more, and what they own is never dropped.
///
/// All memory of the process is searched for the ends of the channels, and for addresses of the others. So what is found is leaked, as far as
/// the program has no end and no address in a form that is none (in the kernel alone, or altered); but a leak may be missed, if a word that is
/// left over somewhere looks like an end. What has no ends of its own is judged if it lies on the stack of a fiber, or on the heap where the
/// program's allocator is glibc's; there an address of anything in its block counts. If the block begins with the counts of an
/// `Arc`, all handles that these tell of must have been found.
///
/// Each call also counts the fibers by spawn site and reason, and compares with the calls before; see [`Leaks::growing`].
///
/// It takes the time to copy all memory that the program has touched, on a thread of its own; what is only reserved takes none. After 20
/// seconds, some ten gigabytes and more, it gives up: [`leaks_within`] sets another limit, and [`Leaks::not_searched`] tells. As for the
/// rest it is a [`dump`](crate::dump), and may be called from anywhere.
///
/// ```
/// use abaca::channel::bounded;
///
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| {
///     let (sender, receiver) = bounded::<u32>(1);
///     sender.send(1).unwrap();
///     // The sender is still here, so this never ends.
///     receiver.iter().sum::<u32>()
/// });
/// abaca::yield_now();
/// println!("{}", abaca::observe::leaks());
/// fiber.cancel();
/// assert!(fiber.join().is_err());
/// # });
/// ```
#[must_use]
pub fn leaks() -> Leaks {
    leaks_within(LIMIT)
}

/// [`leaks`], with a search of memory that gives up after `limit`.
///
/// ```
/// # use std::time::Duration;
/// # abaca::run(|| {
/// let (sender, receiver) = abaca::channel::bounded::<u32>(1);
/// let fiber = abaca::spawn(move || receiver.recv());
/// while !abaca::dump().fibers().iter().any(|fiber| fiber.wait().is_some_and(|wait| wait.reason() == "channel receive")) {
///     abaca::yield_now();
/// }
/// let leaks = abaca::observe::leaks_within(Duration::ZERO);
/// assert!(leaks.fibers().is_empty() && leaks.not_searched().is_some());
/// sender.send(1).unwrap();
/// fiber.join().unwrap().unwrap();
/// # });
/// ```
pub fn leaks_within(limit: Duration) -> Leaks {
    // On a thread of its own in any case, whose stack is left out of the search.
    if crate::park::on_fiber() {
        return elsewhere(move |_| find(limit));
    }
    let found = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&found);
    let look = move || *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(find(limit));
    // One of the kernel's, also where threads are fibers. What it has found is there when it has ended.
    let _ = service::start("abaca-leaks".into(), look).map(JoinHandle::join);
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    found.unwrap_or(Leaks { not_searched: Some(NotSearched::Thread), ..Leaks::default() })
}

fn find(limit: Duration) -> Leaks {
    let mut collection = collect::collect();
    collection.sort();
    // A limit beyond all times is none that anybody reaches.
    let until = Instant::now() + limit.min(Duration::from_secs(1 << 32));
    let (leaked, not_searched) = match leak::confirmed(&collection, until) {
        Ok(leaked) => (leaked, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let dump = Dump::of(collection, Vec::new(), None);
    let growing = growth(&dump);
    // In the same order: a fiber that was read from outside need not have an id.
    let mut is_leaked = vec![false; dump.fibers.len()];
    leaked.into_iter().for_each(|index| is_leaked[index] = true);
    let fibers =
        dump.fibers.into_iter().zip(is_leaked).filter_map(|(fiber, is_leaked)| is_leaked.then_some(fiber));
    Leaks { fibers: fibers.collect(), growing, not_searched }
}

type Site = (&'static Location<'static>, &'static str);

/// What the last look saw of a site.
#[derive(Clone, Copy, Debug)]
struct Seen {
    fibers: usize,
    /// For how many looks in a row there were more than before.
    looks: u32,
    /// How many there were before that.
    before: usize,
}

static SITES: PerProcess<HashMap<Site, Seen>> = PerProcess::new(HashMap::new);

fn growth(dump: &Dump) -> Vec<Growth> {
    let mut counts: HashMap<Site, (usize, &FiberDump)> = HashMap::new();
    for fiber in dump.fibers() {
        if let (Some(site), Some(wait)) = (fiber.spawn_site, fiber.wait().map(Wait::reason)) {
            counts.entry((site, wait)).or_insert((0, fiber)).0 += 1;
        }
    }
    let mut sites = SITES.lock();
    let earlier = std::mem::take(&mut *sites);
    let mut growing = Vec::new();
    let mut now = HashMap::new();
    for (site, (fibers, sample)) in counts {
        let (looks, before) = match earlier.get(&site) {
            Some(last) if fibers > last.fibers => (last.looks + 1, last.before),
            _ => (0, fibers),
        };
        now.insert(site, Seen { fibers, looks, before });
        if looks >= GROWING_LOOKS && fibers >= MANY {
            let (spawn_site, reason) = site;
            growing.push(Growth { spawn_site, reason, fibers, before, sample: sample.clone() });
        }
    }
    *sites = now;
    growing.sort_by_key(|growth| std::cmp::Reverse(growth.fibers));
    growing
}
