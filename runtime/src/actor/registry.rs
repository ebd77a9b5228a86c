//! `Registry`: actors by name.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pid::{ActorId, Pid};
use super::reference::ActorRef;
use crate::park::{self, Cost};

/// Names of actors. Clones are the same registry.
///
/// A name belongs to one actor, and is free again when that actor ends. A supervised actor registers itself when it starts, and
/// others look it up each time instead of keeping a reference.
///
/// ```
/// use abaca::actor::{self, Mailbox, Registry};
/// # abaca::run(|| {
/// let registry = Registry::new();
/// let printer = actor::spawn(|mailbox: &mut Mailbox<String>| drop(mailbox.receive()));
/// registry.register("printer", &printer).unwrap();
/// registry.lookup::<String>("printer").unwrap().cast("page".into());
/// printer.wait();
/// assert!(registry.lookup::<String>("printer").is_none());
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    pid: Pid,
    /// An `ActorRef` of some type.
    actor: Box<dyn Any + Send>,
    /// What frees the name when the actor ends: the key of a watcher.
    watcher: u64,
}

/// Why an actor was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another living actor has the name.
    NameTaken,
    /// The actor has ended.
    Dead,
}

impl Registry {
    /// A registry without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the actor a name until it ends. It may have several.
    ///
    /// # Errors
    ///
    /// * [`RegisterError::NameTaken`]: another living actor has the name.
    /// * [`RegisterError::Dead`]: this actor has ended.
    pub fn register<M: Send + 'static>(
        &self,
        name: impl Into<String>,
        actor: &ActorRef<M>,
    ) -> Result<(), RegisterError> {
        let (name, pid) = (name.into(), actor.pid());
        let (registry, its_name) = (Arc::downgrade(&self.0), name.clone());
        let watcher = pid.life().watch(Box::new(move |down| {
            if let Some(registry) = registry.upgrade().map(Self) {
                registry.forget(&its_name, down.from);
            }
        }));
        let Some(watcher) = watcher else { return Err(RegisterError::Dead) };
        let mut entries = self.entries();
        if entries.get(&name).is_some_and(|known| known.pid != pid && known.pid.has_life()) {
            drop(entries);
            pid.life().unwatch(watcher);
            return Err(RegisterError::NameTaken);
        }
        let entry = Entry { pid: pid.clone(), actor: Box::new(actor.clone()), watcher };
        let replaced = entries.insert(name.clone(), entry);
        drop(entries);
        if let Some(replaced) = replaced {
            replaced.pid.life().unwatch(replaced.watcher);
        }
        if !pid.has_life() {
            // It ended after it was asked for its life, and before it had an entry to be removed.
            self.forget(&name, pid.id());
        }
        Ok(())
    }

    /// Removes the entry of a name if it is that of `actor`, which has ended.
    fn forget(&self, name: &str, actor: ActorId) {
        let mut entries = self.entries();
        let is_its = entries.get(name).is_some_and(|known| known.pid.id() == actor);
        let gone = if is_its { entries.remove(name) } else { None };
        drop(entries);
        drop(gone);
    }

    /// Frees a name. Returns the actor that had it, if there was one.
    pub fn unregister(&self, name: &str) -> Option<Pid> {
        let entry = self.entries().remove(name)?;
        entry.pid.life().unwatch(entry.watcher);
        Some(entry.pid)
    }

    /// The living actor of that name, if it takes messages of type `M`.
    #[must_use]
    pub fn lookup<M: Send + 'static>(&self, name: &str) -> Option<ActorRef<M>> {
        park::spend(Cost::Call);
        let actor = self.entries().get(name)?.actor.downcast_ref::<ActorRef<M>>().cloned();
        actor.filter(|actor| actor.pid().has_life())
    }

    /// The living actor of that name, whatever its messages.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        park::spend(Cost::Call);
        let pid = self.entries().get(name)?.pid.clone();
        pid.has_life().then_some(pid)
    }

    /// The names of living actors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        park::spend(Cost::Call);
        let entries = self.entries();
        let living = entries.iter().filter(|(_, entry)| entry.pid.has_life());
        let mut names: Vec<_> = living.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("names", &self.names()).finish()
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameTaken => "another actor has the name",
            Self::Dead => "the actor has ended",
        })
    }
}

impl std::error::Error for RegisterError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::super::cell::Cell;
    use super::super::life;
    use super::super::reason::ExitReason;
    use super::{ActorRef, RegisterError, Registry};

    #[test]
    fn names_that_are_free_again_leave_nothing_with_the_actor() {
        let registry = Registry::new();
        // Actors without fibers.
        let [one, other] = [(); 2].map(|()| ActorRef::<()> { cell: Arc::new(Cell::new(1)) });
        registry.register("kept", &one).unwrap();
        for _ in 0..10 {
            registry.register("name", &one).unwrap();
            registry.register("name", &one).unwrap();
            assert_eq!(registry.register("name", &other), Err(RegisterError::NameTaken));
            registry.unregister("name").unwrap();
        }
        assert_eq!([&one, &other].map(|actor| actor.pid().life().watcher_count()), [1, 0]);
        life::end(one.pid().process(), &ExitReason::Normal);
        assert!(registry.entries().is_empty());
        assert_eq!(registry.register("name", &one), Err(RegisterError::Dead));
    }
}
