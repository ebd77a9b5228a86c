//! Names to addresses, resolved off the workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::vec;

use crate::blocking;

/// What converts into socket addresses. Mirrors [`std::net::ToSocketAddrs`], for the same types; names are looked
/// up on a thread of the runtime's pool while the fiber is parked, and can be cancelled.
///
/// It is a trait of its own since std's, called by a fiber, would block the worker, and what implements it may be
/// bound to its thread. Implement it as std's for types of your own.
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

    /// Resolves.
    ///
    /// # Errors
    ///
    /// When a text is no address or a name cannot be resolved.
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

/// Looks a name up on the runtime's pool, which can take many seconds and cannot be interrupted: a caller that is cancelled
/// does not wait for it.
fn look_up<F>(resolve: F) -> io::Result<vec::IntoIter<SocketAddr>>
where
    F: FnOnce() -> io::Result<vec::IntoIter<SocketAddr>> + Send + 'static,
{
    blocking::run_owned(resolve)
}

/// Calls `f` with each address until one succeeds; else the last error, as std does.
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
