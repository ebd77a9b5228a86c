//! Servers side by side: the same service in several concurrency models, one server and one client process each,
//! models alternating, medians of several rounds.
//!
//! `cargo run --release -p abaca-benches --bin servers` measures and writes its section of `RESULTS.md`.

mod abaca_model;
mod bars;
mod cpu;
mod epoll_model;
mod http;
mod load;
mod may_model;
mod measure;
mod plan;
mod report;
mod threads_model;
mod tokio_model;
mod tracer;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures servers against each other on loopback.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// Rounds; figures are medians over them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load in each measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Tiny load, one round, nothing written: to see that everything works
    #[arg(long)]
    quick: bool,
    /// The report to put the section into
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"))]
    out: std::path::PathBuf,
}

/// What this process does; the measuring process starts the others.
#[derive(Subcommand)]
enum Role {
    /// Serve until killed; prints the address
    Serve { model: Model, service: Service, workers: usize },
    /// Load an echo server; prints a line of JSON
    Load { address: std::net::SocketAddr, connections: usize, seconds: f64 },
}

/// A concurrency model of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// A hand-written epoll loop, one per worker, spread by SO_REUSEPORT
    Epoll,
    /// abaca, a poller in each worker
    Abaca,
    /// abaca, one poller thread
    AbacaThread,
    /// tokio, on as many workers as asked for
    Tokio,
    /// tokio's current-thread runtime
    TokioCt,
    /// hyper on tokio
    Hyper,
    May,
    /// may_minihttp
    Minihttp,
    /// A thread per connection
    Threads,
    /// Go's net (and net/http for the hello service)
    Go,
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Sends back what it receives
    Echo,
    /// "Hello, world!" over HTTP/1.1 with keep-alive, parsed by httparse
    Hello,
}

fn main() {
    let options = Options::parse();
    match options.role {
        Some(Role::Serve { model, service, workers }) => serve(model, service, workers),
        Some(Role::Load { address, connections, seconds }) => load::run(address, connections, seconds),
        None => {
            let settings = measure::Settings {
                rounds: if options.quick { 1 } else { options.rounds },
                seconds: if options.quick { 0.2 } else { options.seconds },
                only: options.only,
                small: options.quick,
            };
            let rows = measure::run(&settings);
            let text = report::table(&rows, &settings);
            println!("{text}");
            if !options.quick {
                abaca_benches::results::put_section(&options.out, "servers", &text)
                    .unwrap_or_else(|error| panic!("{}: {error}", options.out.display()));
            }
        }
    }
}

fn serve(model: Model, service: Service, workers: usize) {
    if workers == 1 {
        cpu::pin_process(0);
    }
    match model {
        Model::Epoll => epoll_model::serve(service, workers),
        Model::Abaca => abaca_model::serve(service, workers, abaca::runtime::Poller::Workers),
        Model::AbacaThread => abaca_model::serve(service, workers, abaca::runtime::Poller::Thread),
        Model::Tokio => tokio_model::serve(service, Some(workers)),
        Model::TokioCt => tokio_model::serve(service, None),
        Model::Hyper => tokio_model::serve_hyper(workers),
        Model::May => may_model::serve(service, workers),
        Model::Minihttp => may_model::serve_minihttp(workers),
        Model::Threads => threads_model::serve(service),
        Model::Go => unreachable!("the Go servers are processes of their own"),
    }
}

/// Says where the server listens, for the measuring process.
fn announce(address: std::net::SocketAddr) {
    println!("{address}");
}
