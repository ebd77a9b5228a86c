//! A dump as JSON.

use std::collections::HashMap;

use super::dump::{Dump, FiberDump, FiberState, Holder};
use super::json::Json;
use super::text::visible;
use crate::cell::FiberId;

impl Dump {
    /// The dump as JSON, for programs:
    ///
    /// | field | is |
    /// |---|---|
    /// | `workers` | the number of workers of each runtime |
    /// | `unstarted` | the number of fibers that have not started |
    /// | `cycles` | arrays of fiber ids; see [`Cycle`](super::Cycle) |
    /// | `stacks` | arrays of frames: `address`, `function`, `file`, `line`, `object`, `offset`, `build_id`, each where it is known, and `inner`, which is `true` for those that the text leaves out, the runtime's own |
    /// | `fibers` | `id`, `name`, `labels`, `state` (`running`, `ready`, `parked`), `runtime`, `worker`, `wait`, `spawned`, `routine` (of a thread), `stack` (an index into `stacks`), `stack_used` and `stack_bytes`, each where it is known |
    /// | `wait` | `reason`, `ms`, `object`, `address`, `holder`: a fiber id, or `"other"`, and `others`: the ids of those that may have an end of the channel |
    ///
    /// Addresses are numbers; a field may be added in a later version.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let json = abaca::dump().to_json();
    /// assert!(json.starts_with('{') && json.contains(r#""name":"main""#));
    /// # });
    /// ```
    pub fn to_json(&self) -> String {
        let mut json = Json::new();
        json.object(|json| self.write(json));
        json.into_text()
    }

    fn write(&self, json: &mut Json) {
        json.array_at("workers", |json| {
            self.workers.iter().for_each(|workers| json.number(*workers as u64));
        });
        json.number_at("unstarted", self.unstarted as u64);
        json.array_at("cycles", |json| {
            for cycle in &self.cycles {
                json.array(|json| cycle.fibers().for_each(|id| json.number(id.number().get())));
            }
        });
        let mut stacks: HashMap<usize, usize> = HashMap::new();
        let mut firsts = Vec::new();
        for fiber in &self.fibers {
            stacks.entry(fiber.stack).or_insert_with(|| {
                firsts.push(fiber);
                firsts.len() - 1
            });
        }
        json.array_at("stacks", |json| {
            for fiber in &firsts {
                json.array(|json| write_frames(json, fiber));
            }
        });
        json.array_at("fibers", |json| {
            for fiber in &self.fibers {
                json.object(|json| write_fiber(json, fiber, stacks[&fiber.stack]));
            }
        });
    }
}

fn write_frames(json: &mut Json, fiber: &FiberDump) {
    // A part of the same frames.
    let shown = visible(fiber.frames()).as_ptr_range();
    for frame in fiber.frames() {
        json.object(|json| {
            if !shown.contains(&std::ptr::from_ref(frame)) {
                json.true_at("inner");
            }
            json.number_at("address", frame.address() as u64);
            json.option_at("function", frame.function());
            json.option_at("file", frame.file());
            if let Some(line) = frame.line() {
                json.number_at("line", line.into());
            }
            json.option_at("object", frame.object());
            json.number_at("offset", frame.offset() as u64);
            json.option_at("build_id", Some(frame.build_id()).filter(|id| !id.is_empty()));
        });
    }
}

fn write_fiber(json: &mut Json, fiber: &FiberDump, stack: usize) {
    if let Some(id) = fiber.id {
        json.number_at("id", id.number().get());
    }
    json.option_at("name", fiber.name());
    json.object_at("labels", |json| {
        fiber.labels.iter().for_each(|(name, value)| json.text_at(name, value));
    });
    let state = match fiber.state {
        FiberState::Running => "running",
        FiberState::Ready => "ready",
        FiberState::Parked => "parked",
    };
    json.text_at("state", state);
    json.number_at("runtime", fiber.runtime as u64);
    json.number_at("worker", fiber.worker as u64);
    if let Some(wait) = fiber.wait() {
        json.object_at("wait", |json| {
            json.text_at("reason", wait.reason());
            json.number_at("ms", u64::try_from(wait.age().as_millis()).unwrap_or(u64::MAX));
            json.option_at("object", wait.object());
            if let Some(address) = wait.address() {
                json.number_at("address", address as u64);
            }
            match wait.holder() {
                Some(Holder::Fiber(id)) => json.number_at("holder", FiberId::number(*id).get()),
                Some(Holder::Other) => json.text_at("holder", "other"),
                None => {}
            }
            if !wait.others().is_empty() {
                json.array_at("others", |json| {
                    wait.others().iter().for_each(|id| json.number(id.number().get()))
                });
            }
        });
    }
    json.option_at("spawned", fiber.spawn_site.map(ToString::to_string).as_deref());
    json.option_at("routine", fiber.routine());
    json.number_at("stack", stack as u64);
    for (key, bytes) in [("stack_used", fiber.stack_used), ("stack_bytes", fiber.stack_bytes)] {
        if let Some(bytes) = bytes {
            json.number_at(key, bytes as u64);
        }
    }
}
