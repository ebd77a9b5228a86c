//! Addresses between std, which users see, and socket2, which system calls take.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::SockAddr;

/// For a system call.
pub(super) fn to_kernel(address: &SocketAddr) -> io::Result<SockAddr> {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat())),
        (None, None) => SockAddr::unix(""),
    }
}

/// For a system call. Checked by std, so that the errors are its own.
pub(super) fn path_to_kernel(path: &Path) -> io::Result<SockAddr> {
    to_kernel(&SocketAddr::from_pathname(path)?)
}

/// From a system call. The kernel gives no address at all for a socket without a name. One whose name std cannot say (a path
/// may be a byte longer in the kernel) passes for such a socket: a call that has taken something does not fail because of it.
pub(super) fn from_kernel(address: &SockAddr) -> io::Result<SocketAddr> {
    let unnamed = |_| SocketAddr::from_pathname("");
    match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => SocketAddr::from_pathname(path).or_else(unnamed),
        (None, Some(name)) => SocketAddr::from_abstract_name(name).or_else(unnamed),
        (None, None) => SocketAddr::from_pathname(""),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_goes_to_the_kernel_and_back() {
        let path = SocketAddr::from_pathname("/a/path").unwrap();
        let name = SocketAddr::from_abstract_name(b"a\0name").unwrap();
        let unnamed = SocketAddr::from_pathname("").unwrap();
        let there_and_back = |address| from_kernel(&to_kernel(address).unwrap()).unwrap();
        assert_eq!(there_and_back(&path).as_pathname(), path.as_pathname());
        assert_eq!(there_and_back(&name).as_abstract_name(), Some(&b"a\0name"[..]));
        assert!(there_and_back(&unnamed).is_unnamed());
    }

    #[test]
    #[expect(unsafe_code, reason = "no safe function makes such an address")]
    fn a_name_that_std_cannot_say_passes_for_none() {
        // SAFETY: the storage is zeroed, aligned, and larger than the family, the longest path, and the end of it, which the
        // kernel counts.
        let ((), longest) = unsafe {
            SockAddr::try_init(|storage, length| {
                let family = storage.cast::<u16>();
                family.write(i32::from(socket2::Domain::UNIX) as u16);
                family.add(1).cast::<u8>().write_bytes(b'x', 108);
                *length = 2 + 108 + 1;
                Ok(())
            })
        }
        .unwrap();
        assert_eq!(longest.as_pathname().unwrap().as_os_str().len(), 108);
        assert!(from_kernel(&longest).unwrap().is_unnamed());
    }

    #[test]
    fn paths_are_refused_as_std_refuses_them() {
        let long = "x".repeat(200);
        for path in ["a\0b", &long] {
            let expected = SocketAddr::from_pathname(path).unwrap_err();
            assert_eq!(path_to_kernel(Path::new(path)).unwrap_err().to_string(), expected.to_string());
        }
    }
}
