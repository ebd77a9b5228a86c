//! The stacks of a recording: copied when turns ended, and walked when the recording is made.

use std::collections::HashMap;

use crate::observe::frames::Walker;
use crate::observe::symbols::{self, Frame};
use crate::observe::text;
use crate::scheduler::{Shared, StackSamples, Worker};

/// A stack on which turns ended; see [`Recording::stacks`](super::Recording::stacks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    addresses: Vec<usize>,
}

impl Stack {
    /// The addresses of the frames, innermost first: of the first its next instruction, of the others the one behind the call. The
    /// outermost ones are missing if the stack was deeper than what is copied of it; see [`Recorder::stacks`](super::Recorder::stacks).
    pub fn addresses(&self) -> &[usize] {
        &self.addresses
    }

    /// The frames with their names, as those of a [`dump`](fn@crate::dump). The first look at a program's debug information takes time, a
    /// second and more for a large one.
    pub fn frames(&self) -> Vec<Frame> {
        symbols::resolve(std::slice::from_ref(&self.addresses)).pop().unwrap_or_default()
    }
}

/// The frames of the program in each of these stacks, as text.
pub(super) fn texts(stacks: &[Stack]) -> Vec<Vec<String>> {
    let text = |frame: &Frame| match (frame.file(), frame.line()) {
        (Some(file), Some(line)) => format!("{frame} at {}:{line}", file.rsplit('/').next().unwrap_or(file)),
        _ => frame.to_string(),
    };
    let frames = |stack: &Stack| text::visible(&stack.frames()).iter().map(text).collect();
    stacks.iter().map(frames).collect()
}

/// The stacks of a recording: those that were sampled, and others.
#[derive(Default)]
pub(super) struct Sampled {
    pub(super) stacks: Vec<Stack>,
    known: HashMap<Vec<usize>, usize>,
    /// By worker and time of the turn's end, an index into those.
    of_turns: HashMap<(usize, u64), usize>,
}

impl Sampled {
    /// Those of a runtime.
    pub(super) fn of(shared: &Shared) -> Self {
        let mut this = Self::default();
        let mut walker = None;
        let samples = |worker: &Worker| match worker.recorder() {
            Some(recorder) => recorder.stacks.snapshot(),
            None => worker.log.stacks().map(StackSamples::snapshot).unwrap_or_default(),
        };
        for (index, worker) in shared.workers.iter().enumerate() {
            for sample in samples(worker) {
                let walker = walker.get_or_insert_with(Walker::new);
                walker.walk_copy(sample.registers(), |address| sample.word(address));
                let stack = this.add(walker.frames());
                this.of_turns.insert((index, sample.ticks()), stack);
            }
        }
        this
    }

    /// The index of the stack with these frames.
    pub(super) fn add(&mut self, frames: &[usize]) -> usize {
        if let Some(index) = self.known.get(frames) {
            return *index;
        }
        let index = self.stacks.len();
        self.stacks.push(Stack { addresses: frames.to_vec() });
        self.known.insert(frames.to_vec(), index);
        index
    }

    /// The stack of the turn that ended then, on this worker.
    pub(super) fn of_turn(&self, worker: usize, ticks: u64) -> Option<usize> {
        self.of_turns.get(&(worker, ticks)).copied()
    }
}
