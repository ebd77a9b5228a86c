//! Labels belong to a fiber, and those that it spawns inherit them.

use abaca::observe::{remove_label, set_label};

fn labels() -> String {
    let labels = abaca::current().labels();
    labels.iter().map(|(name, value)| format!("{name}={value} ")).collect()
}

#[test]
fn children_inherit_labels_as_they_are_at_the_spawn() {
    abaca::run(|| {
        assert_eq!(labels(), "");
        let before = abaca::spawn(labels);
        set_label("request", 17);
        let child = abaca::spawn(|| {
            set_label("step", "b");
            (labels(), abaca::spawn(labels).join().unwrap())
        });
        let local = abaca::spawn_local(labels);
        let built = abaca::Builder::new().label("request", 18).label("own", 1).spawn(|| abaca::spawn(labels));
        let scoped = abaca::scope(|scope| scope.spawn(labels).join().unwrap());
        set_label("request", 19);
        remove_label("none");
        assert_eq!(before.join().unwrap(), "");
        let both = "request=17 step=b ".to_string();
        assert_eq!(child.join().unwrap(), (both.clone(), both));
        assert_eq!(local.join().unwrap(), "request=17 ");
        assert_eq!(built.unwrap().join().unwrap().join().unwrap(), "request=18 own=1 ");
        assert_eq!(scoped, "request=17 ");
        assert_eq!(labels(), "request=19 ");
        remove_label("request");
        assert_eq!(abaca::spawn(labels).join().unwrap(), "");
    });
}

#[test]
fn a_handle_made_by_a_dump_or_a_label_still_cancels() {
    abaca::run(|| {
        set_label("a", 1);
        let fiber = abaca::spawn(abaca::park);
        let id = fiber.fiber().id();
        // One that has not started is in no dump.
        let labels = loop {
            if let Some(seen) = super::whole_dump().fibers().iter().find(|fiber| fiber.id() == Some(id)) {
                break seen.labels().to_vec();
            }
            abaca::yield_now();
        };
        assert_eq!(labels, [("a".to_string(), "1".to_string())]);
        fiber.fiber().cancel();
        assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
    });
}

#[test]
fn a_plain_thread_has_labels_that_nobody_inherits() {
    let thread = std::thread::spawn(|| {
        set_label("a", 1);
        (labels(), abaca::run(labels))
    });
    assert_eq!(thread.join().unwrap(), ("a=1 ".to_string(), String::new()));
}
