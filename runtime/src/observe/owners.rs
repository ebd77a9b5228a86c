//! Who holds what a fiber waits for: whose stack an address is on, and whose a header is.

use std::collections::HashMap;

use super::collect::Facts;
use super::dump::Holder;
use super::object::Object;
use crate::cell::FiberId;
use crate::os::hidden::Hidden;

/// Whose stack an address is on.
pub(super) struct Owners {
    /// The lowest address, the top, and the id, in order.
    stacks: Vec<(usize, usize, FiberId)>,
    headers: HashMap<usize, FiberId>,
    /// By the numbers by which libc knows them.
    numbers: HashMap<u32, FiberId>,
}

impl Owners {
    pub(super) fn of(fibers: &[Facts]) -> Self {
        let on_stack = |facts: &Facts| facts.stack.zip(facts.id).map(|((bottom, top), id)| (bottom, top, id));
        let mut stacks: Vec<_> = fibers.iter().filter_map(on_stack).collect();
        stacks.sort_unstable_by_key(|stack| stack.0);
        let headers = fibers.iter().filter_map(|facts| Some((facts.header, facts.id?))).collect();
        let numbers = fibers.iter().filter_map(|facts| Some((facts.thread_number?, facts.id?))).collect();
        Self { stacks, headers, numbers }
    }

    /// The fiber on whose stack `address` is.
    pub(super) fn on_stack(&self, address: usize) -> Option<FiberId> {
        let after = self.stacks.partition_point(|stack| stack.0 <= address);
        let (_, top, id) = *self.stacks.get(after.checked_sub(1)?)?;
        (address < top).then_some(id)
    }

    /// The id of the fiber with this header, if it was not known when it was looked at.
    pub(super) fn id_of(&self, header: usize, known: Option<FiberId>) -> Option<FiberId> {
        known.or_else(|| self.headers.get(&header).copied())
    }

    /// The fibers without which this wait does not end, as far as they are known.
    pub(super) fn needed(&self, object: &Object) -> Vec<FiberId> {
        match object {
            Object::Fibers { fibers, .. } => {
                fibers.iter().filter_map(|(header, id)| self.id_of(*header, *id)).collect()
            }
            object => match self.holder(object) {
                Some(Holder::Fiber(id)) => vec![id],
                _ => Vec::new(),
            },
        }
    }

    /// The fiber without which this wait does not end, if it is known, and there is one.
    pub(super) fn holder(&self, object: &Object) -> Option<Holder> {
        let on_stack = |at: Hidden| self.on_stack(at.address()).map_or(Holder::Other, Holder::Fiber);
        match object {
            Object::Lock { holder, .. } | Object::RwLock { writer: holder, .. } => holder.map(on_stack),
            Object::Fiber(header, id) => self.id_of(*header, *id).map(Holder::Fiber),
            Object::OfThreads { owner: 0, .. } => None,
            Object::OfThreads { owner, .. } => {
                Some(self.numbers.get(owner).copied().map_or(Holder::Other, Holder::Fiber))
            }
            _ => None,
        }
    }
}
