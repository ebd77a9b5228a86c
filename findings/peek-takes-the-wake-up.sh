#!/usr/bin/env bash
# Linux: of several threads that wait with MSG_PEEK for a datagram, one is woken, though the message stays for all.
#
# One would expect that all three see the message: each of them only looks, and a stream socket does wake all three.
# A wait for a datagram is exclusive: a message wakes one of those who wait. One that peeks leaves the message where it is and
# wakes nobody, so the others go on waiting in front of a message that is there, until another one comes.
# It matters to a server whose threads peek at a shared socket to find out for whom a message is: they stand still with
# work in the queue. So does a thread that waits to read beside one that peeks and gives up.
# Seen with Linux 6.18, with Unix datagrams, Unix packets and UDP.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, socket, sys, threading, time

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def all_sleep(ids):
    def state(id):
        with open(f"/proc/self/task/{id}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    return all(state(id) == "S" for id in ids)
def udp():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    return sender, receiver
def ended(pair):
    sender, receiver = pair
    seen, ids = [], []
    def peek():
        ids.append(threading.get_native_id())
        seen.append(receiver.recv(8, socket.MSG_PEEK))
    for _ in range(3):
        threading.Thread(target=peek, daemon=True).start()
    while len(ids) < 3 or not all_sleep(ids):
        time.sleep(0.01)
    time.sleep(0.1)
    sender.send(b"hello")
    time.sleep(0.5)
    return len(seen)

print("Linux", os.uname().release, "three threads wait with MSG_PEEK, one message comes")
for name, pair, surprise in [
    ("Unix stream", socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM), 3),
    ("Unix datagram", socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM), 1),
    ("Unix packets", socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET), 1),
    ("UDP", udp(), 1),
]:
    see(f"{name}: threads that have seen it", ended(pair), surprise)
sys.stdout.flush()
os._exit(0)
PY
python3 "$work/see.py"
