//! A recording as a trace of Perfetto: the workers are tracks, turns are slices on them, wake-ups are flows from the turn of the waker
//! to the turn of the woken. Spans of the program are slices on tracks of their fibers.
//!
//! The names of fields are those of Perfetto's `trace_packet.proto` and `track_event.proto`.

use std::time::Duration;

use super::model::{Activity, Outcome, Waker};
use super::protobuf::Message;
use super::{Fiber, Recording, stacks};

/// `Trace.packet`.
const PACKET: u64 = 1;

/// Fields of `TracePacket`.
mod packet {
    pub(super) const TIMESTAMP: u64 = 8;
    pub(super) const SEQUENCE: u64 = 10;
    pub(super) const TRACK_EVENT: u64 = 11;
    pub(super) const SEQUENCE_FLAGS: u64 = 13;
    pub(super) const TRACK: u64 = 60;
}

/// Fields of `TrackDescriptor`, `ProcessDescriptor` and `ThreadDescriptor`.
mod track {
    pub(super) const UUID: u64 = 1;
    pub(super) const NAME: u64 = 2;
    pub(super) const PROCESS: u64 = 3;
    pub(super) const PARENT: u64 = 5;
    pub(super) const PROCESS_PID: u64 = 1;
    pub(super) const PROCESS_NAME: u64 = 6;
}

/// Fields of `TrackEvent` and `DebugAnnotation`.
mod event {
    pub(super) const ANNOTATION: u64 = 4;
    pub(super) const TYPE: u64 = 9;
    pub(super) const TRACK: u64 = 11;
    pub(super) const CATEGORY: u64 = 22;
    pub(super) const NAME: u64 = 23;
    pub(super) const FLOW: u64 = 47;
    pub(super) const FLOW_END: u64 = 48;
    pub(super) const ANNOTATION_NUMBER: u64 = 3;
    pub(super) const ANNOTATION_TEXT: u64 = 6;
    pub(super) const ANNOTATION_NAME: u64 = 10;
}

/// `TrackEvent.Type`.
const BEGIN: u64 = 1;
const END: u64 = 2;
const INSTANT: u64 = 3;

/// `SEQ_INCREMENTAL_STATE_CLEARED`.
const FRESH: u64 = 1;

/// All packets are of one sequence.
const SEQUENCE: u64 = 1;

const PROCESS: u64 = 1;

/// The track of a worker.
fn worker_track(worker: usize) -> u64 {
    2 + worker as u64
}

/// The track of a fiber, on which its spans are.
fn fiber_track(fiber: usize) -> u64 {
    1 << 32 | fiber as u64
}

/// A packet, and the time by which packets are sorted.
struct Packet {
    at: Duration,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Trace(Vec<Packet>);

impl Trace {
    fn track(&mut self, uuid: u64, fill: impl FnOnce(&mut Message)) {
        let mut packet = Message::default();
        packet.number(packet::SEQUENCE, SEQUENCE).message(packet::TRACK, |track| {
            track.number(track::UUID, uuid);
            fill(track);
        });
        if self.0.is_empty() {
            packet.number(packet::SEQUENCE_FLAGS, FRESH);
        }
        self.0.push(Packet { at: Duration::ZERO, bytes: packet.into_bytes() });
    }

    fn event(&mut self, at: Duration, kind: u64, track: u64, fill: impl FnOnce(&mut Message)) {
        let mut packet = Message::default();
        packet.number(packet::TIMESTAMP, at.as_nanos() as u64).number(packet::SEQUENCE, SEQUENCE).message(
            packet::TRACK_EVENT,
            |event| {
                event.number(event::TYPE, kind).number(event::TRACK, track);
                fill(event);
            },
        );
        self.0.push(Packet { at, bytes: packet.into_bytes() });
    }

    fn slice(&mut self, [begin, end]: [Duration; 2], track: u64, fill: impl FnOnce(&mut Message)) {
        self.event(begin, BEGIN, track, fill);
        self.event(end, END, track, |_| ());
    }
}

fn annotate(event: &mut Message, name: &str, text: &str) {
    event.message(event::ANNOTATION, |annotation| {
        annotation.text(event::ANNOTATION_NAME, name).text(event::ANNOTATION_TEXT, text);
    });
}

fn annotate_number(event: &mut Message, name: &str, number: u64) {
    event.message(event::ANNOTATION, |annotation| {
        annotation.text(event::ANNOTATION_NAME, name).number(event::ANNOTATION_NUMBER, number);
    });
}

/// The trace as bytes.
pub(super) fn trace(recording: &Recording) -> Vec<u8> {
    let mut trace = Trace::default();
    let pid = std::process::id().into();
    let name = if recording.is_coarse { "abaca, with estimated times" } else { "abaca" };
    trace.track(PROCESS, |track| {
        track.message(track::PROCESS, |process| {
            process.number(track::PROCESS_PID, pid).text(track::PROCESS_NAME, name);
        });
    });
    for worker in 0..recording.workers {
        trace.track(worker_track(worker), |track| {
            track.text(track::NAME, &format!("worker {worker}")).number(track::PARENT, PROCESS);
        });
    }
    let mut with_notes: Vec<_> = recording.notes.iter().map(|note| note.fiber).collect();
    with_notes.sort_unstable();
    with_notes.dedup();
    for fiber in with_notes {
        trace.track(fiber_track(fiber), |track| {
            track.text(track::NAME, &recording.title(fiber)).number(track::PARENT, PROCESS);
        });
    }
    add_turns(&mut trace, recording);
    add_wakeups(&mut trace, recording);
    add_rest(&mut trace, recording);
    // Stable: a slice that begins when another ends comes after that end.
    trace.0.sort_by_key(|packet| packet.at);
    let mut whole = Message::default();
    for packet in trace.0 {
        whole.bytes(PACKET, &packet.bytes);
    }
    whole.into_bytes()
}

fn add_turns(trace: &mut Trace, recording: &Recording) {
    let stacks: Vec<_> = stacks::texts(&recording.stacks).iter().map(|frames| frames.join("\n")).collect();
    // The wake-ups that led to each turn.
    let mut led_by = vec![None; recording.turns.len()];
    for (wakeup, turn) in
        recording.wakeups.iter().enumerate().filter_map(|(at, wakeup)| Some((at, wakeup.turn?)))
    {
        led_by[turn] = Some(wakeup);
    }
    for (index, turn) in recording.turns.iter().enumerate() {
        let outcome = match turn.outcome {
            Outcome::Parked(reason) => reason,
            Outcome::Yielded => "yielded",
            Outcome::Left => "left to its thread",
            Outcome::Ended => "ended",
            Outcome::Running => "runs on",
        };
        trace.slice([turn.begin, turn.end], worker_track(turn.worker), |event| {
            event.text(event::NAME, &recording.title(turn.fiber)).text(event::CATEGORY, "turn");
            annotate(event, "until", outcome);
            if let Some(stack) = turn.stack {
                annotate_number(event, "stack id", stack as u64);
                annotate(event, "stack", &stacks[stack]);
            }
            let Fiber { spawn_site, spawned_by, .. } = &recording.fibers[turn.fiber];
            if let Some(site) = spawn_site {
                annotate(event, "spawned at", site);
            }
            if let Some(by) = spawned_by {
                annotate(event, "spawned by", &recording.title(*by));
            }
            if let Some(wakeup) = led_by[index] {
                event.fixed(event::FLOW_END, flow(wakeup));
            }
        });
    }
}

/// The id of the flow of a wake-up.
fn flow(wakeup: usize) -> u64 {
    1 + wakeup as u64
}

fn add_wakeups(trace: &mut Trace, recording: &Recording) {
    for (index, wakeup) in recording.wakeups.iter().enumerate() {
        let Some(turn) = wakeup.turn.map(|turn| recording.turns[turn]) else { continue };
        let by = match wakeup.by {
            Waker::Fiber(by) => recording.title(by),
            Waker::Timer => "the time".into(),
            Waker::Poller => "the kernel".into(),
            Waker::Thread => "a thread".into(),
        };
        // The waker's worker, if it has a turn then; else that of the woken.
        let of_waker = |by| {
            let before = recording.turns.partition_point(|turn| turn.begin <= wakeup.at);
            recording.turns[..before]
                .iter()
                .rev()
                .take(64)
                .find(|turn| turn.fiber == by && wakeup.at <= turn.end)
        };
        let from = match wakeup.by {
            Waker::Fiber(by) => of_waker(by).map_or(turn.worker, |turn| turn.worker),
            _ => turn.worker,
        };
        trace.event(wakeup.at, INSTANT, worker_track(from), |event| {
            event.text(event::NAME, &format!("wakes {}", recording.title(wakeup.fiber)));
            event.text(event::CATEGORY, "wake").fixed(event::FLOW, flow(index));
            annotate(event, "by", &by);
        });
    }
}

fn add_rest(trace: &mut Trace, recording: &Recording) {
    for event in &recording.events {
        let track = worker_track(event.worker);
        match event.activity {
            Activity::Slept(end) => trace.slice([event.at, end], track, |event| {
                event.text(event::NAME, "asleep").text(event::CATEGORY, "worker");
            }),
            Activity::Polled(events) => trace.event(event.at, INSTANT, track, |event| {
                event.text(event::NAME, "poll").text(event::CATEGORY, "worker");
                annotate_number(event, "events", events);
            }),
            Activity::Stole(fibers, victim) => trace.event(event.at, INSTANT, track, |event| {
                event.text(event::NAME, "steal").text(event::CATEGORY, "worker");
                annotate_number(event, "fibers", fibers);
                annotate_number(event, "from worker", victim as u64);
            }),
        }
    }
    for transfer in &recording.transfers {
        let before = recording.turns.partition_point(|turn| turn.begin <= transfer.at);
        let turn = recording.turns[..before].iter().rev().take(64).find(|turn| turn.fiber == transfer.fiber);
        if let Some(turn) = turn {
            trace.event(transfer.at, INSTANT, worker_track(turn.worker), |event| {
                event.text(event::NAME, if transfer.is_read { "read" } else { "write" });
                event.text(event::CATEGORY, "io");
                annotate_number(event, "bytes", transfer.bytes);
            });
        }
    }
    for note in &recording.notes {
        let track = fiber_track(note.fiber);
        if note.begin == note.end {
            trace.event(note.begin, INSTANT, track, |event| _ = event.text(event::NAME, &note.text));
        } else {
            trace.slice([note.begin, note.end], track, |event| _ = event.text(event::NAME, &note.text));
        }
    }
}
