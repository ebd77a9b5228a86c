//! stunnel: TLS in front of this program's server of HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{Ready, Server, free_port, quiet};

pub(crate) struct Address {
    pub(crate) address: SocketAddr,
    /// The server's certificate, in PEM.
    pub(crate) certificate: PathBuf,
}

pub(super) fn start(folder: &Path, http: SocketAddr) -> Option<(Server, Address)> {
    let (key, certificate) = (folder.join("tls-key"), folder.join("tls-certificate"));
    let made = quiet(&mut Command::new("openssl"))
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .status();
    made.ok().filter(std::process::ExitStatus::success)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = folder.join("stunnel");
    let text = format!(
        "foreground = yes\npid =\n[http]\naccept = {address}\nconnect = {http}\ncert = {}\nkey = {}\n",
        certificate.display(),
        key.display(),
    );
    std::fs::write(&settings, text).ok()?;
    let mut command = Command::new("stunnel4");
    quiet(command.arg(settings));
    Some((Server::new(command, Ready::Tcp(address))?, Address { address, certificate }))
}
