//! Datagrams. Mirrors [`std::net::UdpSocket`].

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockAddr;

use super::ToSocketAddrs;
use super::address::first_that;
use super::socket::{descriptor_traits, socket_settings, std_conversions};
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::socket;
use crate::poller::Direction;

/// A UDP socket whose calls block the fiber.
///
/// All calls take `&self`: one fiber may receive while others send. The descriptor itself stays in the mode in which
/// std would have it, as a [`TcpStream`](super::TcpStream)'s does.
///
/// ```
/// use abaca::net::UdpSocket;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// let echo = abaca::spawn(move || {
///     let mut buffer = [0; 1500];
///     let (length, from) = server.recv_from(&mut buffer)?;
///     server.send_to(&buffer[..length], from)
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"hello")?;
/// let mut answer = [0; 5];
/// assert_eq!(client.recv(&mut answer)?, 5);
/// echo.join().unwrap().map(drop)
/// # })
/// # }
/// ```
pub struct UdpSocket(Descriptor<std::net::UdpSocket>);

impl UdpSocket {
    /// Binds to the first of the addresses that works.
    ///
    /// # Errors
    ///
    /// If no address works, the error of the last one:
    ///
    /// * `AddrInUse`: another socket has the address and port.
    /// * `AddrNotAvailable`: the address is not one of this machine.
    /// * `PermissionDenied`: the port is below 1024, and the process may not have it.
    /// * `InvalidInput`: there is no address, or the text is not one.
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left.
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        first_that(address, std::net::UdpSocket::bind).map(Self::fresh)
    }

    /// From now on [`send`](Self::send) goes to the first of the addresses that works, and only what comes from there
    /// is received.
    ///
    /// # Errors
    ///
    /// Nothing is sent, so only the route is checked. If no address works, the error of the last one:
    ///
    /// * `NetworkUnreachable`, `HostUnreachable`: there is no route.
    /// * `PermissionDenied`: a broadcast address, without [`set_broadcast`](Self::set_broadcast); or a packet filter.
    /// * `EAFNOSUPPORT`, for which [`io::ErrorKind`] has no name: the address is of another family than the socket.
    /// * `InvalidInput`: there is no address, or the text is not one. Those of the look-up of a name, as with std.
    pub fn connect<A: ToSocketAddrs>(&self, address: A) -> io::Result<()> {
        first_that(address, |address| self.0.get().connect(address))
    }

    /// Blocks until there is a datagram. Returns its length and its sender. Bytes that do not fit into the buffer are lost.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the read timeout has passed; or nothing has arrived, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionRefused`: nobody received what this connected socket has sent before.
    ///
    /// A fiber that is cancelled while it waits unwinds, and takes no datagram. Never `Interrupted`.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buffer, socket::TAKE)
    }

    /// [`recv_from`](Self::recv_from) that leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buffer, socket::PEEK)
    }

    fn receive_from(&self, buffer: &mut [u8], flags: socket::RecvFlags) -> io::Result<(usize, SocketAddr)> {
        let call = |inner: &std::net::UdpSocket| socket::receive_from(inner.as_fd(), buffer, flags);
        let (length, from) = self.0.retry_in_line(Reason::Read, call)?;
        Ok((length, from.as_socket().ok_or(io::ErrorKind::InvalidInput)?))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); and:
    ///
    /// * `InvalidInput`: there is no address; or its port is 0.
    /// * `EAFNOSUPPORT`, for which [`io::ErrorKind`] has no name: the address is of another family than the socket.
    /// * Those of the look-up of a name, as with std.
    pub fn send_to<A: ToSocketAddrs>(&self, bytes: &[u8], address: A) -> io::Result<usize> {
        let Some(address) = address.to_socket_addrs()?.next() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to"));
        };
        let address = SockAddr::from(address);
        self.0
            .transfer(Direction::Write, bytes.len(), |inner| socket::send_to(inner.as_fd(), bytes, &address))
    }

    /// Blocks until there is a datagram from the address that the socket is connected to. Returns its length. Bytes that do not
    /// fit into the buffer are lost.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.retry_in_line(Reason::Read, |inner| socket::receive(inner.as_fd(), buffer, socket::TAKE))
    }

    /// [`recv`](Self::recv) that leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.retry_in_line(Reason::Read, |inner| socket::receive(inner.as_fd(), buffer, socket::PEEK))
    }

    /// Sends a datagram to the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the write timeout has passed; or there is no room, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionRefused`: nobody received what this connected socket has sent before.
    /// * `EDESTADDRREQ`, for which [`io::ErrorKind`] has no name: the socket is not [connected](Self::connect).
    /// * `NetworkUnreachable`, `HostUnreachable`: there is no route.
    /// * `PermissionDenied`: a broadcast, without [`set_broadcast`](Self::set_broadcast); or a packet filter.
    /// * `EMSGSIZE`, without a name as well: the datagram is too large.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.transfer(Direction::Write, bytes.len(), |inner| socket::send(inner.as_fd(), bytes))
    }

    /// A second handle to the same socket, so that one fiber can receive while another sends. What is set through one handle
    /// (timeouts, options, the non-blocking mode) holds for both.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.with_shared_settings(self.0.get().try_clone()?)))
    }
}

/// Options: one line per method, each with its pair of system calls.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl UdpSocket {$(
            $(#[doc = $doc])+
            pub fn $name(&self, $($argument: $type),*) -> io::Result<$result> {
                self.0.get().$name($($argument),*)
            }
        )*}
    };
}

options! {
    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// * `NotConnected`: the socket is not [connected](Self::connect).
    peer_addr() -> SocketAddr;
    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    local_addr() -> SocketAddr;
    /// Sets `SO_BROADCAST`: sending to a broadcast address is allowed. Default false: it fails with `PermissionDenied`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    set_broadcast(broadcast: bool) -> ();
    /// `SO_BROADCAST`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    broadcast() -> bool;
    /// Sets `IP_MULTICAST_LOOP`: what is sent to an IPv4 group also comes to its members on this machine. Default true.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    set_multicast_loop_v4(multicast_loop: bool) -> ();
    /// `IP_MULTICAST_LOOP`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    multicast_loop_v4() -> bool;
    /// Sets `IP_MULTICAST_TTL`: how many hops datagrams to an IPv4 group go, 0 to 255. 0 keeps them on this machine. Default 1: the
    /// local network.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: `hops` is more than 255.
    set_multicast_ttl_v4(hops: u32) -> ();
    /// `IP_MULTICAST_TTL`, in hops.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    multicast_ttl_v4() -> u32;
    /// Sets `IPV6_MULTICAST_LOOP`, as [`set_multicast_loop_v4`](Self::set_multicast_loop_v4) for IPv6 groups. Default true.
    ///
    /// # Errors
    ///
    /// * `ENOPROTOOPT`, for which [`io::ErrorKind`] has no name: the socket is not an IPv6 one.
    set_multicast_loop_v6(multicast_loop: bool) -> ();
    /// `IPV6_MULTICAST_LOOP`.
    ///
    /// # Errors
    ///
    /// * `Unsupported`: the socket is not an IPv6 one.
    multicast_loop_v6() -> bool;
    /// Sets the time to live of datagrams sent over IPv4, but for those to a group: the number of hops, 1 to 255. Default: the
    /// system's, 64 as a rule.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: `hops` is not between 1 and 255.
    set_ttl(hops: u32) -> ();
    /// The time to live of datagrams sent over IPv4, in hops.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    ttl() -> u32;
    /// Receives what is sent to an IPv4 group, on the interface with this address; the kernel chooses one if it is
    /// [unspecified](Ipv4Addr::UNSPECIFIED). A socket may be in `net.ipv4.igmp_max_memberships` groups, 20 as a rule.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: the address is not a group's.
    /// * `AddrInUse`: the socket is in the group already, on this interface.
    /// * `ENODEV`, for which [`io::ErrorKind`] has no name: no interface has that address, or none leads to the group.
    /// * `ENOBUFS`, without a name as well: the socket is in as many groups as the system allows.
    join_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Receives what is sent to an IPv6 group, on the interface with this index; the kernel chooses one if it is 0.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: the address is not a group's.
    /// * `AddrInUse`: the socket is in the group already, on this interface.
    /// * `ENODEV`, for which [`io::ErrorKind`] has no name: there is no such interface, or none leads to the group.
    /// * `ENOPROTOOPT`, without a name as well: the socket is not an IPv6 one.
    join_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
    /// Undoes [`join_multicast_v4`](Self::join_multicast_v4) with the same arguments.
    ///
    /// # Errors
    ///
    /// * `AddrNotAvailable`: the socket is not in the group, on this interface.
    leave_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Undoes [`join_multicast_v6`](Self::join_multicast_v6) with the same arguments.
    ///
    /// # Errors
    ///
    /// * `AddrNotAvailable`: the socket is not in the group, on this interface.
    /// * `InvalidInput`: the address is not a group's.
    /// * `ENOPROTOOPT`, for which [`io::ErrorKind`] has no name: the socket is not an IPv6 one.
    leave_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
}

socket_settings!(UdpSocket, "receives", "sends");
std_conversions!(UdpSocket, std::net::UdpSocket, Kind::Other);
descriptor_traits!(UdpSocket, std::net::UdpSocket);
