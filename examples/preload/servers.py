"""The servers: how each is started, what its clients do, and how it ends."""

import os
import signal
import socket
import subprocess
import time

import clients
from clients import Failure

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
# How long a start, an end or a single answer may take on a busy machine.
PATIENCE = clients.PATIENCE
DAY = 86400


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server that listens at a port, and whose clients are those of `clients.py`."""

    clients = 300
    ends_by = signal.SIGTERM
    # Status of a server that is ended so.
    ended = (0, -signal.SIGTERM)

    def __init__(self, folder, number):
        self.folder, self.number, self.port = folder, number, free_port()

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, 0o644)
        return path

    def prepare(self):
        """What there must be before the server starts."""

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self, process):
        process.send_signal(self.ends_by)


class Files(Server):
    """A server of files by HTTP: each client asks three times on one connection."""

    def prepare(self):
        os.mkdir(self.path("files"))
        for n in range(10):
            self.path(f"files/{n}", clients.page(n))

    def run(self, count_threads):
        return clients.http(self.port, self.number, count_threads)


class Tunnel(Server):
    """A server that passes bytes on to one that echoes them."""

    def prepare(self):
        self.echo = clients.Echo()

    def run(self, count_threads):
        return clients.tunnels(self.port, self.echo.port, self.number, count_threads, self.enter)


class Mariadb(Server):
    program, clients = "mariadbd", 2000

    def prepare(self):
        self.data, self.socket = self.path("data"), self.path("socket")
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal",
             "--user=root"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        return ["mariadbd", "--no-defaults", "--user=root", f"--datadir={self.data}", f"--socket={self.socket}",
                "--skip-networking", "--thread-handling=one-thread-per-connection", "--thread-cache-size=0",
                f"--max-connections={self.number + 10}", f"--back-log={self.number}", "--innodb-flush-log-at-trx-commit=0",
                # All clients wait for one row.
                f"--innodb-lock-wait-timeout={DAY}"]

    def client(self, program, *arguments, **options):
        return subprocess.run([program, "--no-defaults", "-uroot", f"-S{self.socket}", *arguments], text=True,
                              capture_output=True, timeout=PATIENCE, **options)

    def begin(self, program, *arguments, **options):
        return subprocess.Popen([program, "--no-defaults", "-uroot", f"-S{self.socket}", *arguments], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def ask(self, query):
        answer = self.client("mariadb", "-N", "-e", query)
        if answer.returncode != 0:
            raise Failure(f"{query}: {answer.stderr}")
        return answer.stdout.split()

    def is_up(self):
        return self.client("mariadb-admin", "ping").returncode == 0

    def run(self, count_threads):
        """Its own load generator: each client locks one row, and writes down who it is. Two waits hold all of them."""
        self.ask("create database mysqlslap; use mysqlslap; create table counter (n int) engine=innodb;"
                 "insert into counter values (0); create table seen (client bigint, round int) engine=innodb")
        rounds = [f"begin; update counter set n = n + 1; insert into seen values (connection_id(), {n}); commit" for n in (1, 2)]
        # Nobody tires of the gate: it is us who give up.
        query = f"{rounds[0]}; select get_lock('gate', {DAY}) is not null; do release_lock('gate'); {rounds[1]}"
        # The gate is shut by a client of our own until all are at it.
        gate = self.begin("mariadb", "-N", "--unbuffered", stdin=subprocess.PIPE)
        gate.stdin.write("select get_lock('gate', 1);\n")
        gate.stdin.flush()
        clients.expect(gate.stdout.readline(), "1\n")
        load = self.begin("mariadb-slap", f"--concurrency={self.number}", "--iterations=1", f"--query={query}", "--delimiter=;",
                          "--create-schema=mysqlslap", "--no-drop")
        waiting = "select count(*) from information_schema.processlist where state = 'User lock'"
        if (here := self.watch(load, waiting, self.number)) < self.number:
            load.kill()
            raise Failure(f"only {here} clients have come: {load.communicate()[0]}")
        threads = count_threads()
        gate.communicate()
        # Those that wait for the row do not show, those that are done do.
        seen = self.watch(load, "select count(*) from mysqlslap.seen", 2 * self.number)
        if seen < 2 * self.number and load.poll() is None:
            load.kill()
            raise Failure(f"only {seen} transactions were done: {load.communicate()[0]}")
        printed, _ = load.communicate(timeout=PATIENCE)
        if load.returncode != 0:
            raise Failure(printed)
        found = self.ask("select n from mysqlslap.counter; select count(*), count(distinct client) from mysqlslap.seen")
        expected = [2 * self.number, 2 * self.number, self.number]
        if [int(n) for n in found] != expected:
            raise Failure(f"the tables have {found}, not {expected}")
        return found[0], threads

    def watch(self, load, query, wanted):
        """Waits until the answer is what is wanted, as long as it changes and the load generator runs. Returns the last answer."""
        progress, answer = clients.Progress(), 0
        while load.poll() is None and progress.patience():
            before, answer = answer, int(self.ask(query)[0])
            if answer == wanted:
                break
            if answer != before:
                progress.step()
            time.sleep(0.1)
        return answer

    def stop(self, process):
        self.client("mariadb-admin", "shutdown")


class Stunnel(Tunnel):
    program = "stunnel4"

    def prepare(self):
        super().prepare()
        self.certificate = clients.certificate(self.folder)

    def command(self):
        return ["stunnel4", self.path("configuration", f"""
            foreground = yes
            pid =
            socket = l:SO_REUSEADDR=1
            [echo]
            accept = 127.0.0.1:{self.port}
            connect = 127.0.0.1:{self.echo.port}
            cert = {self.certificate}
            """.replace("            ", ""))]

    def enter(self, stream, port):
        return clients.tls(stream)


class Microsocks(Tunnel):
    program = "microsocks"

    def command(self):
        return ["microsocks", "-i", "127.0.0.1", "-p", str(self.port)]

    def enter(self, stream, port):
        return clients.socks(stream, port)


class Tinyproxy(Tunnel):
    program = "tinyproxy"

    def command(self):
        return ["tinyproxy", "-d", "-c", self.path("configuration", f"""
            Port {self.port}
            Listen 127.0.0.1
            MaxClients {self.number + 10}
            LogLevel Error
            ConnectPort {self.echo.port}
            """)]

    def enter(self, stream, port):
        return clients.http_connect(stream, port)


class Python(Files):
    program = "/usr/bin/python3"

    def command(self):
        return [self.program, "-c", "import os, sys, http.server as s\n"
                "class Handler(s.SimpleHTTPRequestHandler):\n"
                "    protocol_version = 'HTTP/1.1'\n"
                "    def log_message(self, *_): pass\n"
                "class Server(s.ThreadingHTTPServer):\n"
                "    request_queue_size = 1000\n"
                "os.chdir(sys.argv[2])\n"
                "Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()", str(self.port), self.path("files")]


class Ruby(Files):
    program = "ruby"

    def command(self):
        return ["ruby", "-rwebrick", "-e", "s = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: ARGV[0].to_i, "
                "DocumentRoot: ARGV[1], MaxClients: 5000, Logger: WEBrick::Log.new(File::NULL), AccessLog: []);"
                "trap('TERM') { s.shutdown }; s.start", str(self.port), self.path("files")]


class Java(Server):
    program = "javac"
    # How the virtual machine ends by SIGTERM.
    ended = (128 + signal.SIGTERM,)

    def prepare(self):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Echo.java")
        subprocess.run(["javac", "-d", self.folder, source], check=True)

    def command(self):
        return ["java", "-Xmx64m", "-cp", self.folder, "Echo", str(self.port)]

    def run(self, count_threads):
        return clients.tunnels(self.port, self.port, self.number, count_threads, clients.nothing)


class Civetweb(Files):
    program = "civetweb"

    def command(self):
        return ["civetweb", "-listening_ports", f"127.0.0.1:{self.port}", "-document_root", self.path("files"),
                "-num_threads", str(self.number), "-enable_keep_alive", "yes", "-keep_alive_timeout_ms", "60000",
                "-request_timeout_ms", "120000"]


class Atftpd(Files):
    program, clients = "atftpd", 100

    def command(self):
        return ["atftpd", "--daemon", "--no-fork", "--user", "root.root", "--bind-address", "127.0.0.1", "--port", str(self.port),
                "--retry-timeout", "60", "--maxthread", str(self.number + 10), "--logfile", self.path("log"), self.path("files")]

    def is_up(self):
        # Whoever connects to a port of UDP where nobody listens is told so at the second datagram.
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("127.0.0.1", self.port))
                for _ in range(2):
                    probe.send(b"\0\5\0\0nothing\0")
                    time.sleep(0.05)
                return True
            except ConnectionRefusedError:
                return False

    def run(self, count_threads):
        return clients.tftp(self.port, self.number, count_threads)


class Apache(Files):
    """Three processes, forked by one that has no threads, each with threads for all clients."""

    program = "apache2"

    def command(self):
        modules = "/usr/lib/apache2/modules"
        return ["apache2", "-D", "FOREGROUND", "-d", self.folder, "-f", self.path("configuration", f"""
            Listen 127.0.0.1:{self.port}
            ServerName localhost
            PidFile pid
            DefaultRuntimeDir {self.folder}
            ErrorLog errors
            LoadModule mpm_worker_module {modules}/mod_mpm_worker.so
            LoadModule authz_core_module {modules}/mod_authz_core.so
            DocumentRoot {self.path('files')}
            ServerLimit 3
            StartServers 3
            ThreadLimit {self.number}
            ThreadsPerChild {self.number}
            MaxRequestWorkers {3 * self.number}
            MinSpareThreads 1
            MaxSpareThreads {3 * self.number}
            KeepAlive On
            KeepAliveTimeout 100
            MaxKeepAliveRequests 0
            """)]


class Nginx(Files):
    """Two processes that wait for clients by epoll, and read files in threads of their own: a pool of sixteen each."""

    program = "nginx"
    ends_by = signal.SIGQUIT

    def command(self):
        folders = " ".join(f"{kind}_temp_path {self.folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return ["nginx", "-p", self.folder, "-e", self.path("errors"), "-c", self.path("configuration", f"""
            daemon off;
            user root;
            pid pid;
            worker_processes 2;
            thread_pool default threads=16;
            events {{ worker_connections 2000; }}
            http {{
                access_log off;
                keepalive_timeout 100s;
                {folders}
                server {{
                    listen 127.0.0.1:{self.port};
                    root {self.path('files')};
                    aio threads;
                    sendfile off;
                    output_buffers 1 8k;
                }}
            }}
            """)]


def threads_of(pid):
    """How many threads a process and its children have."""
    count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as children:
                count += 1 + sum(threads_of(child) for child in children.read().split())
        except FileNotFoundError:
            pass  # it has ended meanwhile
    return count


SERVERS = {
    "mariadbd": Mariadb, "stunnel4": Stunnel, "microsocks": Microsocks, "tinyproxy": Tinyproxy, "civetweb": Civetweb,
    "atftpd": Atftpd, "apache2": Apache, "nginx": Nginx, "python3": Python, "ruby": Ruby, "java": Java,
}


def run(kind, number, folder, variables, is_verbose):
    """Runs a server and its clients. Returns how many answers were right, and how many threads it had meanwhile."""
    server = kind(folder, number)
    server.prepare()
    output = None if is_verbose else open(server.path("output"), "w+")
    process = subprocess.Popen(server.command(), env={**os.environ, "PATH": PATH, **variables}, stdin=subprocess.DEVNULL,
                               stdout=output, stderr=output, cwd=folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while not server.is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"it does not start: status {process.poll()}")
            time.sleep(0.05)
        answers, threads = server.run(lambda: threads_of(process.pid))
        server.stop(process)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure("it does not end")
        if status not in server.ended:
            raise Failure(f"it ended with status {status}")
        return int(answers), threads
    except (Failure, subprocess.SubprocessError) as failure:
        if output:
            output.seek(0)
            raise Failure(f"{failure}\n{output.read()[-2000:]}".rstrip())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
