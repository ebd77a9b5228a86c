//! Cycles: fibers of which each waits for what the next one holds, or for its end.
//!
//! An edge is sound: a mutex, a writer's lock and a `Once` are let go only by the fiber that holds them (their guards do not leave
//! it), and a fiber that is joined, or is in a scope whose end is waited for, must end by itself. So a cycle is found by following the
//! edges. Who has a permit, reads, or will notify is not known: from a wait for that no edge goes out. Fibers are not looked at in one moment, so what was found is looked at again, and counts only if all its fibers are
//! still in the same wait. A wait that a deadline ends is no part of a cycle.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::collect::{self, Activity, Collection, Facts};
use super::dump::is_thread;
use super::ends::Ends;
use super::object::{Object, name_of, name_of_wait};
use super::owners::Owners;
use super::{symbols, text};
use crate::cell::{FiberId, Reason};
use crate::os::hidden::Hidden;
use crate::os::plain::Plain;

/// The time between two looks. No lock is taken and let go for so long without its owner having run.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Fibers that wait for each other in a circle: none of them goes on unless one is cancelled. See [`check`](super::check).
///
/// Its `Display` form is a sentence for each fiber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    id: FiberId,
    name: Option<String>,
    reason: &'static str,
    address: Hidden,
    /// Where it was spawned, or what a thread has begun in.
    origin: String,
}

impl Cycle {
    /// The fibers. Each waits for the one after it, and the last for the first. A fiber that waits for itself is alone.
    pub fn fibers(&self) -> impl Iterator<Item = FiberId> + '_ {
        self.members.iter().map(|member| member.id)
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |member: &Member| match &member.name {
            Some(name) => format!("fiber {} '{}'", member.id.number(), Plain(name)),
            None => format!("fiber {}", member.id.number()),
        };
        for (index, member) in self.members.iter().enumerate() {
            let next = name(&self.members[(index + 1) % self.members.len()]);
            let (name, reason) = (name(member), member.reason);
            if reason == name_of(Reason::Join) {
                write!(f, "{name} joins {next}")?;
            } else if reason == name_of(Reason::Scope) {
                write!(f, "{name} waits for the end of its scope, in which is {next}")?;
            } else if is_of_channel(reason) {
                write!(f, "{name} waits in a {reason}, and {next} has another end")?;
            } else {
                write!(f, "{name} waits for the {reason} at {:#x}, which {next} holds", member.address)?;
            }
            writeln!(f, " ({})", member.origin)?;
        }
        Ok(())
    }
}

/// Whether this is the word for a wait for something with ends.
fn is_of_channel(reason: &str) -> bool {
    [Reason::ChannelSend, Reason::ChannelReceive, Reason::Select, Reason::Oneshot, Reason::WaitGroup]
        .iter()
        .any(|one| name_of(*one) == reason)
}

/// A wait, by which it is told from a later one of the same fiber.
type Key = (usize, Hidden, crate::cell::CoarseTime);

/// The cycles in a collection that are still there when all fibers are looked at again.
pub(super) fn confirmed(collection: &Collection) -> Vec<Cycle> {
    let first = find(collection, |facts, owners| owners.needed(&facts.object));
    if first.is_empty() {
        return Vec::new();
    }
    std::thread::sleep(BETWEEN_LOOKS);
    let again = find(&collect::collect(), |facts, owners| owners.needed(&facts.object));
    let is_still_there = |keys: &Vec<Key>| again.iter().any(|(other, _)| other == keys);
    first.into_iter().filter(|(keys, _)| is_still_there(keys)).map(|(_, cycle)| cycle).collect()
}

/// The circles that there are if nobody but these fibers has the ends of the channels that they wait for: where all fibers wait for ever.
pub(super) fn by_channels(collection: &Collection) -> Vec<Cycle> {
    let ends = Ends::of(&collection.fibers);
    let next = |facts: &Facts, owners: &Owners| match owners.needed(&facts.object) {
        needed if needed.is_empty() => ends.others(facts),
        needed => needed,
    };
    find(collection, next).into_iter().map(|(_, cycle)| cycle).collect()
}

/// The circles that consist of edges from a fiber to each of those that `needed` tells.
fn find(collection: &Collection, needed: impl Fn(&Facts, &Owners) -> Vec<FiberId>) -> Vec<(Vec<Key>, Cycle)> {
    let owners = Owners::of(&collection.fibers);
    let parked: HashMap<FiberId, &Facts> = collection
        .fibers
        .iter()
        .filter(|facts| facts.activity == Activity::Parked && !facts.has_deadline && !facts.has_ended)
        .filter_map(|facts| Some((facts.id?, facts)))
        .collect();
    let next = |facts: &Facts| -> Vec<&Facts> {
        needed(facts, &owners).iter().filter_map(|id| parked.get(id).copied()).collect()
    };
    let mut seen: HashMap<FiberId, Walked> = HashMap::new();
    let mut cycles = Vec::new();
    let mut starts: Vec<_> = parked.values().copied().collect();
    starts.sort_by_key(|facts| facts.id.map(FiberId::number));
    for start in starts {
        // The path from the start, each fiber with those that it waits for and that were not looked at yet.
        let mut path: Vec<(&Facts, Vec<&Facts>)> = Vec::new();
        let mut entered = Some(start);
        loop {
            if let Some(facts) = entered.take() {
                let id = facts.id.expect("parked fibers are known by their ids");
                match seen.get(&id) {
                    Some(Walked::Over) => {}
                    Some(Walked::OnPath) => {
                        let on_path: Vec<_> = path.iter().map(|(facts, _)| *facts).collect();
                        let begin = on_path.iter().position(|facts| facts.id == Some(id));
                        cycles.push(of(&on_path[begin.expect("on this path")..], collection));
                    }
                    None => {
                        seen.insert(id, Walked::OnPath);
                        path.push((facts, next(facts)));
                    }
                }
            }
            let Some((facts, rest)) = path.last_mut() else { break };
            entered = rest.pop();
            if entered.is_none() {
                seen.extend(facts.id.map(|id| (id, Walked::Over)));
                path.pop();
            }
        }
    }
    cycles
}

/// Where a walk along the edges is with a fiber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walked {
    OnPath,
    Over,
}

/// The fiber's name; that of a thread is a label.
fn name_of_member(facts: &Facts) -> Option<String> {
    let label = || facts.labels.iter().find(|(name, _)| name == "thread").map(|(_, value)| value.clone());
    facts.name.clone().or_else(|| if is_thread(facts) { label() } else { None })
}

fn origin(facts: &Facts, collection: &Collection) -> String {
    let routine = || {
        let stack = collection.stacks.get(facts.frames)?;
        let frames = symbols::resolve(std::slice::from_ref(stack)).pop()?;
        text::routine(&frames).map(|routine| format!("a thread that has begun in {routine}"))
    };
    let site =
        || facts.spawn_site.map_or("spawned at an unknown place".into(), |site| format!("spawned at {site}"));
    if is_thread(facts) { routine().unwrap_or_else(site) } else { site() }
}

fn of(path: &[&Facts], collection: &Collection) -> (Vec<Key>, Cycle) {
    let keys = path.iter().map(|facts| (facts.header, facts.waiter, facts.since)).collect();
    let member = |facts: &&Facts| Member {
        id: facts.id.expect("as above"),
        name: name_of_member(facts),
        reason: name_of_wait(facts.reason, &facts.object),
        address: match facts.object {
            Object::Lock { address, .. }
            | Object::RwLock { address, .. }
            | Object::OfThreads { address, .. }
            | Object::Fibers { address, .. } => address,
            Object::Fiber(address, _) => Hidden::new(address),
            _ => Hidden::new(0),
        },
        origin: origin(facts, collection),
    };
    (keys, Cycle { members: path.iter().map(member).collect() })
}
