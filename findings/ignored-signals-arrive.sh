#!/usr/bin/env bash
# Linux: a signal that is ignored arrives at sigtimedwait and signalfd if it is blocked, save SIGCHLD.
#
# One would expect that a signal which is ignored (SIG_IGN) is thrown away when it is sent.
# While it is blocked it is kept, ignored or not: it is pending, sigtimedwait takes it and signalfd reports it. If
# it is unblocked without that, it vanishes; setting SIG_IGN *after* it was sent also removes it. SIGCHLD of a
# child that has ended is the exception: with SIG_IGN it is not even sent (the child reaps itself), but one sent
# by kill(2) is kept.
# It matters to a signalfd loop in a program that was started with signals ignored (nohup, a shell's background
# job): it sees SIGHUP or SIGINT that its parent wanted ignored, and one that waits for SIGCHLD hears of nothing.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, signal, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
USR1, CHLD = signal.SIGUSR1, signal.SIGCHLD

def taken(sig):
    got = signal.sigtimedwait([sig], 0)
    return got and signal.Signals(got.si_signo).name

def send(sig):
    os.kill(os.getpid(), sig)

def child():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    fd = os.pidfd_open(pid)
    select.select([fd], [], [])
    os.close(fd)

print("Linux", os.uname().release)
signal.signal(USR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [USR1, CHLD])
send(USR1)
see("ignored and blocked, then sent", taken(USR1), "SIGUSR1")
send(USR1)
see("the same, pending", USR1 in signal.sigpending(), True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [USR1])
signal.pthread_sigmask(signal.SIG_BLOCK, [USR1])
see("the same, once it was unblocked", USR1 in signal.sigpending(), False)
signal.signal(USR1, signal.SIG_DFL)
send(USR1)
signal.signal(USR1, signal.SIG_IGN)
see("blocked, sent, then ignored", taken(USR1), None)
child()
see("SIGCHLD, not ignored, of a child that ended", taken(CHLD), "SIGCHLD")
os.wait()
signal.signal(CHLD, signal.SIG_IGN)
send(CHLD)
see("SIGCHLD, ignored, sent by kill", taken(CHLD), "SIGCHLD")
child()
see("SIGCHLD, ignored, of a child that ended", taken(CHLD), None)
PY
cd "$work"
python3 see.py
