//! The audit: what came of each job, by the journals of all workers and the dead letters.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::handler::Fate;
use crate::journal::Line;

/// The count, end to end.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) jobs: usize,
    pub(crate) done: usize,
    pub(crate) dead: usize,
    /// Jobs without an effect that are not dead letters.
    pub(crate) lost: Vec<String>,
    /// Effects beyond the first of a job.
    pub(crate) repeated: usize,
    /// Effects of a call that began after Redis had acknowledged the job's end: there must be none.
    pub(crate) repeated_when_settled: Vec<String>,
    /// Jobs that are dead letters and should not be, or the other way round.
    pub(crate) misjudged: Vec<String>,
}

impl Audit {
    /// Of these jobs, by the lines of all journals and the names in the dead letters.
    pub(crate) fn of(jobs: impl Iterator<Item = String>, lines: &[Line], dead: &HashSet<String>) -> Self {
        let mut effects: HashMap<&str, Vec<(&str, u128)>> = HashMap::new();
        let mut settled: HashMap<&str, u128> = HashMap::new();
        for line in lines {
            match line {
                Line::Effect { id, job, begun } => effects.entry(job).or_default().push((id, *begun)),
                Line::Settled { id, when } => drop(settled.insert(id, *when)),
            }
        }
        let mut audit = Self::default();
        for job in jobs {
            audit.jobs += 1;
            let effects = effects.get(job.as_str()).map_or(&[][..], Vec::as_slice);
            let (is_done, is_dead) = (!effects.is_empty(), dead.contains(&job));
            audit.done += usize::from(is_done);
            audit.dead += usize::from(is_dead);
            audit.repeated += effects.len().saturating_sub(1);
            // Entries of one job follow each other: only the last is settled with an effect.
            let ended = effects.iter().filter_map(|(id, _)| settled.get(id)).min();
            if ended.is_some_and(|ended| effects.iter().any(|(_, begun)| begun > ended)) {
                audit.repeated_when_settled.push(job.clone());
            }
            if !is_done && !is_dead {
                audit.lost.push(job);
            } else if is_dead != (Fate::of(&job) == Fate::Hopeless) || is_done && is_dead {
                audit.misjudged.push(job);
            }
        }
        audit
    }

    pub(crate) fn is_right(&self) -> bool {
        self.lost.is_empty() && self.repeated_when_settled.is_empty() && self.misjudged.is_empty()
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} jobs: {} done, {} dead letters, {} lost",
            self.jobs,
            self.done,
            self.dead,
            self.lost.len()
        )?;
        write!(
            formatter,
            "{} effects repeated, {} of them of jobs that were not in flight",
            self.repeated,
            self.repeated_when_settled.len()
        )?;
        for (what, jobs) in [
            ("lost", &self.lost),
            ("settled, and repeated", &self.repeated_when_settled),
            ("misjudged", &self.misjudged),
        ] {
            if !jobs.is_empty() {
                write!(formatter, "\n{what}: {}", jobs[..jobs.len().min(10)].join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(id: &str, job: &str, begun: u128) -> Line {
        Line::Effect { id: id.into(), job: job.into(), begun }
    }

    fn settled(id: &str, when: u128) -> Line {
        Line::Settled { id: id.into(), when }
    }

    fn audit(lines: &[Line], dead: &[&str]) -> Audit {
        let jobs = ["p:1", "p:2", "p:100"].map(str::to_owned);
        Audit::of(jobs.into_iter(), lines, &dead.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn each_fault_is_found() {
        let right = [effect("1-0", "p:1", 1), settled("1-0", 5), effect("2-0", "p:2", 2)];
        assert!(audit(&right, &["p:100"]).is_right());
        assert_eq!(audit(&right[..2], &["p:100"]).lost, ["p:2"]);
        assert_eq!(audit(&right, &[]).lost, ["p:100"]);
        assert_eq!(audit(&right, &["p:100", "p:1"]).misjudged, ["p:1"]);
        // In flight when it was taken over, and repeated: as it may be.
        let taken = [&right[..], &[effect("1-0", "p:1", 4)]].concat();
        let found = audit(&taken, &["p:100"]);
        assert!(found.is_right() && found.repeated == 1);
        let again = [&right[..], &[effect("1-0", "p:1", 6)]].concat();
        assert_eq!(audit(&again, &["p:100"]).repeated_when_settled, ["p:1"]);
    }
}
