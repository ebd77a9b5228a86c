#!/usr/bin/env bash
# Linux TCP: a socket that was full has room again although its peer has read nothing.
#
# One would expect that a non-blocking socket whose writes were refused (EAGAIN) stays full until the other end reads:
# so a test fills it, and knows from then on that the next write waits.
# On the loopback it takes more bytes some time later, without a single read. Two things are under way when the write is
# refused. The last of what was sent is not acknowledged, and the receiver may put that off for 40 ms; only then is its
# copy in the sender's buffer given up. And where the rest of the receiver's window is smaller than a packet, the kernel
# does not send a part of one at once, but after a timer of 200 ms or more, since the window might open. What it sends
# then makes room. It is over when TCP_INFO says that nothing is unacknowledged and that the window is 0.
# It matters to tests of slow readers, of backpressure and of writes with a deadline: "fill, then expect that a write
# blocks" fails now and then, and "poll says not writable" is not yet the end.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, socket, struct, sys, time

def fill(writer):
    """Writes until the kernel refuses. How many bytes that were."""
    count = 0
    while True:
        try:
            count += writer.send(bytes(4096))
        except BlockingIOError:
            return count

def unacknowledged_and_window(writer):
    info = writer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=I", info, 24)[0], struct.unpack_from("=I", info, 228)[0]

print("Linux", os.uname().release)
had_room = 0
for buffer in range(16, 80, 16):
    listener = socket.create_server(("127.0.0.1", 0))
    writer = socket.create_connection(listener.getsockname())
    reader, _ = listener.accept()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer * 1024)
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer * 1024)
    writer.setblocking(False)
    first, more, end = fill(writer), 0, time.monotonic() + 30
    # Nobody reads, ever.
    while unacknowledged_and_window(writer) != (0, 0) and time.monotonic() < end:
        select.select([], [writer], [], 0.01)
        more += fill(writer)
    more += fill(writer)
    had_room += more > 0
    print(f"  buffers of {buffer:2} KiB: refused after {first:6} bytes, then {more:6} more, and nothing was read")
    select.select([], [writer], [], 1)
    if fill(writer):
        sys.exit("no longer so: there was room although nothing was under way")
if not had_room:
    sys.exit("no longer so: none of them had room again")
print(f"  {had_room} of 4 had room again; none has any when TCP_INFO tells that nothing is under way")
PY
python3 "$work/see.py"
