#!/usr/bin/env bash
# Linux /proc/mounts: the event "mounts have changed" is gone once anybody has asked for it.
#
# One would expect that poll(2) only looks: that it says POLLPRI again and again until the reader has done
# something (read the file anew), as it does for a pipe or a socket.
# Whoever polls the open file takes the event: a second poll says nothing, without a read in between. A poll takes
# it from an epoll instance that waits for the same open file, and an epoll instance that is itself watched by
# another one is reported readable and then has nothing to report.
# It matters to code that checks an event before it passes it on ("still ready?"), to event loops that hang one
# epoll instance into another, and to debug output that polls.
# Seen with Linux 6.18. (The mounts are made in a namespace of their own.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import ctypes, os, select, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_MOUNT, PRIVATE = 0x10000000, 0x20000, 0x44000
if libc.unshare(NEW_MOUNT) and libc.unshare(NEW_USER | NEW_MOUNT):
    sys.exit("this machine does not let us have mounts of our own")
libc.mount(b"none", b"/", None, PRIVATE, None)
os.mkdir("here")
mounted = 0

def change():
    global mounted
    if libc.mount(b"none", os.path.abspath("here").encode(), b"tmpfs", 0, None):
        sys.exit("this machine does not let us mount: " + os.strerror(ctypes.get_errno()))
    mounted += 1

def polled(file):
    p = select.poll()
    p.register(file, select.POLLPRI)
    return any(events & select.POLLPRI for _, events in p.poll(0))

def watched(inner, events):
    e = select.epoll()
    e.register(inner, events)
    return e

print("Linux", os.uname().release)
mounts = open("/proc/mounts")
change()
see("polled three times after a change", [polled(mounts) for _ in "123"], [True, False, False])
mounts = open("/proc/mounts")
epoll = watched(mounts, select.EPOLLPRI)
change()
see("level-triggered epoll, asked twice", [len(epoll.poll(0.1)) for _ in "12"], [1, 0])
change()
see("poll, then epoll on the same open file", [polled(mounts), len(epoll.poll(0.1))], [True, 0])
outer = watched(epoll, select.EPOLLIN)
change()
see("an epoll around the epoll, then the inner one", [len(outer.poll(0.1)), len(epoll.poll(0.1))], [1, 0])
for _ in range(mounted):
    libc.umount2(os.path.abspath("here").encode(), 2)
PY
cd "$work"
python3 see.py
