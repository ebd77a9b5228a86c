#!/usr/bin/env bash
# Linux SO_LINGER: only close(2) waits, in non-blocking mode too, and it does not say how the wait ended.
#
# One would expect what socket(7) says: close(2) and shutdown(2) wait until all is sent or the time is up. And
# that a non-blocking socket does not block, and that close tells (EWOULDBLOCK, say) if the time was not enough,
# the rest being thrown away.
# shutdown returns at once. close waits whatever the mode of the socket is; when the time is up it returns 0, as
# it does when all is sent; the rest is not thrown away but sent in the background, and arrives.
# It matters to an event loop: one close of a socket with SO_LINGER (which accepted sockets have from their
# listener) stops it for up to the whole time; and the option gives no answer to the question that it is
# set for.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, socket, struct, sys, time

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def full(seconds):
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    sent = 0
    try:
        while True:
            sent += client.send(bytes(65536))
    except BlockingIOError:
        return client, server, sent

def waits(call, *args):
    begin = time.monotonic()
    call(*args)
    return time.monotonic() - begin > 0.5

def arrives(server):
    got = 0
    while data := server.recv(1 << 20):
        got += len(data)
    return got

print("Linux", os.uname().release, "non-blocking TCP sockets, linger 1 s, the peer reads nothing at first")
client, server, sent = full(1)
see("shutdown(SHUT_WR) waits", waits(client.shutdown, socket.SHUT_WR), False)
client, server, sent = full(1)
see("close waits (and succeeds: else Python would raise)", waits(client.close), True)
see("all has arrived in the end", arrives(server) == sent, True)
PY
cd "$work"
python3 see.py
