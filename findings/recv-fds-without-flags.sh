#!/usr/bin/env bash
# Python socket.recv_fds and send_fds: the flags are accepted and not used.
#
# One would expect that recv_fds(sock, size, count, flags) passes its flags to recvmsg, whose thin wrapper it is.
# They go nowhere: with MSG_PEEK the message is taken, with MSG_DONTWAIT on an empty socket it waits. send_fds
# ignores its flags, and its address as well.
# It matters to an event loop that asks for MSG_DONTWAIT per call instead of a non-blocking socket: it stops; and
# to code that looks first and reads later: the descriptors are gone. recvmsg and sendmsg take the flags.
# Seen with Python 3.11.7.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, platform, signal, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
class Waits(Exception):
    pass

def alarm(*_):
    raise Waits

signal.signal(signal.SIGALRM, alarm)

def outcome(call, *args):
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        return call(*args)
    except BlockingIOError:
        return "EAGAIN"
    except OSError as error:
        return "not connected" if error.errno == errno.ENOTCONN else error
    except Waits:
        return "waits"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

print("Python", platform.python_version(), "blocking Unix sockets")
DONTWAIT, PEEK = socket.MSG_DONTWAIT, socket.MSG_PEEK
a, b = socket.socketpair()
see("empty, recvmsg with MSG_DONTWAIT", outcome(b.recvmsg, 1, 0, DONTWAIT), "EAGAIN")
see("empty, recv_fds with MSG_DONTWAIT", outcome(socket.recv_fds, b, 1, 1, DONTWAIT), "waits")
socket.send_fds(a, [b"x"], [0])
data, fds, _, _ = socket.recv_fds(b, 1, 1, PEEK)
see("one message, recv_fds with MSG_PEEK", (data, len(fds)), (b"x", 1))
see("one message, recv_fds with MSG_PEEK again", outcome(socket.recv_fds, b, 1, 1, PEEK), "waits")
while outcome(a.sendmsg, [bytes(4096)], [], DONTWAIT) != "EAGAIN":
    pass
see("full, sendmsg with MSG_DONTWAIT", outcome(a.sendmsg, [b"x"], [], DONTWAIT), "EAGAIN")
see("full, send_fds with MSG_DONTWAIT", outcome(socket.send_fds, a, [b"x"], [0], DONTWAIT), "waits")
mailbox, sender = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in "12")
mailbox.bind("mailbox")
see("unconnected, sendmsg with an address", outcome(sender.sendmsg, [b"x"], [], 0, "mailbox"), 1)
see("unconnected, send_fds with an address", outcome(socket.send_fds, sender, [b"x"], [0], 0, "mailbox"), "not connected")
PY
cd "$work"
python3 see.py
