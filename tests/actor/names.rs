//! The registry: a name belongs to one living actor.

use abaca::actor::{self, Mailbox, RegisterError, Registry};

use super::idle;

#[test]
fn a_name_is_one_actors_until_it_ends() {
    abaca::run(|| {
        let registry = Registry::new();
        let (first, second) = (idle(), idle());
        registry.register("name", &first).unwrap();
        registry.register("name", &first).unwrap();
        assert_eq!(registry.register("name", &second), Err(RegisterError::NameTaken));
        assert_eq!(registry.lookup::<()>("name"), Some(first.clone()));
        assert!(registry.lookup::<u32>("name").is_none(), "its messages are of another type");
        assert_eq!(registry.whereis("name"), Some(first.pid()));
        first.kill();
        first.wait();
        assert!(registry.whereis("name").is_none() && registry.names().is_empty());
        assert_eq!(registry.register("name", &first), Err(RegisterError::Dead));
        registry.register("name", &second).unwrap();
        registry.register("other", &second).unwrap();
        assert_eq!(registry.names(), ["name", "other"]);
        assert_eq!(registry.unregister("name"), Some(second.pid()));
        assert!(registry.unregister("name").is_none());
        registry.register("name", &idle()).unwrap();
        second.kill();
        second.wait();
        assert_eq!(registry.names(), ["name"], "its former owner's death does not free it");
    });
}

#[test]
fn actors_find_each_other_by_name() {
    abaca::run(|| {
        let registry = Registry::new();
        let echo = actor::spawn(|mailbox: &mut Mailbox<actor::ActorRef<&'static str>>| {
            mailbox.receive().cast("found");
        });
        registry.register("echo", &echo).unwrap();
        let theirs = registry.clone();
        let asker = actor::spawn(move |mailbox: &mut Mailbox<&'static str>| {
            theirs.lookup("echo").unwrap().cast(mailbox.me());
            assert_eq!(mailbox.receive(), "found");
        });
        assert_eq!(asker.wait(), actor::ExitReason::Normal);
    });
}
