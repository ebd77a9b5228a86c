//! Dumps and metrics as JSON, read by a parser of it: they say what the program is told by the types.

use abaca::fiber::FiberId;
use abaca::observe::{Dump, FiberDump, Holder};
use serde_json::Value;

use super::child;

/// A name with everything that JSON escapes, and more.
const NAME: &str = "\"a\\b\"\n\t\u{1}\u{1b}[2J\u{202e}\u{2028}\u{1f96d}";

/// The number of an id, as people see it.
fn number(id: FiberId) -> u64 {
    format!("{id:?}").trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

fn check_fiber(fiber: &FiberDump, json: &Value, dump: &Value) {
    assert_eq!(json.get("id").and_then(Value::as_u64), fiber.id().map(number));
    assert_eq!(json.get("name").and_then(Value::as_str), fiber.name());
    let labels = json["labels"].as_object().unwrap();
    assert_eq!(labels.len(), fiber.labels().len());
    assert!(fiber.labels().iter().all(|(name, value)| labels[name] == value.as_str()));
    assert_eq!(json["state"].as_str().unwrap(), format!("{:?}", fiber.state()).to_lowercase());
    assert_eq!(
        json.get("spawned").and_then(Value::as_str),
        fiber.spawn_site().map(ToString::to_string).as_deref()
    );
    match fiber.wait() {
        Some(wait) => {
            assert_eq!(json["wait"]["reason"], wait.reason());
            assert_eq!(
                json["wait"].get("address").and_then(Value::as_u64),
                wait.address().map(|at| at as u64)
            );
            let holder = wait.holder().map(|holder| match holder {
                Holder::Fiber(id) => Value::from(number(*id)),
                _ => Value::from("other"),
            });
            assert_eq!(json["wait"].get("holder"), holder.as_ref());
        }
        None => assert!(json.get("wait").is_none()),
    }
    let frames = dump["stacks"][json["stack"].as_u64().unwrap() as usize].as_array().unwrap();
    let addresses = frames.iter().map(|frame| frame["address"].as_u64().unwrap() as usize);
    assert!(addresses.eq(fiber.frames().iter().map(|frame| frame.address())));
    let functions = frames.iter().map(|frame| frame.get("function").and_then(Value::as_str));
    assert!(functions.eq(fiber.frames().iter().map(|frame| frame.function())));
}

fn check(dump: &Dump) {
    let json: Value = serde_json::from_str(&dump.to_json()).expect("it is JSON");
    assert_eq!(json["unstarted"].as_u64().unwrap(), dump.unstarted() as u64);
    assert_eq!(json["cycles"].as_array().unwrap().len(), dump.cycles().len());
    let fibers = json["fibers"].as_array().unwrap();
    assert_eq!(fibers.len(), dump.fibers().len());
    for (fiber, json_fiber) in dump.fibers().iter().zip(fibers) {
        check_fiber(fiber, json_fiber, &json);
    }
}

/// In a process of its own, with a cycle and with other fibers that wait.
pub(crate) fn parse() {
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        let fibers = super::roles::cross("json");
        let parked =
            abaca::Builder::new().name(NAME.into()).label("l\r\"", "1\n2\\").spawn(abaca::park).unwrap();
        while abaca::observe::check().is_empty() || !abaca::observe::parked().contains(&("park", 1)) {
            abaca::yield_now();
        }
        let dump = super::whole_dump();
        assert_eq!((dump.cycles().len(), dump.fibers().len()), (1, 4), "{dump}");
        check(&dump);
        let named = dump.fibers().iter().find(|fiber| fiber.name() == Some(NAME)).expect("it is there");
        assert_eq!(named.labels().len(), 1);
        let metrics = abaca::observe::metrics().unwrap();
        let json: Value = serde_json::from_str(&metrics.to_json()).expect("it is JSON");
        assert_eq!(
            (json["abaca_fibers"].as_u64(), json["abaca_fibers_spawned_total"].as_u64()),
            (Some(4), Some(4))
        );
        assert_eq!(json["abaca_worker_switches_total"].as_object().unwrap().len(), 2, "{json}");
        parked.fiber().unpark();
        fibers.iter().for_each(|fiber| fiber.cancel());
        parked.join().unwrap();
        fibers.into_iter().for_each(|fiber| drop(fiber.join()));
    });
}

#[test]
fn a_parser_of_json_finds_what_the_dump_and_the_metrics_have() {
    let output = child::run("json");
    assert!(output.status.success(), "{}", child::stderr(&output));
}
