//! A crawler: a fiber for each page, a limit on fetches at once, a deadline for each. It serves the site itself.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use abaca::Scope;
use abaca::net::{TcpListener, TcpStream};
use abaca::sync::Semaphore;
use abaca::time::timeout;
use clap::Parser;

/// Serves a site of many pages, some of which never come, and visits all that can be reached from the first
#[derive(Parser)]
struct Options {
    /// Pages of the site
    #[arg(long, default_value = "1000")]
    pages: NonZero<usize>,
    /// One page in so many never comes
    #[arg(long, default_value = "100")]
    silent: NonZero<usize>,
    /// Fetches at once
    #[arg(long, default_value = "64")]
    at_once: NonZero<usize>,
    /// How long a fetch may take
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    deadline: Duration,
}

struct Crawler {
    site: SocketAddr,
    deadline: Duration,
    permits: Semaphore,
    seen: Mutex<HashSet<usize>>,
    fetched: AtomicUsize,
}

impl Crawler {
    /// Visits a page, and those that it links to, unless it was visited before.
    fn visit<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, page: usize) {
        if !self.seen.lock().expect("nobody panics with it").insert(page) {
            return;
        }
        scope.spawn(move || {
            let permit = self.permits.acquire().expect("nobody closes it");
            let links = timeout(self.deadline, || fetch(self.site, page));
            drop(permit);
            if let Ok(Ok(links)) = links {
                self.fetched.fetch_add(1, Relaxed);
                links.into_iter().for_each(|link| self.visit(scope, link));
            }
        });
    }
}

/// The links of a page.
fn fetch(site: SocketAddr, page: usize) -> io::Result<Vec<usize>> {
    let mut stream = TcpStream::connect(site)?;
    stream.write_all(format!("GET /{page}\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split(['/', '"']).filter_map(|link| link.parse().ok()).collect())
}

/// The server's side, in the first version of HTTP. Each page links to the two below it in a tree, and to the first.
fn answer(mut stream: TcpStream, options: &Options) -> io::Result<()> {
    let request = BufReader::new(&stream).lines().next().transpose()?.unwrap_or_default();
    let page = request.trim_start_matches("GET /").parse().unwrap_or(0_usize);
    if page % options.silent == options.silent.get() - 1 {
        abaca::park();
    }
    let below = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < options.pages.get());
    let links: String = below.chain([0]).map(|page| format!("<a href=\"/{page}\">{page}</a>\n")).collect();
    stream.write_all(links.as_bytes())
}

#[abaca::main]
fn main() {
    if let Err(error) = run(Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: Options) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (site, deadline) = (listener.local_addr()?, options.deadline);
    let permits = Semaphore::new(options.at_once.get());
    let server = listener.serve(move |stream, _| drop(answer(stream, &options)));
    let crawler = Crawler { site, deadline, permits, seen: Mutex::default(), fetched: AtomicUsize::new(0) };
    // Leaving the scope waits for all the pages that are still to be found.
    abaca::scope(|scope| crawler.visit(scope, 0));
    let (seen, fetched) = (crawler.seen.into_inner().expect("as above").len(), crawler.fetched.into_inner());
    println!("pages fetched   {fetched:>8}");
    println!("pages given up  {:>8}", seen - fetched);
    server.drain(Duration::ZERO);
    Ok(())
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
