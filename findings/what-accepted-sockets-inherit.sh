#!/usr/bin/env bash
# Linux: an accepted TCP socket has the listener's options, an accepted Unix socket has its own.
#
# One would expect that options set on a listener say something about the listener: how long accept(2) may take
# (SO_RCVTIMEO), say. And that both families agree.
# A TCP connection starts as a copy of its listener: time-outs, SO_LINGER, SO_RCVLOWAT, buffer sizes, TCP_NODELAY.
# A Unix connection starts afresh, except for SO_PASSCRED, which is copied there.
# It matters to a server that gives its accept loop a time-out: each of its TCP connections has a read time-out
# from then on, and with SO_LINGER each close(2) may wait. The same code on a Unix socket has neither, nor the
# large buffers it asked for.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, socket, struct, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
SOCKET, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
number, pair, time = struct.pack("i", 7), struct.pack("ii", 1, 7), struct.pack("ll", 7, 0)
both = {
    "SO_RCVTIMEO": (SOCKET, socket.SO_RCVTIMEO, time),
    "SO_LINGER": (SOCKET, socket.SO_LINGER, pair),
    "SO_RCVLOWAT": (SOCKET, socket.SO_RCVLOWAT, number),
    "SO_SNDBUF": (SOCKET, socket.SO_SNDBUF, struct.pack("i", 20000)),
}
only = {
    socket.AF_INET: {"TCP_NODELAY": (TCP, socket.TCP_NODELAY, struct.pack("i", 1))},
    socket.AF_UNIX: {"SO_PASSCRED": (SOCKET, socket.SO_PASSCRED, struct.pack("i", 1))},
}

def inherited(family, address):
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    client = socket.socket(family)
    options = both | only[family]
    for level, option, value in options.values():
        listener.setsockopt(level, option, value)
    client.connect(listener.getsockname())
    accepted = listener.accept()[0]
    same = lambda level, option, value: (
        listener.getsockopt(level, option, len(value)) == accepted.getsockopt(level, option, len(value)))
    return sorted(name for name, o in options.items() if same(*o))

print("Linux", os.uname().release, "options set on the listener that the accepted socket has")
see("TCP", inherited(socket.AF_INET, ("127.0.0.1", 0)), sorted([*both, "TCP_NODELAY"]))
see("Unix", inherited(socket.AF_UNIX, "listener"), ["SO_PASSCRED"])
PY
cd "$work"
python3 see.py
