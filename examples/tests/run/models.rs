//! The examples of the programming models: supervised actors, a chat, a crawler.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use super::{Server, figure, run, stdout};

#[test]
fn supervised_actors_fail_and_are_started_anew() {
    let text = stdout(&run("supervised", &["--actors", "1000", "--poison", "7"]));
    assert_eq!(figure(&text, "jobs done"), 857.0);
    assert_eq!(figure(&text, "failed"), 143.0);
    assert_eq!(figure(&text, "alive"), 1000.0);
    assert!(figure(&text, "memory of each") > 0.0 && text.contains("the supervisor shut down"), "{text}");
}

#[test]
fn a_hundred_thousand_actors_are_supervised() {
    // Without optimisation as many take a minute.
    let actors = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let text = stdout(&run("supervised", &["--actors", &actors.to_string()]));
    assert_eq!(figure(&text, "failed"), f64::from(actors / 10));
    assert_eq!(figure(&text, "alive"), f64::from(actors));
}

#[test]
fn crawler_visits_each_page_once_and_gives_up_silent_ones() {
    let text = stdout(&run("crawler", &["--pages", "300", "--silent", "1000", "--deadline", "60"]));
    assert_eq!(figure(&text, "pages fetched"), 300.0);
    assert_eq!(figure(&text, "pages given up"), 0.0);
    // Page 2 never comes, so nor do the pages below it.
    let arguments = ["--pages", "7", "--silent", "3", "--deadline", "2", "--at-once", "1"];
    let text = stdout(&run("crawler", &arguments));
    assert_eq!(figure(&text, "pages fetched"), 4.0);
    assert_eq!(figure(&text, "pages given up"), 1.0);
}

/// A member of a chat.
struct Member {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Member {
    fn new(server: &Server, name: &str) -> Self {
        let stream = server.connect();
        let lines = BufReader::new(stream.try_clone().expect("an open socket"));
        let mut member = Self { stream, lines };
        member.says(name);
        member.hears(&format!("* {name} comes in"));
        member
    }

    fn says(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).expect("the server reads");
    }

    fn hears(&mut self, expected: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert_eq!(line.trim_end(), expected);
    }
}

/// Presses Ctrl-C.
fn interrupt(server: &Server) {
    let kill = Command::new("kill").args(["-INT", &server.child.id().to_string()]).status();
    assert!(kill.expect("every system has it").success());
}

#[test]
fn chat_passes_lines_on_within_rooms_and_ends_when_all_have_left() {
    let server = Server::start("chat", &["--grace", "60"]);
    let mut ann = Member::new(&server, "ann");
    let mut ben = Member::new(&server, "ben");
    ann.hears("* ben comes in");
    ann.says("hello");
    ann.hears("ann: hello");
    ben.hears("ann: hello");
    ben.says("/join attic");
    ann.hears("* ben goes to attic");
    ben.hears("* ben goes to attic");
    ben.hears("* ben comes in");
    ben.says("dusty");
    ben.hears("ben: dusty");
    drop(Member::new(&server, "eve"));
    ann.hears("* eve comes in");
    ann.hears("* eve leaves");
    interrupt(&server);
    // The server closes its side; the members leave, and nobody is cut off.
    ann.hears("");
    ben.hears("");
    drop((ann, ben));
    assert_eq!(server.ends_well(), "2 members were there; 0 did not leave in time\n");
}

#[test]
fn chat_cuts_off_members_that_do_not_leave() {
    let server = Server::start("chat", &["--grace", "0.05"]);
    let mut ann = Member::new(&server, "ann");
    interrupt(&server);
    ann.hears("");
    assert_eq!(server.ends_well(), "1 members were there; 1 did not leave in time\n");
}
