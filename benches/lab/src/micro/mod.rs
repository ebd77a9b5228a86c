//! Micro costs, stackful against stackless: the same small thing done by a fiber and by a future, taking turns in one
//! process. What is measured in memory has a process of its own for each figure.

mod chain;
mod held;
mod recursion;
mod suspension;
mod tasks;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use held::{HeldError, held_in_this_process};

use crate::data::Micro;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often each figure is taken.
    pub repetitions: u32,
    /// How long one figure takes about.
    pub time: Duration,
    /// The most tasks alive at a time.
    pub most_tasks: u64,
}

/// One question about time: who answers, at which values of the parameter, and how.
struct Question {
    title: &'static str,
    unit: &'static str,
    parameter: &'static str,
    places: &'static [u64],
    sides: &'static [Side],
}

/// One who answers a question.
struct Side {
    name: &'static str,
    /// Does the thing so many times at a value of the parameter, and says how long that took and how often it was done.
    measure: fn(at: u64, times: u64) -> (Duration, u64),
}

/// How often `progress` will be called.
#[must_use]
pub fn steps(effort: Effort) -> u64 {
    let figures = |question: &Question| {
        let places = question.places.iter().filter(|at| is_possible(question, **at, effort)).count();
        (places * question.sides.len()) as u64
    };
    let questions = [&suspension::QUESTIONS[..], &recursion::QUESTIONS, &tasks::QUESTIONS];
    let timed: u64 = questions.into_iter().flatten().map(figures).sum();
    (timed + held::FIGURES) * u64::from(effort.repetitions)
}

fn is_possible(question: &Question, at: u64, effort: Effort) -> bool {
    question.parameter != tasks::LIVE || at <= effort.most_tasks
}

/// Takes every figure. `progress` is told what comes next, and may stop the run.
pub fn all(effort: Effort, progress: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Vec<Micro> {
    let mut micros = Vec::new();
    let questions = [&suspension::QUESTIONS[..], &recursion::QUESTIONS, &tasks::QUESTIONS];
    for question in questions.into_iter().flatten() {
        if ask(question, effort, &mut micros, progress).is_break() {
            return micros;
        }
    }
    // What was measured by then is in `micros` either way.
    let _ = held::ask(effort, &mut micros, progress);
    micros
}

fn ask(
    question: &Question,
    effort: Effort,
    micros: &mut Vec<Micro>,
    progress: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for &at in question.places.iter().filter(|at| is_possible(question, **at, effort)) {
        let times: Vec<u64> = question.sides.iter().map(|side| calibrate(side, at, effort.time)).collect();
        for repetition in 1..=effort.repetitions {
            for (side, times) in question.sides.iter().zip(&times) {
                progress(&format!("{} {}, {at}", question.title, side.name))?;
                let (elapsed, done) = (side.measure)(at, *times);
                micros.push(Micro {
                    question: question.title.to_owned(),
                    side: side.name.to_owned(),
                    parameter: question.parameter.to_owned(),
                    at: at as f64,
                    repetition,
                    value: elapsed.as_nanos() as f64 / done as f64,
                    unit: question.unit.to_owned(),
                });
            }
        }
    }
    ControlFlow::Continue(())
}

/// How often the thing is done in about that time; it has then been done before.
fn calibrate(side: &Side, at: u64, time: Duration) -> u64 {
    let mut times = 1;
    loop {
        let began = Instant::now();
        let (elapsed, _) = (side.measure)(at, times);
        // What is set up for the measurement counts as well: it must not take for ever.
        if elapsed >= time / 2 || began.elapsed() >= time * 4 || times >= 1 << 40 {
            return times;
        }
        times *= 2;
    }
}

/// Counts tasks that have started: on one worker, each has then come to its first suspension.
#[derive(Clone, Debug, Default)]
struct Started(Arc<AtomicU64>);

impl Started {
    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn are(&self, count: u64) -> bool {
        self.0.load(Ordering::Relaxed) == count
    }
}

/// Runs `f` as a fiber on one worker.
fn on_fiber<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let runtime = abaca::Runtime::builder().workers(1).build().expect("a worker starts");
    runtime.run(f)
}

/// Runs `future` on tokio's current-thread runtime.
fn on_tokio<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("the runtime starts").block_on(future)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_side_answers_every_question_at_every_place() {
        for question in [&suspension::QUESTIONS[..], &recursion::QUESTIONS, &tasks::QUESTIONS].concat_all() {
            for side in question.sides {
                for &at in question.places.iter().filter(|at| **at <= 100) {
                    let (elapsed, done) = (side.measure)(at, 3);
                    assert!(done >= 1 && elapsed > Duration::ZERO, "{} {} {at}", question.title, side.name);
                }
            }
        }
    }

    /// All questions of all files.
    trait ConcatAll<'a> {
        fn concat_all(self) -> Vec<&'a Question>;
    }

    impl<'a> ConcatAll<'a> for [&'a [Question]; 3] {
        fn concat_all(self) -> Vec<&'a Question> {
            self.into_iter().flatten().collect()
        }
    }

    #[test]
    fn a_run_can_be_stopped_and_keeps_what_it_has() {
        let effort = Effort { repetitions: 2, time: Duration::from_micros(1), most_tasks: 1 };
        let mut asked = BTreeSet::new();
        let micros = all(effort, &mut |what| {
            asked.insert(what.to_owned());
            if asked.len() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(!micros.is_empty() && micros.len() < 8, "{micros:?}");
    }
}
