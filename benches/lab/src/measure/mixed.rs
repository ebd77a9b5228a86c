//! What ordinary requests see while some clients do what they should not, and when every request waits for a backend.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{Bench, target, why};
use crate::child::Server;
use crate::data::Mixed;
use crate::load::{self, Pace, Plan};
use crate::models::Model;

/// A kind of trouble.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What the measured requests ask for.
    path: &'static str,
    /// How many of them, in requests per second; less on a model that sustains few.
    rate: f64,
    trouble: fn(&Server, &Plan) -> Vec<TcpStream>,
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "1 % of requests burning 20 ms", path: "/", rate: 2000.0, trouble: burners },
    Scenario { name: "200 clients that read slowly", path: "/", rate: 2000.0, trouble: slow_readers },
    Scenario { name: "a burst of 500 connects", path: "/", rate: 2000.0, trouble: burst },
    Scenario {
        name: "every request waiting 5 ms for a backend",
        path: "/work?cpu_us=20&wait_ms=5",
        rate: 1000.0,
        trouble: none,
    },
];

impl Bench<'_, '_> {
    /// The latency of ordinary requests under trouble.
    pub(super) fn mixed(&mut self, model: &'static Model, scenario: &Scenario, repetition: u32) {
        let mut row = Mixed {
            model: model.name.to_owned(),
            repetition,
            scenario: scenario.name.to_owned(),
            ..Mixed::default()
        };
        if let Err(note) = self.fill_mixed(model, scenario, &mut row) {
            row.note = Some(note);
        }
        self.run.mixed.push(row);
    }

    fn fill_mixed(&self, model: &Model, scenario: &Scenario, row: &mut Mixed) -> Result<(), String> {
        let mut server = self.start_warm(model).map_err(|error| error.to_string())?;
        let most = self.sustained_rate(model).map_or(scenario.rate, |rate| rate / 3.0);
        let mut plan = self.plan(&server, model, Pace::Open { rate: scenario.rate.min(most) });
        plan.target = target(&server, scenario.path);
        // Half of what a model serves at a time is left to the trouble.
        plan.connections = (plan.connections / 2).max(1);
        let report = thread::scope(|scope| {
            let trouble = scope.spawn(|| (scenario.trouble)(&server, &plan));
            let report = load::run(&plan);
            // Its connections stay open until here.
            drop(trouble.join());
            report
        });
        let report = report.map_err(|error| why(&mut server, &error))?;
        if let Some(failure) = server.failure() {
            return Err(failure);
        }
        if report.answered == 0 {
            return Err(format!("no request was answered: {:?}", report.errors));
        }
        let us = |ns: u64| ns as f64 / 1e3;
        (row.p50_us, row.p99_us) = (us(report.latency.p50_ns), us(report.latency.p99_ns));
        (row.p999_us, row.max_us) = (us(report.latency.p999_ns), us(report.latency.max_ns));
        row.send_lag_p99_us = us(report.lag.p99_ns);
        Ok(())
    }
}

fn none(_server: &Server, _plan: &Plan) -> Vec<TcpStream> {
    Vec::new()
}

/// One request in a hundred keeps a CPU busy for 20 ms.
fn burners(server: &Server, plan: &Plan) -> Vec<TcpStream> {
    let Pace::Open { rate } = plan.pace else { return Vec::new() };
    let mut slow = plan.clone();
    slow.target = target(server, "/work?cpu_us=20000&wait_ms=0");
    slow.pace = Pace::Open { rate: rate / 100.0 };
    slow.connections = slow.connections.min(16);
    // What becomes of them is not measured.
    let _ = load::run(&slow);
    Vec::new()
}

/// Clients that send many requests, have little room for answers, and take few bytes at a time: the model's writes come to
/// block, and go on, again and again.
fn slow_readers(server: &Server, plan: &Plan) -> Vec<TcpStream> {
    let requests = b"GET / HTTP/1.1\r\nhost: lab\r\n\r\n".repeat(2000);
    let open = |_| {
        let socket = Socket::new(Domain::for_address(server.address()), Type::STREAM, None).ok()?;
        socket.set_recv_buffer_size(4096).ok()?;
        socket.connect(&server.address().into()).ok()?;
        socket.set_nonblocking(true).ok()?;
        let mut stream = TcpStream::from(socket);
        // As many as fit; half a request at the end does not matter.
        let _ = stream.write(&requests);
        Some(stream)
    };
    let ends = Instant::now() + plan.warmup + plan.duration;
    let mut streams: Vec<TcpStream> = (0..200).filter_map(open).collect();
    while Instant::now() < ends {
        for stream in &mut streams {
            let _ = stream.read(&mut [0; 64]);
        }
        thread::sleep(SLOW_READ);
    }
    streams
}

/// How long a slow reader waits before it reads again.
const SLOW_READ: Duration = Duration::from_millis(50);

/// Clients that connect all at once and say nothing.
fn burst(server: &Server, plan: &Plan) -> Vec<TcpStream> {
    thread::sleep(plan.warmup + plan.duration / 3);
    (0..500).filter_map(|_| TcpStream::connect(server.address()).ok()).collect()
}
