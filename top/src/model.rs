//! What the program has answered, as the view needs it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A fiber.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fiber {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    /// `running`, `ready` or `parked`.
    pub(crate) state: String,
    pub(crate) runtime: u64,
    pub(crate) worker: u64,
    /// What it waits for; empty if it does not wait.
    pub(crate) reason: String,
    pub(crate) waits_ms: u64,
    pub(crate) object: String,
    pub(crate) holder: Option<u64>,
    pub(crate) site: String,
    pub(crate) labels: String,
    pub(crate) stack: usize,
    pub(crate) stack_used: Option<u64>,
}

/// A worker, and what it did since the answer before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Worker {
    pub(crate) fibers: u64,
    pub(crate) is_sleeping: bool,
    pub(crate) switches: u64,
    pub(crate) switches_per_second: f64,
    pub(crate) wakeups_per_second: f64,
    pub(crate) steals: u64,
    /// For how long it has run one fiber without a switch, as far as was seen.
    pub(crate) stuck: Duration,
}

/// One look at the program.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    pub(crate) live: u64,
    pub(crate) spawned: u64,
    pub(crate) spawned_per_second: f64,
    pub(crate) unstarted: u64,
    pub(crate) blocking: (u64, u64),
    pub(crate) workers: Vec<Worker>,
    pub(crate) fibers: Vec<Fiber>,
    /// The stacks that fibers refer to: a line for each frame.
    pub(crate) stacks: Vec<Vec<String>>,
    /// Fibers that wait for each other in a circle.
    pub(crate) cycles: Vec<Vec<u64>>,
    wakeups: Vec<u64>,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The numbers of a metric that each worker has.
fn by_worker(metrics: &Value, name: &str) -> Vec<u64> {
    let Some(object) = metrics[name].as_object() else { return Vec::new() };
    let by_number: BTreeMap<usize, u64> =
        object.iter().filter_map(|(index, value)| Some((index.parse().ok()?, number(value)))).collect();
    by_number.into_values().collect()
}

impl Look {
    /// What the two answers say, after the look before.
    pub(crate) fn new(metrics: &Value, dump: &Value, before: Option<&Self>) -> Self {
        let at = Instant::now();
        let since = before.map_or(0.0, |before| at.duration_since(before.at).as_secs_f64());
        let rate = |now: u64, before: Option<u64>| match before {
            Some(before) if since > 0.0 => now.saturating_sub(before) as f64 / since,
            _ => 0.0,
        };
        let [fibers, sleeping, switches, local, remote, steals] = [
            "abaca_worker_fibers",
            "abaca_worker_sleeping",
            "abaca_worker_switches_total",
            "abaca_worker_woken_local_total",
            "abaca_worker_woken_remote_total",
            "abaca_worker_stolen_total",
        ]
        .map(|name| by_worker(metrics, name));
        let wakeups: Vec<u64> = local.iter().zip(&remote).map(|(local, remote)| local + remote).collect();
        let listed = list_of_fibers(dump);
        let workers = (0..switches.len())
            .map(|index| {
                let old = before.and_then(|before| before.workers.get(index));
                let runs = listed.iter().any(|fiber| {
                    fiber.runtime == 0 && fiber.worker == index as u64 && fiber.state == "running"
                });
                let stands = runs && old.is_some_and(|old| old.switches == switches[index]);
                let stuck = old.map_or(Duration::ZERO, |old| old.stuck);
                Worker {
                    fibers: fibers.get(index).copied().unwrap_or(0),
                    is_sleeping: sleeping.get(index) == Some(&1),
                    switches: switches[index],
                    switches_per_second: rate(switches[index], old.map(|old| old.switches)),
                    wakeups_per_second: rate(
                        wakeups.get(index).copied().unwrap_or(0),
                        before.and_then(|before| before.wakeups.get(index)).copied(),
                    ),
                    steals: steals.get(index).copied().unwrap_or(0),
                    stuck: if stands { stuck + Duration::from_secs_f64(since) } else { Duration::ZERO },
                }
            })
            .collect();
        let spawned = number(&metrics["abaca_fibers_spawned_total"]);
        Self {
            at,
            live: number(&metrics["abaca_fibers"]),
            spawned,
            spawned_per_second: rate(spawned, before.map(|before| before.spawned)),
            unstarted: number(&dump["unstarted"]),
            blocking: (
                number(&metrics["abaca_blocking_threads"]),
                number(&metrics["abaca_blocking_jobs_queued"]),
            ),
            workers,
            fibers: listed,
            stacks: list_of_stacks(dump),
            cycles: array(&dump["cycles"]).map(|cycle| array(cycle).map(number).collect()).collect(),
            wakeups,
        }
    }

    /// How many fibers are in each state, and wait for each reason; the most frequent first.
    pub(crate) fn by_reason(&self) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for fiber in &self.fibers {
            let key = if fiber.reason.is_empty() { &fiber.state } else { &fiber.reason };
            *counts.entry(key).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// The fibers that others wait for: who, how many wait, and for how long the one that waits longest.
    pub(crate) fn holders(&self) -> Vec<(u64, usize, u64)> {
        let mut holders: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
        for fiber in &self.fibers {
            if let Some(holder) = fiber.holder {
                let (count, longest) = holders.entry(holder).or_default();
                (*count, *longest) = (*count + 1, (*longest).max(fiber.waits_ms));
            }
        }
        let mut holders: Vec<_> =
            holders.into_iter().map(|(id, (count, longest))| (id, count, longest)).collect();
        holders.sort_by_key(|(_, count, longest)| std::cmp::Reverse((*count, *longest)));
        holders
    }

    /// For how long this fiber has kept its worker, as far as was seen, if it runs.
    pub(crate) fn hogged_by(&self, fiber: &Fiber) -> Option<Duration> {
        let is_there = fiber.runtime == 0 && fiber.state == "running";
        self.workers.get(usize::try_from(fiber.worker).ok()?).filter(|_| is_there).map(|worker| worker.stuck)
    }

    /// The fiber with this id.
    pub(crate) fn fiber(&self, id: u64) -> Option<&Fiber> {
        self.fibers.iter().find(|fiber| fiber.id == Some(id))
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn list_of_fibers(dump: &Value) -> Vec<Fiber> {
    let of = |fiber: &Value| Fiber {
        id: fiber["id"].as_u64(),
        name: text(&fiber["name"]),
        state: text(&fiber["state"]),
        runtime: number(&fiber["runtime"]),
        worker: number(&fiber["worker"]),
        reason: text(&fiber["wait"]["reason"]),
        waits_ms: number(&fiber["wait"]["ms"]),
        object: text(&fiber["wait"]["object"]),
        holder: fiber["wait"]["holder"].as_u64(),
        site: text(&fiber["spawned"]),
        labels: labels(&fiber["labels"]),
        stack: number(&fiber["stack"]) as usize,
        stack_used: fiber["stack_used"].as_u64(),
    };
    array(&dump["fibers"]).map(of).collect()
}

fn labels(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    pairs.map(|(key, value)| format!("{key}={}", text(value))).collect::<Vec<_>>().join(" ")
}

fn list_of_stacks(dump: &Value) -> Vec<Vec<String>> {
    let line = |frame: &Value| {
        let place = match (&frame["file"], &frame["line"]) {
            (Value::String(file), Value::Number(line)) => format!("  {file}:{line}"),
            _ => String::new(),
        };
        match frame["function"].as_str() {
            Some(function) => format!("{function}{place}"),
            None => format!("{} + {:#x}", text(&frame["object"]), number(&frame["offset"])),
        }
    };
    // The runtime's own frames would fill the screen.
    let is_shown = |frame: &&Value| frame["inner"] != true;
    array(&dump["stacks"]).map(|stack| array(stack).filter(is_shown).map(line).collect()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(switches: u64, before: Option<&Look>) -> Look {
        let metrics = json!({
            "abaca_fibers": 3, "abaca_fibers_spawned_total": 9,
            "abaca_worker_fibers": {"0": 3, "1": 0, "10": 7},
            "abaca_worker_switches_total": {"0": switches, "1": 1, "10": 5},
            "abaca_worker_woken_local_total": {"0": 1, "1": 1, "10": 1},
            "abaca_worker_woken_remote_total": {"0": 1, "1": 1, "10": 1},
        });
        let dump = json!({
            "unstarted": 4, "cycles": [[1, 2]], "stacks": [[{"function": "park", "inner": true}, {"function": "main", "file": "a.rs", "line": 3}, {"object": "lib", "offset": 16}]],
            "fibers": [
                {"id": 1, "state": "parked", "worker": 0, "wait": {"reason": "mutex", "ms": 70, "holder": 2}, "labels": {"a": "b"}},
                {"id": 2, "name": "two", "state": "parked", "worker": 0, "wait": {"reason": "mutex", "ms": 50, "holder": 1}},
                {"id": 3, "state": "running", "worker": 0, "stack": 0},
                {"id": 4, "state": "parked", "worker": 0, "wait": {"reason": "mutex", "ms": 20, "holder": 2}},
            ],
        });
        Look::new(&metrics, &dump, before)
    }

    #[test]
    fn fibers_workers_and_holders_are_read() {
        let look = look(10, None);
        assert_eq!((look.live, look.spawned, look.unstarted), (3, 9, 4));
        assert_eq!(
            look.workers.iter().map(|worker| worker.fibers).collect::<Vec<_>>(),
            [3, 0, 7],
            "by number"
        );
        assert_eq!(look.holders(), [(2, 2, 70), (1, 1, 50)]);
        assert_eq!(look.by_reason(), [("mutex", 3), ("running", 1)]);
        assert_eq!(look.stacks, [["main  a.rs:3", "lib + 0x10"]]);
        assert_eq!((look.fibers[0].labels.as_str(), look.cycles.as_slice()), ("a=b", &[vec![1, 2]][..]));
    }

    #[test]
    fn a_worker_that_runs_without_a_switch_is_stuck() {
        let first = look(10, None);
        let second = look(10, Some(&first));
        assert!(second.workers[0].stuck > Duration::ZERO, "a fiber runs there");
        assert_eq!(second.workers[1].stuck, Duration::ZERO, "none runs there");
        assert_eq!(second.hogged_by(second.fiber(3).unwrap()), Some(second.workers[0].stuck));
        assert_eq!(second.hogged_by(second.fiber(1).unwrap()), None, "it waits");
        assert_eq!(look(11, Some(&second)).workers[0].stuck, Duration::ZERO);
    }
}
