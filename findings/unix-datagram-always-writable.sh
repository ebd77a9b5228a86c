#!/usr/bin/env bash
# Linux Unix datagram sockets: an unconnected one is writable while its sends are EAGAIN.
#
# One would expect that sendto(2) with EAGAIN is followed by a poll that waits until there is room.
# The room is that of the receiver's queue (a few datagrams, net.unix.max_dgram_qlen), and an unconnected sender
# has no receiver until it calls sendto. So poll says writable although the queue is full, each refused sendto is
# itself an edge for edge-triggered epoll, and the moment at which the receiver makes room is none. Only a
# connected socket is told. A socketpair(2) of datagram sockets is exempt from the queue's length: its limit is
# the sender's buffer.
# It matters to a library that turns EAGAIN into "wait until writable": it spins, with either kind of triggering,
# until the receiver reads. Tests on a socketpair do not show it.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def writable(s):
    p = select.poll()
    p.register(s, select.POLLOUT)
    return bool(p.poll(0))

def fill(send):
    n = 0
    try:
        while send():
            n += 1
    except BlockingIOError:
        return n

os.chdir(sys.argv[1])
queue = int(open("/proc/sys/net/unix/max_dgram_qlen").read())
print("Linux", os.uname().release, "net.unix.max_dgram_qlen", queue)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("receiver")
others = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
others.setblocking(False)
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.setblocking(False)
edges = select.epoll()
edges.register(sender, select.EPOLLOUT | select.EPOLLET)
edges.poll(0)

def drain():
    while select.select([receiver], [], [], 0)[0]:
        receiver.recv(1)

see("datagrams of others until EAGAIN", fill(lambda: others.sendto(b"x", "receiver")), queue + 1)
see("unconnected: datagrams until EAGAIN", fill(lambda: sender.sendto(b"x", "receiver")), 0)
see("unconnected: poll says writable", writable(sender), True)
see("unconnected: edges, the queue still full", len(edges.poll(0)), 1)
see("unconnected: the next attempt", fill(lambda: sender.sendto(b"x", "receiver")), 0)
see("unconnected: edges, the queue still full", len(edges.poll(0)), 1)
drain()
see("unconnected, the receiver made room: edges", len(edges.poll(0.2)), 0)

sender.connect("receiver")
edges.poll(0)
fill(lambda: others.sendto(b"x", "receiver"))
see("connected: datagrams until EAGAIN", fill(lambda: sender.send(b"x")), 0)
see("connected: poll says writable", writable(sender), False)
see("connected: edges, the queue still full", len(edges.poll(0)), 0)
drain()
see("connected, the receiver made room: edges", len(edges.poll(0.2)), 1)

a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.setblocking(False)
n = fill(lambda: a.send(b"x"))
see(f"socketpair: takes more than ten times the queue ({n})", n > 10 * (queue + 1), True)
PY
python3 "$work/see.py" "$work"
