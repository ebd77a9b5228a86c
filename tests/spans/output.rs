//! What tracing-subscriber writes of spans that are held over waits.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::{Dispatch, info, info_span};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::FmtSpan;

use super::runtime;

/// Lines that were written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn subscriber(&self, spans: FmtSpan) -> impl tracing::Subscriber + Send + Sync + use<> {
        let lines = self.clone();
        fmt()
            .with_writer(move || lines.clone())
            .with_ansi(false)
            .without_time()
            .with_span_events(spans)
            .finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().replace("spans::output: ", "")
    }
}

#[test]
fn an_event_has_the_spans_of_the_fiber_that_tells_it() {
    let lines = Lines::default();
    let dispatch = Dispatch::new(lines.subscriber(FmtSpan::NONE));
    runtime(1).run(|| {
        let request = |number: u32| {
            let mine = dispatch.clone();
            abaca::spawn_local(move || {
                let _default = tracing::dispatcher::set_default(&mine);
                let _request = info_span!("request", number).entered();
                info!("begins");
                abaca::yield_now();
                info_span!("query").in_scope(|| {
                    info!("asks");
                    abaca::yield_now();
                    info!("has it");
                });
                abaca::yield_now();
                info!("ends");
            })
        };
        let all = [request(1), request(2)];
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    let of = |number: u32| {
        let text = lines.text();
        let all = text.lines().map(|line| line.trim().trim_start_matches("INFO ").to_owned());
        all.filter(|line| line.contains(&format!("number={number}"))).collect::<Vec<_>>()
    };
    for number in [1, 2] {
        let request = format!("request{{number={number}}}");
        let expected = [
            format!("{request}: begins"),
            format!("{request}:query: asks"),
            format!("{request}:query: has it"),
            format!("{request}: ends"),
        ];
        assert_eq!(of(number), expected);
    }
    assert_eq!(lines.text().lines().count(), 8, "{}", lines.text());
}

#[test]
fn a_subscriber_is_told_that_a_fiber_leaves_and_enters_its_spans_at_each_wait() {
    let lines = Lines::default();
    let mine = lines.subscriber(FmtSpan::FULL);
    runtime(1).run(move || {
        tracing::subscriber::with_default(mine, || {
            let _outer = info_span!("outer").entered();
            info_span!("inner").in_scope(abaca::yield_now);
        });
    });
    let text = lines.text();
    let told =
        |line: &'_ str| line.split(" time.").next().unwrap().trim().trim_start_matches("INFO ").to_owned();
    let told: Vec<_> = text.lines().map(told).collect();
    let expected = [
        "outer: new",
        "outer: enter",
        "outer:inner: new",
        "outer:inner: enter",
        "outer:inner: exit",
        "outer: exit",
        "outer: enter",
        "outer:inner: enter",
        "outer:inner: exit",
        "outer:inner: close",
        "outer: exit",
        "outer: close",
    ];
    assert_eq!(told, expected, "{text}");
}
