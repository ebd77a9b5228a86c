//! PostgreSQL and MariaDB.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{Ready, Server, output, quiet};

/// PostgreSQL does not run as root: then it runs as its own user, if there is one.
pub(super) fn postgres(folder: &Path) -> Option<(Server, PathBuf)> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").ok()?.map_while(Result::ok).collect();
    versions.sort_by_key(std::fs::DirEntry::file_name);
    let programs = versions.pop()?.path().join("bin");
    let (data, sockets) = (folder.join("postgres"), folder.join("sockets"));
    std::fs::create_dir_all(&sockets).ok()?;
    quiet(Command::new("chmod").arg("777").arg(&sockets)).status().ok()?;
    let is_root = output(Command::new("id").arg("-u"))? == "0";
    let number = |option: &str| output(Command::new("id").args([option, "postgres"]))?.parse::<u32>().ok();
    let command = |name: &str| {
        let mut command = Command::new(programs.join(name));
        if is_root {
            command.uid(number("-u")?).gid(number("-g")?);
        }
        quiet(command.current_dir("/"));
        Some(command)
    };
    let made = command("initdb")?.args(["-U", "abaca", "-A", "trust", "-D"]).arg(&data).status();
    if !made.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut server = command("postgres")?;
    server.arg("-D").arg(&data).arg("-k").arg(&sockets).args(["-c", "listen_addresses="]);
    Some((Server::new(server, Ready::Unix(sockets.join(".s.PGSQL.5432")))?, sockets))
}

pub(super) fn mariadb(folder: &Path) -> Option<(Server, PathBuf)> {
    let (data, socket) = (folder.join("mariadb"), folder.join("mariadb-socket"));
    let user = output(Command::new("id").arg("-un"))?;
    let data = format!("--datadir={}", data.display());
    let made = quiet(&mut Command::new("mariadb-install-db"))
        .args(["--no-defaults", "--auth-root-authentication-method=normal", &data])
        .arg(format!("--user={user}"))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return None;
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut server = Command::new("mariadbd");
    quiet(&mut server)
        .env("PATH", path)
        .args(["--no-defaults", "--skip-networking", &data])
        .arg(format!("--user={user}"))
        .arg(format!("--socket={}", socket.display()));
    Some((Server::new(server, Ready::Unix(socket.clone()))?, socket))
}
