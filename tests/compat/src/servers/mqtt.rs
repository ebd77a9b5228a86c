//! mosquitto.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::child::{Ready, Server, free_port, quiet};

pub(super) fn start(folder: &Path) -> Option<(Server, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = folder.join("mosquitto");
    let text = format!("listener {} 127.0.0.1\nallow_anonymous true\n", address.port());
    std::fs::write(&settings, text).ok()?;
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut command = Command::new("mosquitto");
    quiet(command.env("PATH", path).arg("-c").arg(settings));
    Some((Server::new(command, Ready::Tcp(address))?, address))
}
