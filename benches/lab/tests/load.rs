//! The load generator sends what the plan says: counted by servers that record what arrives.

mod recorder;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use abaca_lab::load::{Pace, Plan, run};

use recorder::{OK, Seen, record};

fn requests(seen: &Seen) -> u64 {
    seen.arrivals().len() as u64
}

/// Waits until a server has seen so many, which are on their way to it; then it must have seen no more.
fn assert_seen(count: impl Fn() -> u64, expected: u64) {
    while count() < expected {
        thread::yield_now();
    }
    assert_eq!(count(), expected);
}

fn plan(server: SocketAddr, pace: Pace) -> Plan {
    let target = format!("http://{server}/").parse().expect("a target");
    Plan { patience: Duration::from_secs(20), ..Plan::new(target, pace, 8, Duration::from_millis(400)) }
}

const RATE: Pace = Pace::Open { rate: 1000.0 };

/// Requests that are due in the window of `plan` at `RATE`; rounding may move one over its end.
fn is_planned(count: u64) -> bool {
    (399..=401).contains(&count)
}

#[test]
fn an_open_loop_sends_each_request_that_is_due_and_no_other() {
    let (server, seen) = record(OK, usize::MAX);
    let report = run(&plan(server, RATE)).expect("the server listens");
    assert!(is_planned(report.due), "{report}");
    assert_eq!(requests(&seen), report.due);
    assert_eq!((report.answered, report.errors.total()), (report.due, 0));
    assert_eq!((report.latency.count, report.lag.count), (report.due, report.due));
    assert_eq!(report.latency.buckets.iter().map(|bucket| bucket.1).sum::<u64>(), report.due);
    // One to see that there is a server. Those that carried no request may be accepted late.
    assert_seen(|| seen.connections.load(Ordering::Relaxed), 8 + 1);
}

#[test]
fn what_is_due_while_the_server_stalls_counts_with_the_time_it_waited() {
    let (server, seen) = record("", usize::MAX);
    // A generator that is late by less than its patience hands out everything that is due.
    let stalled = Plan { patience: Duration::from_secs(3), ..plan(server, RATE) };
    let report = run(&stalled).expect("the server listens");
    assert!(is_planned(report.due), "{report}");
    assert_eq!((report.answered, report.errors.unanswered), (0, report.due));
    // Those that no connection was free for count as much as the eight that were sent.
    assert_eq!(report.latency.count, report.due);
    assert_seen(|| requests(&seen), 8);
    assert!(report.latency.max_ns >= 400_000_000, "the first was due 400 ms before the end: {report}");
}

#[test]
fn warm_up_is_sent_and_not_counted() {
    let (server, seen) = record(OK, usize::MAX);
    let warm = Plan { warmup: Duration::from_millis(200), ..plan(server, RATE) };
    let report = run(&warm).expect("the server listens");
    assert!(is_planned(report.due), "{report}");
    assert!((199..=201).contains(&(requests(&seen) - report.due)));
    assert_eq!((report.answered, report.latency.count), (report.due, report.due));
}

#[test]
fn a_closed_loop_counts_what_the_server_counts() {
    let (server, seen) = record(OK, usize::MAX);
    let report = run(&plan(server, Pace::Closed)).expect("the server listens");
    assert!(report.is_valid() && report.planned_rate.is_none());
    assert_eq!(report.due, requests(&seen));
    assert_eq!((report.answered, report.latency.count), (report.due, report.due));
    assert!(report.answered > 0);
}

#[test]
fn without_keep_alive_each_request_has_a_connection() {
    let (server, seen) = record("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 1);
    let report = run(&Plan { keep_alive: false, ..plan(server, RATE) }).expect("the server listens");
    assert_eq!((report.answered, report.errors.total()), (report.due, 0), "{report}");
    assert_eq!(seen.connections.load(Ordering::Relaxed), report.due + 1);
}

#[test]
fn failures_are_counted_by_their_kind() {
    let (server, seen) = record("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", usize::MAX);
    let report = run(&plan(server, RATE)).expect("the server listens");
    assert_eq!((report.answered, report.errors.status), (0, requests(&seen)));
    assert_eq!(report.latency.count, 0, "a failure is no latency");

    // It closes connections after half an answer.
    let (server, seen) = record("HTTP/1.1 200 OK\r\nContent-Le", 1);
    let report = run(&plan(server, RATE)).expect("the server listens");
    assert_eq!((report.answered, report.errors.broken), (0, requests(&seen)));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    // The listener is gone at the end of the statement, and nobody else binds a port of this address.
    let nobody = TcpListener::bind("127.3.0.2:0").and_then(|it| it.local_addr()).expect("a port");
    let error = run(&plan(nobody, RATE)).expect_err("nobody listens");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
