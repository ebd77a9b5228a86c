//! A chat server: rooms, two fibers for each member, and a stop that loses no line.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use abaca::channel::{Sender, bounded};
use abaca::net::{TcpListener, TcpStream};
use abaca::signal::{Signal, Signals};
use clap::Parser;

/// Passes lines on to everybody in the same room; "/join ROOM" takes to another one
#[derive(Parser)]
struct Options {
    /// Address to listen on; port 0 is a free one
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// How long members may take to leave at the end
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    grace: Duration,
}

struct Member {
    room: String,
    lines: Sender<Arc<str>>,
}

#[derive(Default)]
struct Chat(Mutex<HashMap<SocketAddr, Member>>);

impl Chat {
    fn members(&self) -> MutexGuard<'_, HashMap<SocketAddr, Member>> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Gives a line to all in a room. A member that is 64 lines behind misses it, and does not hold up the others.
    fn say(&self, room: &str, line: &str) {
        let line: Arc<str> = format!("{line}\n").into();
        for member in self.members().values().filter(|member| member.room == room) {
            drop(member.lines.try_send(Arc::clone(&line)));
        }
    }

    /// Serves a member until it leaves, or until the chat is over and it has got all lines.
    fn serve(&self, stream: &TcpStream, peer: SocketAddr) -> io::Result<()> {
        let mut heard = BufReader::new(stream).lines();
        let Some(name) = heard.next().transpose()? else { return Ok(()) };
        let (sender, lines) = bounded::<Arc<str>>(64);
        let mut room = "lobby".to_string();
        self.members().insert(peer, Member { room: room.clone(), lines: sender });
        self.say(&room, &format!("* {name} comes in"));
        let outcome = abaca::scope(|scope| {
            scope.spawn(move || {
                let all = lines.iter().try_for_each(|line| (&mut &*stream).write_all(line.as_bytes()));
                // The sender is gone: the member has left, or the chat is over.
                all.and_then(|()| stream.shutdown(Shutdown::Write))
            });
            let outcome = heard.try_for_each(|line| {
                let line = line?;
                let Some(new) = line.strip_prefix("/join ") else {
                    self.say(&room, &format!("{name}: {line}"));
                    return Ok(());
                };
                self.say(&room, &format!("* {name} goes to {new}"));
                room = new.to_string();
                self.members().entry(peer).and_modify(|member| member.room.clone_from(&room));
                self.say(&room, &format!("* {name} comes in"));
                Ok(())
            });
            self.members().remove(&peer);
            outcome
        });
        self.say(&room, &format!("* {name} leaves"));
        outcome
    }
}

#[abaca::main]
fn main() {
    if let Err(error) = run(Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(Options { address, grace }: Options) -> io::Result<()> {
    let listener = TcpListener::bind(&address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    let mut signals = Signals::new([Signal::Interrupt, Signal::Terminate])?;
    println!("listening on {}; press Ctrl-C to stop", listener.local_addr()?);
    let chat = Arc::<Chat>::default();
    let theirs = Arc::clone(&chat);
    let server = listener.serve(move |stream, peer| drop(theirs.serve(&stream, peer)));
    let stop = server.stop_handle();
    abaca::spawn(move || signals.wait().map(|_| stop.stop()));
    server.stopped()?;
    let count = std::mem::take(&mut *chat.members()).len();
    println!("{count} members were there; {} did not leave in time", server.drain(grace));
    Ok(())
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
