//! OpenSSH, with keys of its own, for the user who runs this.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{Ready, Server, free_port, output, quiet};

/// How to log in.
pub(crate) struct Account {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) key: PathBuf,
}

pub(super) fn start(folder: &Path) -> Option<(Server, Account)> {
    // It asks to be started by its whole path.
    let program = "/usr/sbin/sshd";
    std::fs::metadata(program).ok()?;
    let _ = std::fs::create_dir("/run/sshd");
    let (host, key) = (folder.join("host"), folder.join("key"));
    for file in [&host, &key] {
        let mut made = Command::new("ssh-keygen");
        quiet(made.args(["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f"]).arg(file));
        made.status().ok().filter(std::process::ExitStatus::success)?;
    }
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = folder.join("sshd");
    // By the last line a shell does not take itself for the first one, which would read all that the user has set up for those.
    let text = format!(
        "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}.pub\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nMaxStartups 100\nSetEnv SHLVL=9\n",
        host.display(),
        key.display(),
    );
    std::fs::write(&settings, text).ok()?;
    let mut command = Command::new(program);
    quiet(command.args(["-D", "-f"]).arg(settings));
    let user = output(Command::new("id").arg("-un"))?;
    Some((Server::new(command, Ready::Tcp(address))?, Account { address, user, key }))
}
