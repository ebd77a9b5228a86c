//! Names to addresses, resolved off the workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::vec;

use crate::blocking;

/// A value that converts into socket addresses. Mirrors [`std::net::ToSocketAddrs`], for the same types. A name is looked
/// up on a thread of the runtime's pool while the fiber is parked, and the wait can be cancelled.
///
/// It is a trait of its own, since std's, called by a fiber, would block the worker. Implement it for types of your own as
/// you would implement std's.
///
/// ```
/// use abaca::net::ToSocketAddrs;
/// # abaca::run(|| {
/// let addresses: Vec<_> = ("127.0.0.1", 80).to_socket_addrs().unwrap().collect();
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # });
/// ```
pub trait ToSocketAddrs {
    /// The addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// Resolves the value. Blocks the fiber while a name is looked up.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: a text is not of the form `host:port`.
    /// * Other kinds, as with std: the name cannot be resolved.
    ///
    /// A fiber that is cancelled while it waits unwinds; the look-up goes on, and its result is dropped.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

/// One line for each type whose conversion never looks anything up.
macro_rules! as_std {
    ($($t:ty),*) => {$(
        impl ToSocketAddrs for $t {
            type Iter = std::option::IntoIter<SocketAddr>;

            fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
                std::net::ToSocketAddrs::to_socket_addrs(self)
            }
        }
    )*};
}

as_std!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)].into_iter()),
            Err(_) => {
                let host = host.to_owned();
                look_up(move || std::net::ToSocketAddrs::to_socket_addrs(&(&*host, port)))
            }
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (&*self.0, self.1).to_socket_addrs()
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        match self.parse::<SocketAddr>() {
            Ok(address) => Ok(vec![address].into_iter()),
            Err(_) => {
                let text = self.to_owned();
                look_up(move || std::net::ToSocketAddrs::to_socket_addrs(&*text))
            }
        }
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = std::iter::Cloned<std::slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }
}

/// Looks a name up on the runtime's pool. That can take many seconds and cannot be interrupted, so a caller that is cancelled
/// leaves it behind.
fn look_up<F>(resolve: F) -> io::Result<vec::IntoIter<SocketAddr>>
where
    F: FnOnce() -> io::Result<vec::IntoIter<SocketAddr>> + Send + 'static,
{
    blocking::run_owned(resolve)
}

/// Calls `f` with each address until one succeeds. If none does, returns the last error, as std does.
pub(super) fn first_that<A: ToSocketAddrs, R>(
    addresses: A,
    mut f: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match f(address) {
            Ok(result) => return Ok(result),
            Err(error) => last = Some(error),
        }
    }
    Err(last
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")))
}
