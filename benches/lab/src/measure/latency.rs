//! Peak throughput in a closed loop, and latency at fixed rates.

use std::fs::read_to_string;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{self, Usage};
use super::{Bench, target, why};
use crate::child::Server;
use crate::data::{Latency, Peak};
use crate::load::{self, Pace, Plan, Report};
use crate::models::Model;

impl Bench<'_, '_> {
    /// As many requests as the model takes.
    pub(super) fn peak(&mut self, model: &'static Model, repetition: u32) {
        let mut row = Peak { model: model.name.to_owned(), repetition, ..Peak::default() };
        if let Err(note) = self.fill_peak(model, &mut row) {
            row.note = Some(note);
        }
        self.run.peaks.push(row);
    }

    fn fill_peak(&self, model: &Model, row: &mut Peak) -> Result<(), String> {
        let mut server = self.start_warm(model).map_err(|error| error.to_string())?;
        let plan = self.plan(&server, model, Pace::Closed);
        let (report, used) = watched(&server, &plan).map_err(|error| why(&mut server, &error))?;
        if let Some(failure) = server.failure() {
            return Err(failure);
        }
        if report.answered == 0 {
            return Err(format!("no request was answered: {:?}", report.errors));
        }
        row.requests_per_second = report.rate;
        row.cpu_us_per_request = used.map(|used| used.cpu_seconds * 1e6);
        row.switches_per_request = used.map(|used| used.switches);
        if row.repetition == 1 {
            row.syscalls_per_request = count_syscalls(&server, &plan);
        }
        let errors = report.errors.total();
        if errors > report.answered / 100 {
            row.note = Some(format!("{errors} of {} requests failed: {:?}", report.due, report.errors));
        }
        Ok(())
    }

    /// Requests at a share of the rate that the model sustains.
    pub(super) fn latency(&mut self, model: &'static Model, share: f64, repetition: u32) {
        let Some(sustained) = self.sustained_rate(model) else { return };
        let offered = sustained * share;
        let mut row =
            Latency { model: model.name.to_owned(), repetition, share, offered, ..Latency::default() };
        if let Err(note) = self.fill_latency(model, &mut row) {
            row.note = Some(note);
        }
        self.run.latencies.push(row);
    }

    fn fill_latency(&self, model: &Model, row: &mut Latency) -> Result<(), String> {
        let mut server = self.start_warm(model).map_err(|error| error.to_string())?;
        let plan = self.plan(&server, model, Pace::Open { rate: row.offered });
        let (report, used) = watched(&server, &plan).map_err(|error| why(&mut server, &error))?;
        if let Some(failure) = server.failure() {
            return Err(failure);
        }
        let us = |ns: u64| ns as f64 / 1e3;
        let latency = &report.latency;
        row.achieved = report.rate;
        (row.p50_us, row.p99_us) = (us(latency.p50_ns), us(latency.p99_ns));
        (row.p999_us, row.max_us) = (us(latency.p999_ns), us(latency.max_ns));
        row.send_lag_p99_us = us(report.lag.p99_ns);
        row.cpu_us_per_request = used.map(|used| used.cpu_seconds * 1e6);
        row.valid = report.is_valid() && report.answered > 0;
        row.note = (!report.invalid.is_empty()).then(|| report.invalid.join("; "));
        Ok(())
    }

    /// The ordinary load on `server`, with a warm-up.
    pub(super) fn plan(&self, server: &Server, model: &Model, pace: Pace) -> Plan {
        let mut plan = Plan::new(target(server, "/"), pace, self.connections(model), self.settings.time);
        plan.warmup = self.settings.time / 5;
        plan
    }
}

/// What a request costs its model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerRequest {
    pub(crate) cpu_seconds: f64,
    switches: f64,
}

/// Loads `server`, and looks at what it uses from a tenth of the measured time to nine tenths: as long as all connections
/// are open, and the threads and processes that serve them are alive.
pub(crate) fn watched(server: &Server, plan: &Plan) -> io::Result<(Report, Option<PerRequest>)> {
    let look = || (Instant::now(), process::usage(server));
    let (report, looks) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            thread::sleep(plan.warmup + plan.duration / 10);
            let first = look();
            thread::sleep(plan.duration * 8 / 10);
            (first, look())
        });
        (load::run(plan), watcher.join().expect("reading files does not panic"))
    });
    let report = report?;
    let ((began, before), (ended, after)) = looks;
    let requests = report.rate * (ended - began).as_secs_f64();
    Ok((report, per_request(before, after, requests)))
}

/// `None` without requests, or if a process has ended, and taken its counts along.
fn per_request(before: Usage, after: Usage, requests: f64) -> Option<PerRequest> {
    let switches = after.switches.checked_sub(before.switches)? as f64 / requests;
    let cpu_seconds = (after.cpu_seconds - before.cpu_seconds) / requests;
    (requests > 0.0 && cpu_seconds >= 0.0).then_some(PerRequest { cpu_seconds, switches })
}

/// How long system calls are counted.
const COUNTED: Duration = Duration::from_millis(200);

/// How long to wait for strace to take hold of every thread of a model.
const ATTACHED: Duration = Duration::from_secs(2);

/// Whether every thread of the model has a tracer.
fn is_traced(server: &Server) -> bool {
    let tasks = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let has_tracer = |status: String| {
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|tracer| tracer.trim() != "0")
    };
    // A thread that has just ended needs none.
    server
        .processes()
        .into_iter()
        .flat_map(tasks)
        .all(|task| read_to_string(task.path().join("status")).map_or(true, has_tracer))
}

/// System calls per request, where strace is at hand and allowed. It slows the model down, so nothing is timed.
fn count_syscalls(server: &Server, plan: &Plan) -> Option<f64> {
    let file = std::env::temp_dir().join(format!("abaca-lab-strace-{}", server.pid()));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-o"]).arg(&file);
    for pid in server.processes() {
        strace.args(["-p", &pid.to_string()]);
    }
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = strace.spawn().ok()?;
    let patience = Instant::now() + ATTACHED;
    while !is_traced(server) && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    let report = load::run(&Plan { duration: COUNTED, warmup: Duration::ZERO, ..plan.clone() });
    let pid = rustix::process::Pid::from_child(&strace);
    // It writes its counts when it is interrupted, and lets go of the model.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    let ended = strace.wait();
    let text = std::fs::read_to_string(&file).ok();
    let _ = std::fs::remove_file(&file);
    ended.ok()?;
    let text = text?;
    let total = text.lines().find(|line| line.trim_end().ends_with("total"))?;
    let calls: f64 = total.split_whitespace().next()?.parse().ok()?;
    let answered = report.ok()?.answered;
    (answered > 0).then(|| calls / answered as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_processes_that_took_their_counts_along() {
        let usage = |cpu_seconds, switches| Usage { cpu_seconds, switches };
        let used = per_request(usage(1.0, 10), usage(2.0, 60), 100.0).expect("it used something");
        assert_eq!((used.cpu_seconds, used.switches), (0.01, 0.5));
        assert!(per_request(usage(1.0, 10), usage(2.0, 9), 100.0).is_none());
        assert!(per_request(usage(2.0, 10), usage(1.0, 60), 100.0).is_none());
        assert!(per_request(usage(1.0, 10), usage(2.0, 60), 0.0).is_none());
    }
}
