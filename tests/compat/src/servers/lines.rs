//! A server of lines: what a client of SMTP's, FTP's or memcached's needs of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::seen;

/// Greets the client, as SMTP and FTP have it, and answers its commands.
pub(super) fn greet_and_answer(mut stream: TcpStream) {
    if stream.write_all(b"220 here\r\n").is_ok() {
        answer(stream);
    }
}

/// Answers commands until the client goes away. `SITE`, `get` and the end of a mail take as many milliseconds as the command, or the mail's sender,
/// says; with another word it goes away in the middle of its answer.
pub(super) fn answer(stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let mut sender = String::new();
    let say = |line: &str| (&stream).write_all(format!("{line}\r\n").as_bytes()).is_ok();
    let mut goes_on = true;
    while goes_on {
        let Some(line) = lines.next() else { return };
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        goes_on = match command {
            "USER" => say("331 and the password"),
            "PASS" => say("230 welcome"),
            "SITE" => take_time(&stream, rest) && say("200 done"),
            "version" => say("VERSION 1"),
            "get" => take_time(&stream, rest) && say(&format!("VALUE {rest} 0 4\r\ndone\r\nEND")),
            "MAIL" => {
                sender = rest.chars().skip_while(|c| *c != '<').skip(1).take_while(|c| *c != '@').collect();
                say("250 from")
            }
            "DATA" => {
                say("354 go on")
                    && lines.any(|line| line == ".")
                    && take_time(&stream, &sender)
                    && say("250 done")
            }
            "QUIT" => {
                say("221 bye");
                false
            }
            _ => say("250 well"),
        };
    }
}

/// Serves a call. False if the connection is not to be used any more.
fn take_time(mut stream: &TcpStream, word: &str) -> bool {
    let Ok(time) = word.trim().parse() else {
        thread::sleep(Duration::from_millis(20));
        let _ = stream.write_all(b"2");
        return false;
    };
    let _served = seen::begin();
    // Until it is time, or the client goes away: it says nothing meanwhile.
    stream.set_read_timeout(Some(Duration::from_millis(time))).unwrap();
    let is_gone = stream.read(&mut [0]).is_ok();
    stream.set_read_timeout(None).unwrap();
    !is_gone
}
