//! The examples that compute, print their figures and end.

use super::{figure, run, stdout};

#[test]
fn a_dump_has_every_fiber() {
    let text = stdout(&run("dump_many", &["--fibers", "2000"]));
    let fibers: usize = text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    assert!(fibers >= 2000, "{text}");
}

#[test]
fn the_sick_program_shows_what_ails_it() {
    let text = stdout(&run("sick", &["--once"]));
    for illness in [
        "DEADLOCK: 2 fibers",
        "'transfer a to b' waits for the mutex",
        "'config reload' [notification, ",
        "'request' [sleep, ",
        ", request=4711, user=ada",
        "fibers that nobody can wake any more",
        "'report' [running]",
    ] {
        assert!(text.contains(illness), "no {illness} in {text}");
    }
}

#[test]
fn skynet_adds_up_its_leaves() {
    let text = stdout(&run("skynet", &["--depth", "3", "--workers", "2"]));
    assert_eq!(figure(&text, "leaves"), 1000.0);
    assert_eq!(figure(&text, "fibers"), 1111.0);
    assert_eq!(figure(&text, "sum"), 499_500.0);
    assert_eq!(figure(&stdout(&run("skynet", &["--depth", "0"])), "sum"), 0.0);
}

#[test]
fn million_parks_and_wakes_its_fibers() {
    let text = stdout(&run("million", &["--fibers", "2000", "--stack", "64"]));
    assert_eq!(figure(&text, "fibers asleep"), 2000.0);
    assert!(figure(&text, "memory of each") > 4000.0, "{text}");
    assert!(text.contains("bytes of page tables"), "{text}");
    assert!(figure(&text, "to wake and join") >= 0.0);
}

/// Five gigabytes for some seconds: the size that the example is about. Without optimisation it takes a minute; three times as many
/// fibers as the stock limit of mappings allows show the same.
#[test]
fn a_million_fibers_are_parked_on_guarded_stacks_under_the_stock_limit_of_mappings() {
    let fibers = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    let text = stdout(&run("million", &["--fibers", &fibers.to_string()]));
    assert_eq!(figure(&text, "fibers asleep"), f64::from(fibers));
    assert!(figure(&text, "memory mappings") < 10_000.0, "{text}");
}

#[test]
fn generator_prints_its_sequences() {
    let text = stdout(&run("generator", &["--count", "10"]));
    assert!(text.lines().any(|line| line.trim() == "0 1 1 2 3 5 8 13 21 34"), "{text}");
    assert!(text.lines().any(|line| line.trim() == "4 2 5 1 6 3 7"), "{text}");
    let largest = stdout(&run("generator", &["--count", "93"]));
    assert!(largest.contains(" 7540113804746346429\n"), "{largest}");
}

#[test]
fn pipeline_passes_everything_on_or_stops_in_time() {
    for buffer in ["0", "8"] {
        let text = stdout(&run("pipeline", &["--items", "1000", "--stages", "5", "--buffer", buffer]));
        assert_eq!((figure(&text, "items"), figure(&text, "sum")), (1000.0, 504_500.0));
        assert!(text.contains("which are all") && figure(&text, "messages/s") > 0.0, "{text}");
    }
    let text = stdout(&run("pipeline", &["--items", "1000000000000", "--seconds", "0.05"]));
    assert!(figure(&text, "items") < 1e12 && text.contains("when the time was up"), "{text}");
}
