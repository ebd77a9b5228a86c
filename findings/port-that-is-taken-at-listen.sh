#!/usr/bin/env bash
# Linux: with SO_REUSEADDR a taken port is found by listen(2), not by bind(2).
#
# One would expect that a successful bind(2) is the reservation of the port: EADDRINUSE belongs to bind, and the
# port that getsockname then shows is one's own.
# As long as nobody listens, any number of sockets with SO_REUSEADDR bind to the same port, and all succeed. The
# first that calls listen(2) wins; for the others listen says EADDRINUSE, and from then on bind does too.
# It matters to code that binds early (to print the address, say) and listens late, and to tests that bind to port
# 0 in order to "reserve" a number for somebody else. tokio's TcpSocket and socket2 have the two steps.
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
        return call(*args) or "works"
    except OSError as e:
        return errno.errorcode[e.errno]

def new(reuse=1):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    return s

print("Linux", os.uname().release, "sockets with SO_REUSEADDR")
first, second, third = new(), new(), new()
first.bind(("127.0.0.1", 0))
address = first.getsockname()
see("the second binds to the same port", outcome(second.bind, address), "works")
see("one without SO_REUSEADDR binds", outcome(new(0).bind, address), "EADDRINUSE")
see("the second listens", outcome(second.listen), "works")
see("the first, who had the port first, listens", outcome(first.listen), "EADDRINUSE")
see("the third binds", outcome(third.bind, address), "EADDRINUSE")
PY
cd "$work"
python3 see.py
