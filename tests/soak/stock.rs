//! What the process has after each round, and whether it stays the same.

use std::fmt;
use std::fs;
use std::time::Duration;

use abaca::Runtime;

/// How much more memory there may be at the end than in the first rounds.
const SLACK_KIB: u64 = 32 << 10;

/// What the process has while nothing is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stock {
    descriptors: usize,
    threads: usize,
    fibers: usize,
    children: usize,
    rss_kib: u64,
}

impl Stock {
    /// Takes stock, once what is about to end has had its time for it.
    pub(crate) fn take(runtime: &Runtime, most_fibers: usize) -> Self {
        let mut stock = Self::default();
        // Threads of pools end when they have been idle; the kernel may close a socket later than it says.
        let mut quiet = 0;
        for _ in 0..200 {
            let before = stock;
            stock = Self::look(runtime, most_fibers);
            quiet = if stock.children == 0 && stock.same_as(&before) { quiet + 1 } else { 0 };
            if quiet == 10 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        stock
    }

    fn same_as(&self, other: &Self) -> bool {
        let Self { descriptors, threads, fibers, .. } = self;
        (*descriptors, *threads, *fibers) == (other.descriptors, other.threads, other.fibers)
    }

    fn look(runtime: &Runtime, most_fibers: usize) -> Self {
        let count = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let children = threads.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            fibers: runtime.run(move || fibers_beside_this(most_fibers)),
            children: children.map(|text| text.split_whitespace().count()).sum(),
            rss_kib: rss.trim().trim_end_matches(" kB").parse().unwrap_or(0),
        }
    }
}

/// How many fibers the runtime counts, by how many more it takes.
fn fibers_beside_this(most_fibers: usize) -> usize {
    let (gate, opens) = abaca::channel::bounded::<()>(0);
    let mut more = Vec::new();
    loop {
        let opens = opens.clone();
        match abaca::Builder::new().spawn(move || _ = opens.recv()) {
            Ok(fiber) => more.push(fiber),
            Err(_) => break,
        }
    }
    drop(gate);
    let count = more.len();
    more.into_iter().for_each(|fiber| fiber.join().expect("no panic"));
    most_fibers - 1 - count
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, threads, fibers, children, rss_kib } = self;
        write!(
            f,
            "{descriptors} descriptors, {threads} threads, {fibers} fibers, {children} children, {rss_kib} KiB"
        )
    }
}

/// All stocks of a run.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Stock>);

impl History {
    pub(crate) fn add(&mut self, stock: Stock) {
        self.0.push(stock);
    }

    /// Puts a later stock in the place of the last one.
    pub(crate) fn look_again(&mut self, stock: Stock) {
        self.0.pop();
        self.0.push(stock);
    }

    /// Compares the last stock with those of the first third.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let [.., last] = self.0[..] else { return Err("no round was over".into()) };
        let first = &self.0[..self.0.len().div_ceil(3)];
        let most = |of: fn(&Stock) -> usize| first.iter().map(of).max().expect("there is one");
        let rss = first.iter().map(|stock| stock.rss_kib).max().expect("there is one");
        if last.children > 0 {
            return Err(format!("left over: {last}"));
        }
        let counts: [fn(&Stock) -> usize; 3] =
            [|stock| stock.descriptors, |stock| stock.threads, |stock| stock.fibers];
        if counts.into_iter().any(|of| of(&last) > most(of)) {
            return Err(format!("more than at first: {last}, not {first:?}"));
        }
        if last.rss_kib > rss + SLACK_KIB {
            return Err(format!("memory has grown from {rss} KiB: {last}"));
        }
        Ok(())
    }
}
