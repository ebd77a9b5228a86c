//! slapd, which asks this program for its entries.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::child::{Ready, Server, free_port, quiet};
use crate::seen;

pub(super) fn start(folder: &Path) -> Option<(Server, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (socket, settings) = (folder.join("entries"), folder.join("slapd"));
    let listener = UnixListener::bind(&socket).ok()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    let text = format!(
        "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_sock\n\
         database sock\nsuffix cn=slow\nsocketpath {}\n",
        socket.display(),
    );
    std::fs::write(&settings, text).ok()?;
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut command = Command::new("slapd");
    quiet(
        command.env("PATH", path).args(["-d", "0", "-h", &format!("ldap://{address}/"), "-f"]).arg(settings),
    );
    Some((Server::new(command, Ready::Tcp(address))?, address))
}

/// Answers one request of slapd's, as slapd-sock(5) has it: of a search for `cn=MILLISECONDS,cn=slow` after that time, unless slapd goes away.
fn answer(stream: UnixStream) {
    let lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let base = lines.iter().find_map(|line| line.strip_prefix("base: "));
    let time = base.and_then(|base| base.strip_prefix("cn=")?.split(',').next()?.parse().ok());
    if let (Some(base), Some(time)) = (base, time) {
        let served = seen::begin();
        stream.set_read_timeout(Some(Duration::from_millis(time))).unwrap();
        let is_gone = (&stream).read(&mut [0]).is_ok();
        drop(served);
        if is_gone {
            return;
        }
        let entry = format!("dn: {base}\nobjectClass: device\ncn: {time}\ndescription: done\n\n");
        let _ = (&stream).write_all(entry.as_bytes());
    }
    let _ = (&stream).write_all(b"RESULT\ncode: 0\n\n");
}
