//! A dump: what every fiber of the process does, at one time or nearly so.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::collect::{self, Activity, Collection, Facts};
use super::cycle::{self, Cycle};
use super::ends::Ends;
use super::object::{Object, name_of_wait};
use super::owners::Owners;
use super::symbols::{self, Frame};
use super::text;
use crate::cell::{FiberId, Reason, is_site_of_threads};
use crate::os::hidden::Hidden;
use crate::os::{clock, descriptor_name};
use crate::park::{self, Latch};
use crate::{fiber, os};

/// A sleep that ends no earlier is shown as one that does not end: a century.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What every fiber of the process does; made by [`dump`]. Its `Display` form is text for people, in which fibers with equal stacks
/// are one group; `{:#}` shows the runtime's own frames as well. [`to_json`](Dump::to_json) is for programs.
#[derive(Clone, Debug)]
pub struct Dump {
    pub(super) fibers: Vec<FiberDump>,
    pub(super) cycles: Vec<Cycle>,
    pub(super) workers: Vec<usize>,
    pub(super) unstarted: usize,
    /// Runtime, worker, and whether its fibers could be read.
    pub(super) away: Vec<(usize, usize, bool)>,
}

/// One fiber in a [`Dump`].
#[derive(Clone, Debug)]
pub struct FiberDump {
    pub(super) id: Option<FiberId>,
    pub(super) name: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) state: FiberState,
    pub(super) runtime: usize,
    pub(super) worker: usize,
    pub(super) wait: Option<Wait>,
    pub(super) spawn_site: Option<&'static Location<'static>>,
    /// Of a thread that is a fiber.
    pub(super) routine: Option<String>,
    pub(super) stack_used: Option<usize>,
    pub(super) stack_bytes: Option<usize>,
    pub(super) frames: Arc<[Frame]>,
    /// Equal for fibers with equal stacks.
    pub(super) stack: usize,
}

/// What a fiber does; see [`FiberDump::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FiberState {
    /// It runs, on its worker or elsewhere.
    Running,
    /// It can go on as soon as its worker comes to it.
    Ready,
    /// It waits; see [`FiberDump::wait`].
    Parked,
}

/// The wait of a parked fiber.
#[derive(Clone, Debug)]
pub struct Wait {
    pub(super) reason: &'static str,
    pub(super) age: Duration,
    pub(super) object: Option<String>,
    /// Hidden, so that a search of memory for leaks does not find it in a dump.
    pub(super) address: Option<Hidden>,
    pub(super) holder: Option<Holder>,
    pub(super) others: Vec<FiberId>,
}

/// Who holds what a fiber waits for; see [`Wait::holder`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// This fiber.
    Fiber(FiberId),
    /// A plain thread, or code inside of a coroutine.
    Other,
}

impl Wait {
    /// The reason, in a word or two: `mutex`, `channel receive`, `join`, `read`, `sleep` ...
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// How long the fiber has waited: a few milliseconds more or less, since a fiber that parks does not read the clock. Its worker
    /// does, once in a while.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// What is waited for, in words: a lock and its address, a channel and the numbers of its ends, a descriptor and its addresses,
    /// the time that is left, the fiber that is joined.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The address of what is waited for, by which waits for the same lock or channel are told from others.
    pub fn address(&self) -> Option<usize> {
        self.address.map(Hidden::address)
    }

    /// Who holds it: of a mutex, of a reader-writer lock that is held to write, of a `Once` whose closure runs; or the fiber that is
    /// joined. `None` if nobody does, or it is not known.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// The other fibers that may have an end of the channel that is waited for, or of one of those of a `select`, at most 16 of each: those on
    /// whose stacks its address is. One that has its end on the heap is missing, and the address may be left over from an end that has moved
    /// on: [`leaks`](fn@super::leaks) searches thoroughly. So it is for a oneshot channel and a wait group.
    pub fn others(&self) -> &[FiberId] {
        &self.others
    }
}

impl FiberDump {
    /// The fiber's id. `None` only if its worker did not come to its hub, and the fiber has no name and no handle.
    pub fn id(&self) -> Option<FiberId> {
        self.id
    }

    /// The fiber's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The fiber's labels; see [`set_label`](super::set_label).
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// What the fiber does.
    pub fn state(&self) -> FiberState {
        self.state
    }

    /// The runtime, by its place among those of the process: 0 is the oldest.
    pub fn runtime(&self) -> usize {
        self.runtime
    }

    /// The index of the worker where the fiber lives; of a fiber that roams, where it last was.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The wait of a parked fiber.
    pub fn wait(&self) -> Option<&Wait> {
        self.wait.as_ref()
    }

    /// Where the fiber was spawned. `None` if its worker moved while it was read from outside. Of a thread that is a fiber it is a place in the
    /// runtime: see [`routine`](Self::routine).
    pub fn spawn_site(&self) -> Option<&'static Location<'static>> {
        self.spawn_site
    }

    /// The function in which a thread that is a fiber has begun: the closure that std was given, or the routine of `pthread_create`. `None` of other
    /// fibers, of one whose [`frames`](Self::frames) are not known, and where the program has no symbols.
    pub fn routine(&self) -> Option<&str> {
        self.routine.as_deref()
    }

    /// How many bytes of its stack are in use; `None` for a fiber that runs.
    pub fn stack_used(&self) -> Option<usize> {
        self.stack_used
    }

    /// The usable bytes of its stack.
    pub fn stack_bytes(&self) -> Option<usize> {
        self.stack_bytes
    }

    /// The frames of its stack, innermost first. Empty without the feature `backtrace`, on architectures where the switch is
    /// corosensei's, and for a fiber that runs where nobody could look.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

/// Looks at every fiber of the process, of all runtimes, while the program runs on.
///
/// Each worker shows its fibers itself, in steps of a millisecond, between which others run. A worker that is busy with one fiber
/// for more than 50 ms is read from outside, without disturbing it; so is the fiber that runs there, with its stack: as the kernel
/// tells it if it is in a system call, else by a signal, if its thread computes. (Names and labels are then cut off after 256 bytes, and
/// there are at most 64 labels.) Fibers that have not started are only counted.
///
/// It may be called from a fiber or a plain thread, by several at once (one after the other is served), during a shutdown, and
/// without a runtime. The calling fiber waits meanwhile, and shows as running; it cannot be cancelled there.
///
/// `examples/dump_many.rs` measures it. The first dump of a program also reads its debug information, which takes longer.
///
/// ```
/// # abaca::run(|| {
/// let lock = std::sync::Arc::new(abaca::sync::Mutex::new(()));
/// let held = lock.lock().unwrap();
/// let waiting = abaca::Builder::new().name("late".into()).spawn({
///     let lock = lock.clone();
///     move || drop(lock.lock().unwrap())
/// });
/// while abaca::observe::parked() != [("mutex", 1)] {
///     abaca::yield_now();
/// }
/// let dump = abaca::dump();
/// let late = dump.fibers().iter().find(|fiber| fiber.name() == Some("late")).unwrap();
/// assert_eq!(late.wait().unwrap().reason(), "mutex");
/// let holder = abaca::observe::Holder::Fiber(abaca::current().id());
/// assert_eq!(late.wait().unwrap().holder(), Some(&holder));
/// println!("{dump}");
/// drop(held);
/// waiting.unwrap().join().unwrap();
/// # });
/// ```
#[must_use]
pub fn dump() -> Dump {
    elsewhere(Dump::take)
}

/// Runs `look` on a plain thread, for which a fiber waits.
pub(super) fn elsewhere<T: Send + 'static>(
    look: impl Fn(Option<FiberId>) -> T + Clone + Send + 'static,
) -> T {
    if !park::on_fiber() {
        return look(None);
    }
    let caller = fiber::current().id();
    let shared = Arc::new((std::sync::Mutex::new(None), Latch::new(1)));
    let (theirs, looks) = (Arc::clone(&shared), look.clone());
    let thread = os::thread::start("abaca-dump".into(), move || {
        let found = looks(Some(caller));
        *theirs.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(found);
        theirs.1.count_down();
    });
    if thread.is_err() {
        // The caller's worker is then read from outside, by itself.
        return look(Some(caller));
    }
    park::shield(|| shared.1.wait_to_end(Reason::Blocking, || ()));
    let found = shared.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    found.expect("the thread has left what it found")
}

impl Dump {
    pub(super) fn take(caller: Option<FiberId>) -> Self {
        let mut collection = collect::collect();
        collection.sort();
        let cycles = cycle::confirmed(&collection);
        Self::of(collection, cycles, caller)
    }

    /// Of fibers that are in order.
    pub(super) fn of(collection: Collection, cycles: Vec<Cycle>, caller: Option<FiberId>) -> Self {
        let frames: Vec<Arc<[Frame]>> =
            symbols::resolve(&collection.stacks).into_iter().map(Into::into).collect();
        let owners = Owners::of(&collection.fibers);
        let ends = Ends::of(&collection.fibers);
        let now = (clock::ticks(), Instant::now());
        let mut names = HashMap::new();
        let describe = |facts: &Facts| {
            let is_caller = caller.is_some() && facts.id == caller;
            let state = match facts.activity {
                Activity::Parked if !is_caller => FiberState::Parked,
                Activity::Ready => FiberState::Ready,
                _ => FiberState::Running,
            };
            let used = facts.stack.zip(facts.stack_pointer);
            FiberDump {
                id: facts.id,
                name: facts.name.clone(),
                labels: facts.labels.clone(),
                state,
                runtime: facts.runtime,
                worker: facts.worker,
                wait: (state == FiberState::Parked)
                    .then(|| wait_of(facts, (&owners, &ends), now, &mut names)),
                spawn_site: facts.spawn_site,
                routine: is_thread(facts).then(|| text::routine(&frames[facts.frames])).flatten(),
                // A fiber inside of a coroutine is suspended on another stack.
                stack_used: used
                    .map(|((bottom, top), sp)| (bottom, top, sp.address()))
                    .and_then(|(bottom, top, sp)| (bottom..=top).contains(&sp).then(|| top - sp)),
                stack_bytes: facts.stack.map(|(bottom, top)| top - bottom),
                frames: Arc::clone(&frames[facts.frames]),
                stack: facts.frames,
            }
        };
        let fibers = collection.fibers.iter().map(describe).collect();
        let Collection { workers, away, unstarted, .. } = collection;
        Self { fibers, cycles, workers, unstarted, away }
    }

    /// All started fibers, in the order of their runtimes and ids.
    pub fn fibers(&self) -> &[FiberDump] {
        &self.fibers
    }

    /// The fibers that wait for each other in a circle, as [`check`](super::check) finds them.
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }

    /// How many fibers have not started. They have neither a stack nor a worker.
    pub fn unstarted(&self) -> usize {
        self.unstarted
    }
}

/// Whether the fiber is a thread to the program.
pub(super) fn is_thread(facts: &Facts) -> bool {
    facts.spawn_site.is_some_and(is_site_of_threads)
}

/// How many channels of a select, or fibers of a scope, are listed.
const MOST_LISTED: usize = 8;

fn wait_of(
    facts: &Facts,
    (owners, ends): (&Owners, &Ends),
    (ticks, now): (u64, Instant),
    names: &mut HashMap<i32, String>,
) -> Wait {
    let (object, address) = match &facts.object {
        Object::None => (None, None),
        Object::Address(address) | Object::Lock { address, .. } | Object::OfThreads { address, .. } => {
            (Some(format!("{address:#x}")), Some(*address))
        }
        Object::RwLock { address, readers: 0, .. } => (Some(format!("{address:#x}")), Some(*address)),
        Object::RwLock { address, readers, .. } => {
            (Some(format!("{address:#x}, held by {}", count(*readers, "reader"))), Some(*address))
        }
        Object::Channel { address, senders, receivers, .. } => {
            let ends = format!("{}, {}", count(*senders, "sender"), count(*receivers, "receiver"));
            (Some(format!("{address:#x} with {ends}")), Some(Hidden::new(*address)))
        }
        Object::Channels(channels) => {
            let of = |&[address, senders, receivers, _]: &[usize; 4]| {
                let ends = format!("{}, {}", count(senders, "sender"), count(receivers, "receiver"));
                format!("{address:#x} with {ends}")
            };
            let all: Vec<_> = channels.iter().take(MOST_LISTED).map(of).collect();
            let more = if channels.len() > MOST_LISTED { " or .." } else { "" };
            (Some(all.join(" or ") + more), None)
        }
        Object::Handles { address, count: members, .. } => {
            let members = members.map(|members| format!(", {} left", count(members, "member")));
            (Some(format!("{:#x}{}", address & !1, members.unwrap_or_default())), Some(Hidden::new(*address)))
        }
        Object::Fibers { address, fibers } => {
            let ids = owners.needed(&facts.object);
            let listed: Vec<_> = ids.iter().take(MOST_LISTED).map(|id| id.number().to_string()).collect();
            let more = if fibers.len() > listed.len() { ", .." } else { "" };
            let text = format!("{}: {}{more}", count(fibers.len(), "running fiber"), listed.join(", "));
            (Some(text), Some(*address))
        }
        Object::Fiber(header, id) => {
            let id = owners.id_of(*header, *id);
            let text =
                id.map_or("a fiber that has not started".into(), |id| format!("fiber {}", id.number()));
            (Some(text), Some(Hidden::new(*header)))
        }
        Object::Job(name, has_begun) => {
            let state = if *has_begun { "which has begun" } else { "which no thread has taken yet" };
            (Some(format!("a job of the pool, {name}, {state}")), None)
        }
        Object::Descriptor(fd) => {
            let name = names.entry(*fd).or_insert_with(|| descriptor_name::of(*fd));
            (Some(format!("descriptor {fd}, {name}")), None)
        }
        Object::Time(at) => {
            let left = at.saturating_duration_since(now);
            (Some(if left < FOR_EVER { format!("due in {left:.1?}") } else { "due never".into() }), None)
        }
    };
    Wait {
        reason: name_of_wait(facts.reason, &facts.object),
        age: clock::duration_of(facts.since.ticks_until(ticks)),
        object,
        address,
        holder: owners.holder(&facts.object),
        others: ends.others(facts),
    }
}

/// `2 senders`, `1 sender`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
