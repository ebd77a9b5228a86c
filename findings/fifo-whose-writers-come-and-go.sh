#!/usr/bin/env bash
# Linux FIFOs: read says "end" where poll says nothing, and no event tells that a writer came.
#
# One would expect that poll and read agree on whether the end is reached, and that epoll tells a reader when the
# state that it reported (POLLHUP) is over.
# A reader (O_NONBLOCK) before the first writer: read returns 0, the end; poll reports nothing at all. After a
# writer has come and gone: both say end (POLLHUP). When the next writer opens the FIFO, POLLHUP goes away without
# any event, edge-triggered or not; a writer whose reader comes back after POLLERR gets no event either.
# It matters to an event loop that reads first and waits on EAGAIN: it takes "nobody yet" for the end. One that
# remembers POLLHUP takes a living writer for a dead one until the first byte comes.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def polled(fd, events):
    p = select.poll()
    p.register(fd, events)
    names = {select.POLLIN: "POLLIN", select.POLLOUT: "POLLOUT", select.POLLERR: "POLLERR", select.POLLHUP: "POLLHUP"}
    return [n for _, got in p.poll(0) for bit, n in names.items() if got & bit]

def read(fd):
    try:
        return os.read(fd, 10)
    except BlockingIOError:
        return "EAGAIN"

def opened(flags):
    return os.open("fifo", flags | os.O_NONBLOCK)

def edges_of(fd, events):
    e = select.epoll()
    e.register(fd, events | select.EPOLLET)
    return e, len(e.poll(0))

print("Linux", os.uname().release)
os.mkfifo("fifo")
reader = opened(os.O_RDONLY)
see("reader, no writer yet: poll, read", (polled(reader, select.POLLIN), read(reader)), ([], b""))
edges, _ = edges_of(reader, select.EPOLLIN)
writer = opened(os.O_WRONLY)
see("reader, a writer came: edges, read", (len(edges.poll(0.1)), read(reader)), (0, "EAGAIN"))
os.close(writer)
see("reader, it went: edges, poll", (len(edges.poll(0.1)), polled(reader, select.POLLIN)), (1, ["POLLHUP"]))
writer = opened(os.O_WRONLY)
see("reader, another came: edges, poll", (len(edges.poll(0.1)), polled(reader, select.POLLIN)), (0, []))
os.close(reader)
edges, n = edges_of(writer, select.EPOLLOUT)
see("writer, no reader: edges, poll", (n, polled(writer, select.POLLOUT)), (1, ["POLLOUT", "POLLERR"]))
reader = opened(os.O_RDONLY)
see("writer, a reader came: edges, poll", (len(edges.poll(0.1)), polled(writer, select.POLLOUT)), (0, ["POLLOUT"]))
PY
cd "$work"
python3 see.py
