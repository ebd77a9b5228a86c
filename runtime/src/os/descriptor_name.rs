//! What a descriptor is, in words: a socket with its addresses, or what the kernel calls it. For those who look from outside: the
//! descriptor may be another one by now.

#![expect(unsafe_code, reason = "asks about a descriptor that may be closed at any time")]

use std::fs;
use std::os::fd::BorrowedFd;

use socket2::{SockAddr, SockRef};

/// The name of the descriptor with this number.
pub(crate) fn of(fd: i32) -> String {
    if fd < 0 {
        return "closed".into();
    }
    // SAFETY: the calls below only ask. If the descriptor is closed, or is another one by now, they fail or tell of that.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = SockRef::from(&borrowed);
    if let Ok(local) = socket.local_addr() {
        let local = address(&local);
        return match socket.peer_addr() {
            Ok(peer) => format!("{local} - {}", address(&peer)),
            Err(_) => local,
        };
    }
    match fs::read_link(format!("/proc/self/fd/{fd}")) {
        Ok(path) => path.display().to_string(),
        Err(_) => "closed".into(),
    }
}

fn address(address: &SockAddr) -> String {
    if let Some(address) = address.as_socket() {
        return address.to_string();
    }
    address.as_pathname().map_or_else(|| "an unnamed socket".into(), |path| path.display().to_string())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::of;

    #[test]
    fn sockets_are_named_by_their_addresses_and_others_by_their_links() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        assert_eq!(of(listener.as_raw_fd()), here.to_string());
        let client = TcpStream::connect(here).unwrap();
        assert_eq!(of(client.as_raw_fd()), format!("{} - {here}", client.local_addr().unwrap()));
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(of(reader.as_raw_fd()).starts_with("pipe:"));
        assert_eq!(of(-1), "closed");
    }
}
