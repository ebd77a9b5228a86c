//! The page of the guide.

use std::fmt::Write as _;

use crate::row::Row;

const HEAD: &str = "Crates that block and C libraries, as they are, on fibers of **one** worker.

The matrix writes this page (`bash .ci/run compat`). It starts the servers, makes ten calls at once, and fails if one of these does not hold:

* The server has all ten calls at the same time.
* Their results are those of OS threads.
* A deadline of 50 ms ends a call, unless it waits for another thread of the process by a lock or a channel: that goes on.
* If the server is killed or closes the connection in the middle, the client's error is that of an OS thread.

All of it holds as well if the threads that the libraries start are fibers (`--threads-are-fibers`), which the step tries afterwards.

\"Works\" means besides that ten calls of 200 ms took at most 400 ms, beside a ticker that was at most 10 ms late: the best of three attempts, on
a machine of two processors that did other things as well. What it missed is in the verdict. Figures and versions are those of the last run in
which no program failed; a test checks that each has its row. A call that a deadline ends sees the error ECANCELED; std's `Command::output` panics then, which the
timeout takes for its end as well.

| program | version | at once | ms | ms on OS threads | neighbour late by, ms | deadline | server goes away | verdict |
|---|---|---|---|---|---|---|---|---|
";

pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = String::from(HEAD);
    for row in rows {
        let late = row.late.as_secs_f64() * 1000.0;
        let (fibers, threads) = (row.fibers.as_millis(), row.threads.as_millis());
        let (name, version, at_once, verdict) = (row.name, &row.version, row.at_once, row.verdict());
        writeln!(
            page,
            "| {name} | {version} | {at_once} | {fibers} | {threads} | {late:.1} | {} | {} | {verdict} |",
            row.deadline, row.gone
        )
        .unwrap();
    }
    page
}
