//! The credentials of a peer's process, which the kernel vouches for.

/// The process at the other end of a connection. Mirrors `std::os::unix::net::UCred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id; `None` if it has none in this process's namespace.
    pub pid: Option<i32>,
}

/// Credentials sent along with a message. Mirrors `std::os::unix::net::SocketCred`.
///
/// The kernel refuses a message with credentials that are not the sender's own, unless the sender is privileged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SocketCred {
    pid: i32,
    uid: u32,
    gid: u32,
}

impl SocketCred {
    /// How many bytes of control data one takes.
    pub(super) const BYTES: usize = 12;

    /// All zero: of no process, and of the superuser.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the process id.
    pub fn set_pid(&mut self, pid: i32) {
        self.pid = pid;
    }

    /// The process id.
    pub fn get_pid(&self) -> i32 {
        self.pid
    }

    /// Sets the user.
    pub fn set_uid(&mut self, uid: u32) {
        self.uid = uid;
    }

    /// The user.
    pub fn get_uid(&self) -> u32 {
        self.uid
    }

    /// Sets the group.
    pub fn set_gid(&mut self, gid: u32) {
        self.gid = gid;
    }

    /// The group.
    pub fn get_gid(&self) -> u32 {
        self.gid
    }

    /// The kernel's `struct ucred`: process, user, group.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.pid.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.uid.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.gid.to_ne_bytes());
        bytes
    }

    /// The other way round.
    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at: usize| bytes[at..at + 4].try_into().expect("four bytes");
        Self {
            pid: i32::from_ne_bytes(word(0)),
            uid: u32::from_ne_bytes(word(4)),
            gid: u32::from_ne_bytes(word(8)),
        }
    }
}
