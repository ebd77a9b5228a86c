//! A fiber's name is in the message of its panic, whatever the process does with its panic hook.

use std::panic;

use abaca::actor::Mailbox;

use super::{in_child, is_child, stderr};

fn panic_in(name: &str) {
    let fiber = abaca::Builder::new().name(name.into()).spawn(|| panic!("stung")).unwrap();
    assert!(fiber.join().is_err());
}

#[test]
fn a_panic_in_a_named_fiber_says_the_name() {
    if is_child() {
        abaca::run(|| {
            panic_in("worker bee");
            assert!(abaca::spawn(|| panic!("nameless")).join().is_err());
            let quiet = abaca::Builder::new().name("quiet bee".into());
            // Neither goes by way of the hook.
            assert!(quiet.spawn(|| panic::resume_unwind(Box::new(1))).unwrap().join().is_err());
            let drone = abaca::actor::Builder::new().name("drone".into());
            drone.spawn(|_: &mut Mailbox<()>| panic!("stung")).unwrap().wait();
        });
        return;
    }
    let text = stderr(&in_child("names::a_panic_in_a_named_fiber_says_the_name"));
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(at("fiber 'worker bee' (FiberId(") < at("stung"), "{text}");
    assert!(at("fiber 'drone' (FiberId(") > at("nameless"), "{text}");
    assert_eq!(text.matches("fiber '").count(), 2, "{text}");
    assert!(!text.contains("quiet bee"), "{text}");
}

#[test]
fn a_hook_of_the_programs_own_is_called_as_ever() {
    if is_child() {
        panic::set_hook(Box::new(|panic| eprintln!("first: {}", panic.payload_as_str().unwrap())));
        abaca::run(|| panic_in("one"));
        abaca::run(|| panic_in("two"));
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            eprintln!("second, in {:?}", abaca::current().name());
            before(panic);
        }));
        abaca::run(|| panic_in("three"));
        panic::set_hook(Box::new(|_| eprintln!("third")));
        abaca::run(|| panic_in("four"));
        return;
    }
    let text = stderr(&in_child("names::a_hook_of_the_programs_own_is_called_as_ever"));
    let said: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(" (FiberId(").map_or(line, |(name, _)| name))
        .collect();
    let expected = [
        "fiber 'one'",
        "first: stung",
        "fiber 'two'",
        "first: stung",
        "second, in Some(\"three\")",
        "fiber 'three'",
        "first: stung",
        "third",
    ];
    assert_eq!(said, expected, "{text}");
}
