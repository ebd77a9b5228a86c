//! Who may have the other ends of the channels that fibers wait for: the fibers on whose stacks there is a word of which ends consist.
//!
//! It says less than a search for leaks: ends on the heap are not looked for, and a word may be left over from an end that has moved on.

use std::collections::HashMap;

use super::collect::Facts;
use super::object::Object;
use crate::cell::FiberId;
use crate::os::memory::Reader;

/// How many fibers are known of each channel.
const MOST: usize = 16;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ends {
    /// The fibers by the complement of the word.
    fibers: HashMap<usize, Vec<FiberId>>,
}

impl Ends {
    /// Those of what these fibers wait for.
    pub(super) fn of(all: &[Facts]) -> Self {
        let mut fibers: HashMap<usize, Vec<FiberId>> =
            all.iter().flat_map(|facts| keys(&facts.object)).map(|key| (key, Vec::new())).collect();
        if fibers.is_empty() {
            return Self::default();
        }
        // Complements as well: a search for leaks must find none of these words where this is noted.
        let least = fibers.keys().copied().min().unwrap_or_default();
        let greatest = fibers.keys().copied().max().unwrap_or_default();
        let mut reader = Reader::new();
        for facts in all {
            let (Some(id), Some((bottom, top)), Some(sp)) = (facts.id, facts.stack, facts.stack_pointer)
            else {
                continue;
            };
            let sp = sp.address();
            // One inside of a coroutine is on another stack, and its own begins somewhere.
            let begin = if (bottom..top).contains(&sp) { sp } else { bottom };
            reader.read_present(begin..top, |word| {
                if (least..=greatest).contains(&!word)
                    && let Some(known) = fibers.get_mut(&!word)
                    && known.len() < MOST
                    && known.last() != Some(&id)
                {
                    known.push(id);
                }
            });
        }
        Self { fibers }
    }

    /// The other fibers that may have an end of what this one waits for.
    pub(super) fn others(&self, facts: &Facts) -> Vec<FiberId> {
        let mut others: Vec<_> =
            keys(&facts.object).iter().filter_map(|key| self.fibers.get(key)).flatten().copied().collect();
        others.retain(|id| Some(*id) != facts.id);
        others.sort_unstable_by_key(|id| id.number());
        others.dedup();
        others
    }
}

/// The complements of the words of what is waited for.
fn keys(object: &Object) -> Vec<usize> {
    match object {
        Object::Channel { key, .. } | Object::Handles { key, .. } => vec![*key],
        Object::Channels(channels) => channels.iter().map(|[.., key]| *key).collect(),
        _ => Vec::new(),
    }
}
