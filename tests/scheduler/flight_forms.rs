//! The written forms of a recording: a trace of Perfetto, and a page for a browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use abaca::observe::flight::{self, Activity, Recorder, Recording, Turn};
use abaca_tests::{Tool, skip};

use super::flight::{check, runtime, spawn, with_both};
use super::protobuf::{Field, fields};

/// A recording with a bit of everything.
fn sample() -> Recording {
    let runtime = runtime(2, Recorder::new().stacks(1));
    runtime.run(|| {
        let (send, receive) = abaca::channel::bounded(0);
        let reader = spawn("</script>\"reader", move || {
            let _span = flight::span("reads <all>");
            receive.iter().for_each(|()| ());
        });
        (0..5).for_each(|_| send.send(()).unwrap());
        drop(send);
        reader.join().unwrap();
        abaca::sleep(Duration::from_millis(2));
    });
    runtime.recording().unwrap()
}

/// The only field with this number.
fn get(message: &[u8], number: u64) -> Option<Field<'_>> {
    fields(message).into_iter().find(|(field, _)| *field == number).map(|(_, value)| value)
}

#[test]
fn the_trace_has_what_perfetto_wants_by_field_numbers() {
    let recording = sample();
    let mut trace = Vec::new();
    recording.write_perfetto(&mut trace).unwrap();
    let (mut tracks, mut depth) = (Vec::new(), std::collections::BTreeMap::<u64, i32>::new());
    let (mut flows, mut flow_ends, mut names, mut last, mut slices) = (vec![], vec![], vec![], 0, 0);
    for (number, packet) in fields(&trace) {
        assert_eq!(number, 1, "a trace is packets");
        let packet = packet.bytes();
        assert_eq!(get(packet, 10).unwrap().number(), 1, "of one sequence");
        if let Some(track) = get(packet, 60) {
            tracks.push(get(track.bytes(), 1).unwrap().number());
            continue;
        }
        let time = get(packet, 8).unwrap().number();
        assert!(time >= last, "in order of time");
        last = time;
        let event = get(packet, 11).unwrap().bytes();
        let track = get(event, 11).unwrap().number();
        assert!(tracks.contains(&track), "track {track} was described");
        let depth = depth.entry(track).or_default();
        match get(event, 9).unwrap().number() {
            1 => {
                (*depth, slices) = (*depth + 1, slices + 1);
                names.push(String::from_utf8(get(event, 23).unwrap().bytes().to_vec()).unwrap());
            }
            2 => *depth -= 1,
            3 => {}
            other => panic!("an event of type {other}"),
        }
        assert!((0..=1).contains(depth), "slices of a track do not overlap");
        flows.extend(fields(event).iter().filter(|(field, _)| *field == 47).map(|(_, id)| id.fixed()));
        flow_ends.extend(fields(event).iter().filter(|(field, _)| *field == 48).map(|(_, id)| id.fixed()));
    }
    assert!(depth.values().all(|depth| *depth == 0), "each slice ends");
    let sleeps =
        recording.worker_events().iter().filter(|it| matches!(it.activity, Activity::Slept(_))).count();
    let spans = recording.notes().iter().filter(|note| note.end > note.begin).count();
    assert_eq!(slices, recording.turns().len() + sleeps + spans);
    assert!(
        names.iter().any(|name| name.starts_with("</script>\"reader #"))
            && names.iter().any(|name| name == "reads <all>")
    );
    let led = recording.wakeups().iter().filter(|wakeup| wakeup.turn.is_some()).count();
    flows.sort_unstable();
    flow_ends.sort_unstable();
    assert_eq!(flows.len(), led);
    assert_eq!(flows, flow_ends, "each flow has its two ends");
}

/// Renders the page, if this machine has a browser. Says so otherwise.
fn render(page: &std::path::Path, width: u32) -> Option<String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        std::process::Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    let Some(browser) = browser else {
        skip(Tool::Chromium, "the page is not rendered");
        return None;
    };
    let profile = page.with_extension(format!("profile{width}"));
    let output = std::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=2000"])
        .arg(format!("--window-size={width},800"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(profile);
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The rows of a table of the page, without its head.
fn rows<'a>(dom: &'a str, table: &str) -> Vec<&'a str> {
    let begin = format!("<table id=\"{table}\">");
    let (_, table) = dom.split_once(&begin).unwrap_or_else(|| panic!("no {begin} in {dom}"));
    let (table, _) = table.split_once("</table>").expect("the table ends");
    table.split("<tr>").skip(2).collect()
}

/// What the tables of the page have: one bar at least of the delays of a spawn site, the longest spans, and who woke whom.
fn check_tables(dom: &str) {
    let delays = rows(dom, "delays");
    let has_bars =
        |row: &&str| row.contains("flight") && row.contains("class=\"bars\"") && row.contains("<span");
    assert!(!delays.is_empty() && delays.iter().all(has_bars), "{delays:?}");
    let slowest = rows(dom, "slowest");
    assert!(slowest.iter().any(|row| row.contains("reads &lt;all&gt;")), "{slowest:?}");
    let woke = rows(dom, "woke");
    assert!(woke.iter().any(|row| row.matches("flight").count() == 2), "one fiber woke the other: {woke:?}");
}

#[test]
fn the_page_is_one_file_that_draws_itself_in_a_browser() {
    let recording = sample();
    let page = std::env::temp_dir().join(format!("abaca-flight-{}.html", std::process::id()));
    recording.save(&page).unwrap();
    let text = std::fs::read_to_string(&page).unwrap();
    assert_eq!(text.matches("</script>").count(), 1, "no name ends the script");
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!text.contains(outside), "the page needs {outside}");
    }
    if let Some(dom) = render(&page, 390) {
        assert!(dom.contains("data-ready=\"yes\""), "the script has run to its end:\n{dom}");
        assert!(dom.contains("data-fits=\"true\""), "it is not wider than a phone:\n{dom}");
        check_tables(&dom);
        let summary =
            format!("2 workers, {} fibers, {} turns", recording.fibers().len(), recording.turns().len());
        assert!(dom.contains(&summary), "{summary}");
        assert!(dom.contains("&lt;/script&gt;\"reader #") && dom.contains("reads &lt;all&gt;"));
        let has_stack = dom.contains("flight_forms::sample::{{closure}}");
        assert!(has_stack || cfg!(any(abaca_asan, abaca_tsan)), "a stack is shown:\n{dom}");
    }
    std::fs::remove_file(page).unwrap();
}

/// Reads a trace by Perfetto's own schema: no field that it does not know, every flow with both ends, names of tracks. Prints the numbers
/// of slices and flows.
const BY_SCHEMA: &str = r#"
import sys
try:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
    from google.protobuf.unknown_fields import UnknownFieldSet
except ImportError:
    sys.exit(77)
trace = Trace()
trace.ParseFromString(open(sys.argv[1], 'rb').read())
def known(message):
    assert len(UnknownFieldSet(message)) == 0, message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in (value if field.is_repeated else [value]):
                known(each)
known(trace)
slices, flows, ends, tracks = 0, set(), set(), {}
for packet in trace.packet:
    if packet.HasField('track_descriptor'):
        tracks[packet.track_descriptor.uuid] = packet.track_descriptor
        continue
    event = packet.track_event
    assert event.track_uuid in tracks and packet.trusted_packet_sequence_id == 1, packet
    slices += event.type == TrackEvent.TYPE_SLICE_BEGIN
    assert event.name or event.type == TrackEvent.TYPE_SLICE_END, packet
    flows.update(event.flow_ids)
    ends.update(event.terminating_flow_ids)
assert flows == ends, (flows, ends)
assert {'worker 0', 'worker 1'} <= {track.name for track in tracks.values()}
stacks = [note.string_value for packet in trace.packet for note in packet.track_event.debug_annotations if note.name == 'stack']
assert all(stacks)
print(slices, len(flows), len(stacks))
"#;

#[test]
fn the_trace_is_one_by_perfettos_own_schema() {
    let recording = sample();
    let file = std::env::temp_dir().join(format!("abaca-schema-{}.pftrace", std::process::id()));
    recording.save(&file).unwrap();
    let python = std::env::var("ABACA_PERFETTO_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = std::process::Command::new(python).args(["-c", BY_SCHEMA]).arg(&file).output();
    std::fs::remove_file(file).unwrap();
    match output {
        Ok(output) if output.status.code() == Some(0) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let numbers: Vec<usize> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let led = recording.wakeups().iter().filter(|wakeup| wakeup.turn.is_some()).count();
            let kept = recording.turns().iter().filter(|turn| turn.stack.is_some()).count();
            assert!(numbers[0] > recording.turns().len() && numbers[1..] == [led, kept], "{text}");
        }
        Ok(output) if output.status.code() != Some(77) => panic!("{output:?}"),
        _ => skip(Tool::Perfetto, "no Python with the package perfetto: `bash .ci/run tools` brings it"),
    }
}

#[test]
fn recordings_are_made_while_fibers_start_wait_and_end_on_several_workers() {
    with_both(|recorder| {
        let runtime = runtime(3, recorder.events(256));
        let stop = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..6)
            .map(|number| {
                let stop = Arc::clone(&stop);
                let body = move || {
                    let (send, receive) = abaca::channel::bounded(1);
                    while !stop.load(SeqCst) {
                        let send = send.clone();
                        let child = spawn("child", move || send.send(()).unwrap());
                        receive.recv().unwrap();
                        child.join().unwrap();
                        flight::mark("round");
                        abaca::yield_now();
                    }
                };
                runtime.spawn(move || spawn(&format!("busy {number}"), body).join().unwrap())
            })
            .collect();
        // To make and write one takes the better part of a second, and longer under the sanitizer.
        let recordings = if cfg!(abaca_tsan) { 5 } else { 20 };
        for _ in 0..recordings {
            let recording = runtime.recording().unwrap();
            check(&recording);
            for fiber in recording.fibers() {
                let is_known = |name: &str| name == "child" || name.starts_with("busy ") || name == "main";
                assert!(fiber.name.as_deref().is_none_or(is_known), "{fiber:?}");
            }
            let are_children = |turn: &&Turn| recording.fibers()[turn.fiber].name.as_deref() == Some("child");
            for turn in recording.turns().iter().filter(are_children) {
                let site = recording.fibers()[turn.fiber].spawn_site.as_deref();
                assert!(site.is_some_and(|site| site.contains("flight.rs:")), "{turn:?} {site:?}");
            }
            recording.write_perfetto(std::io::sink()).unwrap();
            recording.write_html(std::io::sink()).unwrap();
        }
        stop.store(true, SeqCst);
        busy.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}
