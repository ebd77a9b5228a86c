#!/usr/bin/env bash
# SQLite: `sqlite3_busy_timeout` adds up the sleeps that it asked for, and looks at no clock: signals shorten it.
#
# One would expect that a busy timeout of two seconds is over after two seconds. The handler sleeps 1, 2, 5, 10 ms and so on, and adds up
# what it meant to sleep. A sleep that a signal ends early is added up as a whole. With a timer of one millisecond, as profilers use,
# "database is locked" comes after some fifty milliseconds instead of two thousand.
# It matters to whoever profiles a program, or uses interval timers or signals between threads: writers that were patient in tests fail
# under the profiler. A handler that is given to `sqlite3_busy_handler`, and looks at a clock, is not affected.
# Seen with SQLite 3.51.1, of pysqlite3-binary 0.5.4.post2, and with 3.40.1 of Debian 12.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python"
"$work/python/bin/pip" install --quiet --disable-pip-version-check pysqlite3-binary==0.5.4.post2
cat > "$work/see.py" <<'PYTHON'
import signal
import sys
import time

from pysqlite3 import dbapi2 as sqlite

path = sys.argv[1]
owner = sqlite.connect(path, isolation_level=None)
owner.execute("create table t (n)")
owner.execute("begin exclusive")
reader = sqlite.connect(path, isolation_level=None, timeout=2.0)


def wait():
    began = time.monotonic()
    try:
        reader.execute("select * from t").fetchall()
    except sqlite.OperationalError as error:
        return str(error), time.monotonic() - began
    return "no error", 0


error, quiet = wait()
print(f"  without signals: {error}, after {quiet:.2f} s")
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
error_too, disturbed = wait()
signal.setitimer(signal.ITIMER_REAL, 0)
print(f"  with one each millisecond: {error_too}, after {disturbed:.2f} s")
# The reader waits out its two seconds in the one case, and not half of them in the other.
sys.exit(not (error == error_too == "database is locked" and quiet >= 1.9 and disturbed < 1))
PYTHON
echo "a reader with a timeout of 2 s:"
"$work/python/bin/python" "$work/see.py" "$work/file" || { echo "no longer so" >&2; exit 1; }
