#!/usr/bin/env bash
# Linux: a descriptor that poll calls not ready may answer a read at once, with EINVAL, for as long as it lives.
#
# One would expect that a read from a descriptor that is not readable waits, or says EAGAIN in non-blocking mode, so that
# a program may wait for poll first and read then. But what the kernel refuses in any case it refuses before it looks
# whether there is something: a read of four bytes from an eventfd or a timerfd that is idle (they tell eight), and
# any read or write of an epoll's descriptor. Poll says "not ready" of each of them, and goes on saying so.
# It matters to whoever turns blocking calls into "poll, then call", as runtimes and proxies do: a call that had failed at
# once waits for ever.
# Seen with Linux 6.18 and Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import ctypes, errno, os, select, sys, time

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def outcome(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]

def ready(fd, events):
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(0))

print("Linux", os.uname().release)
event = os.eventfd(0)
timer = ctypes.CDLL(None).timerfd_create(time.CLOCK_MONOTONIC, 0)
quiet = os.eventfd(0, os.EFD_NONBLOCK)
for name, fd in [("eventfd", event), ("timerfd", timer)]:
    see(f"{name}, blocking: readable", ready(fd, select.POLLIN), False)
    see(f"{name}, blocking: a read of 4 bytes", outcome(lambda: os.read(fd, 4)), "EINVAL")
see("eventfd, non-blocking: a read of 8 bytes", outcome(lambda: os.read(quiet, 8)), "EAGAIN")
see("eventfd, non-blocking: a read of 4 bytes", outcome(lambda: os.read(quiet, 4)), "EINVAL")
held = select.epoll()
epoll = held.fileno()
see("epoll: readable, writable", (ready(epoll, select.POLLIN), ready(epoll, select.POLLOUT)), (False, False))
see("epoll: a read", outcome(lambda: os.read(epoll, 8)), "EINVAL")
see("epoll: a write", outcome(lambda: os.write(epoll, b"x")), "EINVAL")
PY
cd "$work"
python3 see.py
