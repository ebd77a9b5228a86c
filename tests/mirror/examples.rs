//! Every example of the mirrored pages: compiled, run, and held against what its authors say will happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use crate::form::{Example, std_page};
use crate::html::Fate;
use crate::pages::{self, Exception, Page};
use crate::play::{Ending, Place};
use crate::stage::{Rejections, Stage};
use crate::{html, play, source, swap};

/// One example on its way through the test.
struct Case {
    page: &'static Page,
    name: String,
    fate: Fate,
    code: String,
    exception: Option<Exception>,
}

/// How often an example is played anew that claims how long it takes: it allows for some milliseconds, and so must the machine.
const TRIES: usize = 50;

/// Whether sockets can have addresses of IPv6 here.
fn has_ipv6() -> bool {
    static HAS: LazyLock<bool> = LazyLock::new(|| std::net::UdpSocket::bind("[::1]:0").is_ok());
    *HAS
}

/// Runs all examples; panics with a report if one does not do what its authors say.
pub(crate) fn check() {
    let mut complaints = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for page in pages::std_pages() {
        cases.extend(collect(page, html::examples(&std_page(page.original)), &mut complaints));
    }
    let name = if crate::form().is_unchanged() { "unchanged" } else { "mirror" };
    let sources = Stage::new(&format!("{name}-sources"));
    for page in pages::crossbeam_files() {
        cases.extend(collect(page, source::examples(&sources.dependency(page.original)), &mut complaints));
    }

    let stage = Stage::new(name);
    let (rejected, accepted): (BTreeMap<_, _>, BTreeMap<_, _>) = cases
        .iter()
        .enumerate()
        .map(|(number, case)| (number, case.code.clone()))
        .partition(|(number, _)| cases[*number].must_be_rejected());
    let rejections = stage.build(&accepted, &rejected);
    let plays = cases
        .iter()
        .enumerate()
        .filter(|(number, case)| !rejections.contains_key(number) && case.is_run())
        .flat_map(|(number, case)| case.places().iter().map(move |place| (number, *place)))
        .collect();
    let mut endings = play::play(&stage, plays);
    // What claims how long it takes is disturbed by what runs beside it.
    let is_late =
        |ending: &Ending| cases[ending.number].claims_a_time() && !cases[ending.number].expects(ending);
    for _ in 0..TRIES {
        for late in endings.iter_mut().filter(|ending| is_late(ending)) {
            *late = play::play(&stage, vec![(late.number, late.place)]).remove(0);
        }
    }
    if !has_ipv6() {
        println!("there is no IPv6 here: what binds an address of it is not run");
    }
    for (number, case) in cases.iter().enumerate() {
        let endings: Vec<_> = endings.iter().filter(|ending| ending.number == number).collect();
        complaints.extend(case.complaint(number, &rejections, &endings));
    }

    let report = report(&cases, &endings, &complaints);
    let kept = stage.keep_report(&report);
    println!("{report}");
    assert!(complaints.is_empty(), "{} complaints, see above and in {}", complaints.len(), kept.display());
}

/// The examples of a page that a stable compiler takes and its authors test.
fn collect(page: &'static Page, examples: Vec<Example>, complaints: &mut Vec<String>) -> Vec<Case> {
    let tested = examples
        .into_iter()
        .filter(|example| example.fate != Fate::Ignored && !example.code.contains("#![feature("));
    let mut cases = Vec::new();
    let mut used = BTreeSet::new();
    for example in tested {
        let name = match example.nth {
            0 => example.section,
            nth => format!("{}#{nth}", example.section),
        };
        let exception =
            page.exceptions.iter().find(|(named, _)| *named == name).map(|(_, exception)| *exception);
        let own = if let Some(Exception::With(own)) = exception { own } else { &[] };
        let mut code = swap::swap(&example.code, pages::paths());
        for (text, stand_in) in own.iter().chain(page.stand_ins) {
            if code.contains(text) {
                code = code.replace(text, stand_in);
                used.insert(*text);
            }
        }
        cases.push(Case { page, name, fate: example.fate, code, exception });
    }
    let mut complain = |what: String| complaints.push(format!("{}: {what}", page.original));
    if cases.len() != page.examples {
        complain(format!("the table says {} examples, and there are {}", page.examples, cases.len()));
    }
    for (named, exception) in page.exceptions {
        if !cases.iter().any(|case| case.name == *named) {
            complain(format!("an exception for {named}, which is not there"));
        }
        let own = if let Exception::With(own) = *exception { own } else { &[] };
        for (text, _) in own.iter().filter(|(text, _)| !used.contains(text)) {
            complain(format!("a stand-in for {text}, which is not in {named}"));
        }
    }
    for (text, _) in page.stand_ins.iter().filter(|(text, _)| !used.contains(text)) {
        complain(format!("a stand-in for {text}, which is in no example"));
    }
    cases
}

impl Case {
    fn must_be_rejected(&self) -> bool {
        // As they are, those that abaca rejects are std's.
        let is_ours = matches!(self.exception, Some(Exception::Rejected(_))) && !crate::form().is_unchanged();
        self.fate == Fate::Rejected || is_ours
    }

    fn is_run(&self) -> bool {
        let can_run = has_ipv6() || !self.code.contains("\"[::1]:0\"");
        can_run && !self.must_be_rejected() && !matches!(self.exception, Some(Exception::CompiledOnly(_)))
    }

    /// Who starts a fiber needs a runtime; everything else works on a plain thread as well.
    fn places(&self) -> &'static [Place] {
        let starts_fibers = self.code.contains("abaca::fiber") && self.code.contains("spawn");
        if starts_fibers || crate::form().is_unchanged() {
            &[Place::Fiber]
        } else {
            &[Place::Fiber, Place::Thread]
        }
    }

    fn claims_a_time(&self) -> bool {
        self.code.contains("Instant::now()")
    }

    fn expected(&self) -> i32 {
        if self.fate == Fate::Panics { 101 } else { 0 }
    }

    fn expects(&self, ending: &Ending) -> bool {
        ending.code == Some(self.expected())
    }

    /// What is wrong with how it went, if anything.
    fn complaint(&self, number: usize, rejections: &Rejections, endings: &[&Ending]) -> Option<String> {
        let title = format!("{} {} (e{number}.rs)", self.page.original, self.name);
        let rejection = rejections.get(&number);
        if self.must_be_rejected() {
            return rejection.is_none().then(|| format!("{title}: compiles, which it should not"));
        }
        if let Some(messages) = rejection {
            return Some(format!("{title}: does not compile\n{messages}"));
        }
        let failed: Vec<_> = endings.iter().filter(|ending| !self.expects(ending)).collect();
        let mut text = title;
        for Ending { place, code, words, .. } in &failed {
            write!(text, "\nin a {place:?}: exit code {code:?}, not {}\n{words}", self.expected())
                .expect("a string");
        }
        (!failed.is_empty()).then_some(text)
    }

    fn reason(&self) -> Option<&'static str> {
        match self.exception? {
            Exception::CompiledOnly(reason) | Exception::Rejected(reason) => Some(reason),
            Exception::With(_) => None,
        }
    }
}

/// The table of pages, the exceptions with their reasons, and the complaints.
fn report(cases: &[Case], endings: &[Ending], complaints: &[String]) -> String {
    let mut text = format!(
        "{:44} {:38} {:>8} {:>5} {:>6} {:>8}\n",
        "original", "ours", "examples", "runs", "passed", "excepted"
    );
    for page in pages::std_pages().chain(pages::crossbeam_files()) {
        let of_page = |number: usize| cases[number].page.original == page.original;
        let all = (0..cases.len()).filter(|number| of_page(*number)).count();
        let excepted = cases
            .iter()
            .filter(|case| case.page.original == page.original && case.reason().is_some())
            .count();
        let runs = endings.iter().filter(|ending| of_page(ending.number)).count();
        let failed =
            complaints.iter().filter(|text| text.starts_with(&format!("{} ", page.original))).count();
        let (original, ours, passed) =
            (page.original, page.ours, all - excepted - failed.min(all - excepted));
        writeln!(text, "{original:44} {ours:38} {all:>8} {runs:>5} {passed:>6} {excepted:>8}")
            .expect("a string");
    }
    text.push_str("\nexceptions:\n");
    for (case, reason) in cases.iter().filter_map(|case| Some((case, case.reason()?))) {
        writeln!(text, "  {} {}: {reason}", case.page.original, case.name).expect("a string");
    }
    if !complaints.is_empty() {
        text.push_str("\ncomplaints:\n");
        for complaint in complaints {
            writeln!(text, "  {}", complaint.replace('\n', "\n      ")).expect("a string");
        }
    }
    text
}
