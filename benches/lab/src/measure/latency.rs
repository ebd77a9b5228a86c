//! Peak throughput in a closed loop, and latency at fixed rates.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Bench, process, target, why};
use crate::child::Server;
use crate::data::{Latency, Peak};
use crate::load::{self, Pace, Plan};
use crate::zoo::Model;

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
        let mut plan = self.plan(&server, model, Pace::Closed);
        let warmup = std::mem::take(&mut plan.warmup);
        let warm = Plan { duration: warmup, ..plan.clone() };
        load::run(&warm).map_err(|error| why(&mut server, &error))?;
        let before = process::usage(&server);
        let report = load::run(&plan).map_err(|error| why(&mut server, &error))?;
        let after = process::usage(&server);
        if let Some(failure) = server.failure() {
            return Err(failure);
        }
        if report.answered == 0 {
            return Err(format!("no request was answered: {:?}", report.errors));
        }
        let answered = report.answered as f64;
        row.requests_per_second = report.rate;
        row.cpu_us_per_request = Some((after.cpu_seconds - before.cpu_seconds) * 1e6 / answered);
        // Threads that have ended took their counts along.
        row.switches_per_request =
            after.switches.checked_sub(before.switches).map(|switches| switches as f64 / answered);
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
        let before = process::usage(&server);
        let report = load::run(&plan).map_err(|error| why(&mut server, &error))?;
        let after = process::usage(&server);
        if let Some(failure) = server.failure() {
            return Err(failure);
        }
        let us = |ns: u64| ns as f64 / 1e3;
        let latency = &report.latency;
        row.achieved = report.rate;
        (row.p50_us, row.p99_us) = (us(latency.p50_ns), us(latency.p99_ns));
        (row.p999_us, row.max_us) = (us(latency.p999_ns), us(latency.max_ns));
        row.send_lag_p99_us = us(report.lag.p99_ns);
        let all = report.answered as f64 * (plan.duration + plan.warmup).div_duration_f64(plan.duration);
        row.cpu_us_per_request =
            (report.answered > 0).then(|| (after.cpu_seconds - before.cpu_seconds) * 1e6 / all);
        row.valid = report.is_valid() && report.answered > 0;
        row.note = (!report.invalid.is_empty()).then(|| report.invalid.join("; "));
        Ok(())
    }

    /// The ordinary load on `server`, with a warm-up.
    pub(super) fn plan(&self, server: &Server, model: &Model, pace: Pace) -> Plan {
        let mut plan = Plan::new(target(server, "/"), pace, self.connections(model), self.course.time);
        plan.warmup = self.course.time / 5;
        plan
    }
}

/// How long system calls are counted.
const COUNTED: Duration = Duration::from_millis(200);

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
