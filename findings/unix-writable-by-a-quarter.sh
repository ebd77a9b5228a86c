#!/usr/bin/env bash
# Linux Unix stream sockets: poll says "not writable" long before the socket is full.
#
# One would expect that a socket is writable (POLLOUT) as long as a write would be taken, give or take one packet.
# A Unix stream socket is reported writable only while less than a quarter of its send buffer is used. Up to then
# and from then on writes succeed: the other three quarters can only be used by one who writes without being told
# to.
# It matters to an event loop that waits for readiness before each write (or arms POLLOUT after a partial answer):
# it gets a quarter of the buffer, and stops with a peer that is merely slow.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, socket, sys

def writable(s):
    p = select.poll()
    p.register(s, select.POLLOUT)
    return bool(p.poll(0))

print("Linux", os.uname().release, "Unix stream socket, blocks of 4096 bytes")
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
a.setblocking(False)
room = a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
taken, refused_by_poll = 0, None
try:
    while True:
        if refused_by_poll is None and not writable(a):
            refused_by_poll = taken
        taken += a.send(bytes(4096))
except BlockingIOError:
    pass
print(f"  send buffer {room}; poll stopped saying writable after {refused_by_poll} bytes; send took {taken}")
while taken - refused_by_poll > 0 and not writable(a):
    taken -= len(b.recv(4096))
print(f"  while the peer reads, poll says writable again at {taken} bytes")
if not refused_by_poll * 3 < room or not taken <= refused_by_poll:
    sys.exit("no longer so: poll's limit was about a quarter of the buffer")
PY
python3 "$work/see.py"
