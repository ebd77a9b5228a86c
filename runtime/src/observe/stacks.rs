//! How much of their stacks the fibers of each spawn site have used, and what would do.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;

use super::collect;
use super::dump::elsewhere;
use crate::os::memory::Reader;

/// What calls of std and of C libraries need beyond what was seen so far.
const RESERVE: usize = 32 * 1024;

/// The stacks of the fibers that were spawned at one place; made by [`stacks`].
#[derive(Clone, Debug)]
pub struct StackUse {
    spawn_site: &'static Location<'static>,
    fibers: usize,
    stack_bytes: usize,
    high_water: usize,
}

impl StackUse {
    /// Where the fibers were spawned.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.spawn_site
    }

    /// How many there are.
    pub fn fibers(&self) -> usize {
        self.fibers
    }

    /// The usable bytes of the largest of their stacks.
    pub fn stack_bytes(&self) -> usize {
        self.stack_bytes
    }

    /// How many bytes of any of their stacks were ever touched, up to a page. A stack may have been another fiber's before, and the
    /// scavenger gives back what a fiber that waits for long has touched once.
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// A size for [`Builder::stack_size`](crate::Builder::stack_size): twice the high water, and 32 KiB for what has not been called yet.
    pub fn suggested_bytes(&self) -> usize {
        (2 * self.high_water + RESERVE).next_multiple_of(16 * 1024)
    }
}

impl fmt::Display for StackUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spawn_site, fibers, stack_bytes, high_water } = self;
        let kib = |bytes: usize| bytes.div_ceil(1024);
        let (used, of, suggested) = (kib(*high_water), kib(*stack_bytes), kib(self.suggested_bytes()));
        write!(f, "{spawn_site}: {fibers} with {used} of {of} KiB used at the most; {suggested} KiB would do")
    }
}

/// How much of their stacks the fibers of each spawn site have touched, the most first. A site whose fibers have all ended is not there:
/// call this while they are at work. As for the rest it is a [`dump`](crate::dump()), and may be called from anywhere. Empty if the kernel
/// does not tell which pages are there.
///
/// ```
/// # abaca::run(|| {
/// let waiting = abaca::spawn(|| {
///     let deep = std::hint::black_box([1_u8; 20_000]);
///     abaca::park();
///     drop(std::hint::black_box(deep));
/// });
/// abaca::yield_now();
/// for site in abaca::observe::stacks() {
///     println!("{site}");
/// }
/// waiting.fiber().unpark();
/// waiting.join().unwrap();
/// # });
/// ```
#[must_use]
pub fn stacks() -> Vec<StackUse> {
    elsewhere(|_| find())
}

fn find() -> Vec<StackUse> {
    let collection = collect::collect();
    let reader = Reader::new();
    let mut sites: HashMap<&'static Location<'static>, StackUse> = HashMap::new();
    for facts in &collection.fibers {
        let (Some(spawn_site), Some((bottom, top))) = (facts.spawn_site, facts.stack) else { continue };
        let Some(first) = reader.first_touched(bottom..top) else { continue };
        let site = sites.entry(spawn_site);
        let site = site.or_insert(StackUse { spawn_site, fibers: 0, stack_bytes: 0, high_water: 0 });
        site.fibers += 1;
        site.stack_bytes = site.stack_bytes.max(top - bottom);
        site.high_water = site.high_water.max(top - first);
    }
    let mut sites: Vec<_> = sites.into_values().collect();
    sites.sort_by_key(|site| (std::cmp::Reverse(site.high_water), site.spawn_site));
    sites
}
