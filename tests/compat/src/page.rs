//! The page of the guide.

use std::fmt::Write as _;

use crate::row::Row;

const HEAD: &str = "Blocking crates and C libraries that run on fibers as they are.

This page is made by `bash .ci/run compat`, which fails if one of these does not hold:

* The server has ten calls of one worker at once.
* Their results are those of OS threads.
* A deadline of 50 ms ends a call, unless it waits for another thread of the process.
* If the server goes away in the middle, the client's error is that of an OS thread.

\"Works\" means besides that ten calls of 200 ms took at most 400 ms, beside a ticker that was at most 10 ms late: the best of three attempts,
on a machine that did other things as well.

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
