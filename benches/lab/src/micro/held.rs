//! Bytes that a suspended task holds, as its locals grow and as its calls nest: resident memory and page tables, divided by
//! the tasks. Each figure is taken in a process of its own, since a process does not give everything back.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::process::Command;

use super::chain::{self, Suspend, deep};
use super::{Effort, Started, on_fiber, on_tokio};
use crate::data::Micro;

const TASKS: u64 = 2000;

/// What grows.
const LOCALS: (&str, &str, [u64; 4]) =
    ("What does a suspended task hold as its locals grow?", "bytes of locals", [64, 512, 4096, 16_384]);
const DEPTH: (&str, &str, [u64; 4]) = (
    "What does a suspended task hold as its calls nest?",
    "call depth, with 64 bytes of locals each",
    [1, 4, 16, 64],
);

/// How many figures there are: both questions, each place, both sides.
pub(super) const FIGURES: u64 = 2 * 4 * 2;

/// Why a figure could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// No such question.
    #[error("{0:?} is not something that a task can hold")]
    Unknown(String),
    /// The process could not be measured.
    #[error("/proc/self/status: {0}")]
    Memory(#[from] std::io::Error),
}

/// Asks both questions of both sides, each in a child of this program.
pub(super) fn ask(
    effort: Effort,
    micros: &mut Vec<Micro>,
    progress: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for (question, parameter, places) in [LOCALS, DEPTH] {
        for at in places {
            for repetition in 1..=effort.repetitions {
                for side in ["fiber", "tokio task"] {
                    progress(&format!("{question} {side}, {at}"))?;
                    let what = if question == LOCALS.0 { "locals" } else { "depth" };
                    let Some(value) = in_child(what, side, at) else { continue };
                    micros.push(Micro {
                        question: question.to_owned(),
                        side: side.to_owned(),
                        parameter: parameter.to_owned(),
                        at: at as f64,
                        repetition,
                        value,
                        unit: "bytes per suspended task".to_owned(),
                    });
                }
            }
        }
    }
    ControlFlow::Continue(())
}

fn in_child(what: &str, side: &str, at: u64) -> Option<f64> {
    let output = Command::new(std::env::current_exe().ok()?)
        .args(["held", what, side, &at.to_string()])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Bytes per task of this process, while so many are suspended. The child's side.
///
/// # Errors
///
/// See [`HeldError`].
pub fn held_in_this_process(what: &str, side: &str, at: u64) -> Result<f64, HeldError> {
    match (what, side) {
        ("locals", "fiber") => fibers(move || with_locals(at)),
        ("depth", "fiber") => fibers(move || {
            deep(at, &mut abaca::park);
        }),
        ("locals", "tokio task") => match at {
            64 => tasks(async || future_with_locals::<64>().await),
            512 => tasks(async || future_with_locals::<512>().await),
            4096 => tasks(async || future_with_locals::<4096>().await),
            16_384 => tasks(async || future_with_locals::<16_384>().await),
            _ => Err(HeldError::Unknown(at.to_string())),
        },
        ("depth", "tokio task") => match at {
            1 => tasks(async || chain::f1(u64::MAX).await),
            4 => tasks(async || chain::f4(u64::MAX).await),
            16 => tasks(async || chain::f16(u64::MAX).await),
            64 => tasks(async || chain::f64(u64::MAX).await),
            _ => Err(HeldError::Unknown(at.to_string())),
        },
        _ => Err(HeldError::Unknown(format!("{what} {side}"))),
    }
}

/// Waits for ever with so many bytes of locals.
fn with_locals(bytes: u64) {
    match bytes {
        64 => park_with::<64>(),
        512 => park_with::<512>(),
        4096 => park_with::<4096>(),
        _ => park_with::<16_384>(),
    }
}

#[inline(never)]
fn park_with<const BYTES: usize>() {
    let locals = black_box([1_u8; BYTES]);
    abaca::park();
    black_box(&locals);
}

fn fibers(body: impl FnOnce() + Clone + Send + 'static) -> Result<f64, HeldError> {
    on_fiber(move || {
        let spawn_and_wait = |count: u64| {
            let started = Started::default();
            let spawn = |_| {
                let (body, started) = (body.clone(), started.clone());
                abaca::spawn(move || {
                    started.one();
                    body();
                })
            };
            let fibers: Vec<_> = (0..count).map(spawn).collect();
            while !started.are(count) {
                abaca::yield_now();
            }
            fibers
        };
        // What the first tasks make the runtime allocate is not the tasks'.
        let first = spawn_and_wait(64);
        let before = memory()?;
        let fibers = spawn_and_wait(TASKS);
        let after = memory()?;
        first.iter().chain(&fibers).for_each(abaca::JoinHandle::cancel);
        Ok((after - before) / TASKS as f64)
    })
}

async fn future_with_locals<const BYTES: usize>() -> u64 {
    let locals = black_box([1_u8; BYTES]);
    let result = Suspend(u64::MAX).await;
    black_box(&locals);
    result
}

fn tasks<F, R>(body: F) -> Result<f64, HeldError>
where
    F: AsyncFn() -> R + Clone + 'static,
    R: 'static,
{
    on_tokio(tokio::task::LocalSet::new().run_until(async move {
        let spawn_and_wait = async |count: u64| {
            let started = Started::default();
            let spawn = |_| {
                let (body, started) = (body.clone(), started.clone());
                tokio::task::spawn_local(async move {
                    started.one();
                    body().await
                })
            };
            let tasks: Vec<_> = (0..count).map(spawn).collect();
            while !started.are(count) {
                tokio::task::yield_now().await;
            }
            tasks
        };
        let _first = spawn_and_wait(64).await;
        let before = memory()?;
        let _tasks = spawn_and_wait(TASKS).await;
        let after = memory()?;
        Ok((after - before) / TASKS as f64)
    }))
}

/// Resident memory and page tables of this process, in bytes.
fn memory() -> Result<f64, std::io::Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = |label: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(label));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    };
    Ok((kib("VmRSS:") + kib("VmPTE:")) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_holds_grows_with_its_locals() {
        // In a process of its own: the tests beside allocate and free, and would be measured as well.
        if std::env::var_os("ROLE").is_none() {
            let test = "micro::held::tests::what_a_task_holds_grows_with_its_locals";
            let mut child = Command::new(std::env::current_exe().unwrap());
            let output = child.args(["--exact", test]).env("ROLE", "child").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            return;
        }
        // In one process what is freed is not given back, so only the order of growth can be seen here.
        let small = held_in_this_process("locals", "fiber", 64).unwrap();
        let large = held_in_this_process("locals", "fiber", 16_384).unwrap();
        assert!(large > small + 8192.0, "{small} {large}");
        let small = held_in_this_process("locals", "tokio task", 64).unwrap();
        let large = held_in_this_process("locals", "tokio task", 16_384).unwrap();
        assert!(large > small + 8192.0, "{small} {large}");
        assert!(matches!(held_in_this_process("locals", "thread", 64), Err(HeldError::Unknown(_))));
    }
}
