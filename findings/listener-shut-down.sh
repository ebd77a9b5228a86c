#!/usr/bin/env bash
# Linux: a listener after shutdown(SHUT_RD) differs by family, and may listen again somewhere else.
#
# One would expect that it is over for good, and that who had connected but was not accepted is treated alike
# everywhere.
# TCP: those who wait to be accepted are reset, accept(2) says EINVAL. But the socket is only closed, not spent:
# listen(2) works again, and if the port had been chosen by the kernel (bind to port 0), it is another port now.
# Unix: those who wait can still be accepted one after the other; new ones are refused, after a second listen(2)
# too, which returns success.
# It matters to a server that shuts its listener down in order to wake the threads that accept: over TCP it drops
# connections that clients believe to have, over a Unix socket it must accept once more until EAGAIN.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def outcome(call, *args):
    try:
        call(*args)
        return "works"
    except OSError as e:
        return errno.errorcode[e.errno]

def visitor(listener):
    s = socket.socket(listener.family)
    s.connect(address)
    return s

print("Linux", os.uname().release, "one client waits to be accepted; shutdown(SHUT_RD) of the listener")
for name, family, address in ("TCP", socket.AF_INET, ("127.0.0.1", 0)), ("Unix", socket.AF_UNIX, "listener"):
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen(5)
    listener.setblocking(False)
    address = listener.getsockname()
    waiting = visitor(listener)
    listener.shutdown(socket.SHUT_RD)
    tcp = family == socket.AF_INET
    surprise = ["EINVAL", "EINVAL"] if tcp else ["works", "EAGAIN"]
    see(f"{name}: accept, accept", [outcome(listener.accept) for _ in "12"], surprise)
    if tcp:
        see(f"{name}: the client that waited reads", outcome(waiting.recv, 1), "ECONNRESET")
    see(f"{name}: a new client", outcome(visitor, listener), "ECONNREFUSED")
    see(f"{name}: listen again", outcome(listener.listen, 5), "works")
    see(f"{name}: a new client at the old address", outcome(visitor, listener), "ECONNREFUSED")
    if tcp:
        see(f"{name}: the listener is where it was", listener.getsockname() == address, False)
        address = listener.getsockname()
        see(f"{name}: a new client at the new address", outcome(visitor, listener), "works")
PY
cd "$work"
python3 see.py
