import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.net.Socket;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The service of the lab on Java: a virtual thread per connection over java.net. It listens on standard input, which is
 * the lab's socket. Compiles with any JDK since 17; virtual threads are looked up, so that only running needs 21.
 */
public final class Lab {
    private static final byte[] HEAD =
            ascii("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n");
    private static final byte[] END = ascii("Connection: close\r\n");
    private static final byte[] BODY = ascii("\r\nHello, world!");
    private static final byte[] NOT_FOUND = ascii("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n");
    private static final byte[] NO_BODY = ascii("\r\n");
    private static final byte[] BAD_REQUEST =
            ascii("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    private static final int MAX_HEAD = 16 * 1024;

    private static double iterationsPerUs;
    private static volatile long sink;

    /** What is not a request of this service. */
    private static final class Garbage extends Exception {}

    private record Request(boolean found, int cpuUs, int waitMs, boolean close) {}

    public static void main(String[] arguments) throws Throwable {
        var colon = arguments[0].lastIndexOf(':');
        var host = arguments[0].substring(0, colon);
        var port = Integer.parseInt(arguments[0].substring(colon + 1));
        MethodHandle start = MethodHandles.lookup().findStatic(
                Thread.class, "startVirtualThread", MethodType.methodType(Thread.class, Runnable.class));
        calibrate();
        var listener = (ServerSocketChannel) System.inheritedChannel();
        listener.configureBlocking(true);
        while (true) {
            var client = listener.accept().socket();
            Runnable connection = () -> converse(client, host, port);
            var thread = (Thread) start.invokeExact(connection);
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** The lab's chain of dependent operations. */
    private static void turn(long iterations) {
        long state = 0x9e3779b97f4a7c15L;
        for (long i = 0; i < iterations; i++) {
            state ^= state << 13;
            state ^= state >>> 7;
            state ^= state << 17;
        }
        sink = state;
    }

    private static void calibrate() {
        long trial = 1 << 20;
        long fastest = Long.MAX_VALUE;
        // The first trials are interpreted, and compiled meanwhile.
        for (int i = 0; i < 64; i++) {
            long began = System.nanoTime();
            turn(trial);
            fastest = Math.min(fastest, System.nanoTime() - began);
        }
        iterationsPerUs = trial / (fastest / 1e3);
    }

    private static void converse(Socket client, String host, int port) {
        Socket backend = null;
        try (client) {
            client.setTcpNoDelay(true);
            var in = client.getInputStream();
            var out = client.getOutputStream();
            var output = new ByteArrayOutputStream();
            var input = new byte[1024];
            int filled = 0;
            while (true) {
                int taken = 0;
                int end;
                while ((end = endOfHead(input, taken, filled)) >= 0) {
                    Request request;
                    try {
                        request = parse(new String(input, taken, end - taken, StandardCharsets.ISO_8859_1));
                    } catch (Garbage garbage) {
                        output.write(BAD_REQUEST);
                        flush(output, out);
                        return;
                    }
                    taken = end + 4;
                    if (request.cpuUs > 0) {
                        turn((long) (request.cpuUs * iterationsPerUs));
                    }
                    if (request.waitMs > 0) {
                        flush(output, out);
                        if (backend == null) {
                            backend = new Socket(host, port);
                            backend.setTcpNoDelay(true);
                        }
                        backend.getOutputStream().write(ascii(request.waitMs + "\n"));
                        if (backend.getInputStream().read() < 0) {
                            return;
                        }
                    }
                    output.write(request.found ? HEAD : NOT_FOUND);
                    if (request.close) {
                        output.write(END);
                    }
                    output.write(request.found ? BODY : NO_BODY);
                    if (request.close) {
                        flush(output, out);
                        return;
                    }
                }
                flush(output, out);
                System.arraycopy(input, taken, input, 0, filled - taken);
                filled -= taken;
                if (filled >= MAX_HEAD) {
                    out.write(BAD_REQUEST);
                    return;
                }
                if (filled == input.length) {
                    input = Arrays.copyOf(input, 2 * filled);
                }
                int length = in.read(input, filled, input.length - filled);
                if (length < 0) {
                    return;
                }
                filled += length;
            }
        } catch (IOException gone) {
            // A connection ends with its first error, as it does when its client is gone.
        } finally {
            close(backend);
        }
    }

    private static void close(Socket backend) {
        try {
            if (backend != null) {
                backend.close();
            }
        } catch (IOException gone) {
            // It was closed before.
        }
    }

    private static void flush(ByteArrayOutputStream output, OutputStream out) throws IOException {
        if (output.size() > 0) {
            out.write(output.toByteArray());
            output.reset();
        }
    }

    private static int endOfHead(byte[] input, int from, int to) {
        for (int at = from; at + 3 < to; at++) {
            if (input[at] == '\r' && input[at + 1] == '\n' && input[at + 2] == '\r' && input[at + 3] == '\n') {
                return at;
            }
        }
        return -1;
    }

    private static Request parse(String head) throws Garbage {
        var lines = head.split("\r\n");
        var words = lines[0].split(" ");
        if (words.length != 3 || !words[0].equals("GET") || !words[2].startsWith("HTTP/1.")) {
            throw new Garbage();
        }
        boolean close = words[2].equals("HTTP/1.0");
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            if (colon < 0) {
                throw new Garbage();
            }
            var name = lines[i].substring(0, colon).toLowerCase();
            var value = lines[i].substring(colon + 1).trim();
            if (name.equals("transfer-encoding") || name.equals("content-length") && !value.equals("0")) {
                throw new Garbage();
            }
            close |= name.equals("connection") && value.equalsIgnoreCase("close");
        }
        return target(words[1], close);
    }

    private static Request target(String target, boolean close) throws Garbage {
        int mark = target.indexOf('?');
        var path = mark < 0 ? target : target.substring(0, mark);
        long cpuUs = 0;
        long waitMs = 0;
        if (path.equals("/work") && mark >= 0) {
            for (var pair : target.substring(mark + 1).split("&")) {
                int equals = pair.indexOf('=');
                long value;
                try {
                    value = Long.parseLong(pair.substring(equals + 1));
                } catch (NumberFormatException error) {
                    throw new Garbage();
                }
                switch (pair.substring(0, Math.max(equals, 0))) {
                    case "cpu_us" -> cpuUs = value;
                    case "wait_ms" -> waitMs = value;
                    default -> throw new Garbage();
                }
            }
        }
        if (cpuUs < 0 || cpuUs > 10_000_000 || waitMs < 0 || waitMs > 60_000) {
            throw new Garbage();
        }
        boolean found = path.equals("/") || path.equals("/work");
        return new Request(found, (int) cpuUs, (int) waitMs, close);
    }
}
