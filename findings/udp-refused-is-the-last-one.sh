#!/usr/bin/env bash
# Linux UDP: ECONNREFUSED of a send(2) is about an earlier datagram, and the present one is not sent.
#
# One would expect that a failed send was a failed send, and a successful one went out; or that the error is a
# mere notice, and the datagram went out all the same.
# A connected UDP socket keeps the answer "nobody there" (ICMP) of an earlier datagram, and the next call returns
# it instead of doing its work. So to a port where nobody listens every second send succeeds, and when somebody
# begins to listen, the first datagram for it is the one that is refused.
# It matters to heartbeats and log senders: a service that has come back misses one datagram more; "retry on
# error" is right, "the peer is down" is wrong.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, select, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def outcome(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]

print("Linux", os.uname().release, "connected UDP socket")
udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer = udp()
peer.bind(("127.0.0.1", 0))
address = peer.getsockname()
peer.close()
ours = udp()
ours.connect(address)
see("nobody listens, six sends", [outcome(ours.send, b"x") for _ in range(6)], [1, "ECONNREFUSED"] * 3)
see("one more", outcome(ours.send, b"x"), 1)
peer = udp()
peer.bind(address)
peer.setblocking(False)
see("somebody listens, three sends", [outcome(ours.send, b) for b in (b"a", b"b", b"c")], ["ECONNREFUSED", 1, 1])
see("what arrives", [outcome(peer.recv, 10) for _ in range(3)], [b"b", b"c", "EAGAIN"])
PY
cd "$work"
python3 see.py
