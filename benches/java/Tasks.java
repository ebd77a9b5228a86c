import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntFunction;

/**
 * Runs one task workload on virtual threads and prints its figures as a line of JSON.
 *
 * <p>Usage: {@code java Tasks WORKLOAD START MOST}, with the number of workers in {@code jdk.virtualThreadScheduler.parallelism}
 * and {@code .maxPoolSize}. The amount of work doubles from START until a run takes 150 ms or MOST is reached, as in the
 * Rust half of the comparison, and each workload does the same. Then it repeats until the compiler has had its time.
 */
final class Tasks {
    private static final double LONG_ENOUGH = 0.150;
    private static final double WARM = 1.5;
    private static final MethodHandle START = start();

    /** Work that may wait. */
    private interface Body {
        void run() throws Exception;
    }

    /** The figures of one run, by name. */
    private record Sample(double seconds, String name, double figure) {}

    /** Looked up by name, so that compilers older than virtual threads compile this file. */
    private static MethodHandle start() {
        try {
            var type = MethodType.methodType(Thread.class, Runnable.class);
            return MethodHandles.lookup().findStatic(Thread.class, "startVirtualThread", type);
        } catch (ReflectiveOperationException tooOld) {
            throw new IllegalStateException("this Java has no virtual threads", tooOld);
        }
    }

    private static Thread spawn(Body body) {
        Runnable task = () -> {
            try {
                body.run();
            } catch (Exception error) {
                error.printStackTrace();
                System.exit(1);
            }
        };
        try {
            return (Thread) START.invokeExact(task);
        } catch (Throwable error) {
            throw new IllegalStateException(error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var most = arguments[2].length() > 18 ? Long.MAX_VALUE : Long.parseLong(arguments[2]);
        // The body of a workload is itself a task.
        spawn(() -> {
            boolean quick = Long.parseLong(arguments[1]) == most && most <= 1_000;
            long began = System.nanoTime();
            for (long amount = Long.parseLong(arguments[1]);;) {
                var sample = run(arguments[0], Math.toIntExact(amount));
                boolean whole = sample.seconds >= LONG_ENOUGH || amount >= most;
                // Amounts too small to tell anything need no warm machine either.
                if (whole && (quick || System.nanoTime() - began >= WARM * 1e9)) {
                    System.out.println(json(sample));
                    return;
                }
                if (!whole) {
                    amount = Math.min(2 * amount, most);
                }
            }
        }).join();
    }

    private static String json(Sample sample) throws Exception {
        Map<String, Double> figures = new HashMap<>();
        figures.put(sample.name, sample.figure);
        if (sample.name.equals("ms")) {
            figures.put("peak MB", peakBytes() / 1e6);
        }
        var fields = new StringBuilder();
        figures.forEach((name, figure) -> fields.append(fields.isEmpty() ? "" : ",").append('"' + name + "\":" + figure));
        return "{\"seconds\":" + sample.seconds + ",\"figures\":{" + fields + "}}";
    }

    private static long peakBytes() throws Exception {
        for (var line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return 1024 * Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new IllegalStateException("/proc/self/status has no VmHWM");
    }

    private static Sample run(String workload, int amount) throws Exception {
        switch (workload) {
            case "yield2": return yields(2, amount);
            case "yield_many": return yields(200, amount);
            case "spawn_join": return spawnJoin(amount);
            case "spawn_batch 100k", "spawn_batch 1M": return spawnBatch(amount);
            case "ping_pong": return pingPong(amount);
            case "chained_spawn": return chainedSpawn(amount);
            case "chan_pingpong": return chanPingPong(amount);
            case "chan_1x1": return stream(1, amount);
            case "chan_4x4": return stream(4, amount);
            case "mutex uncontended": return mutex(1, amount);
            case "mutex 100 tasks": return mutex(100, amount);
            case "skynet 1M": return skynet(amount);
            default: throw new IllegalArgumentException("no form of " + workload);
        }
    }

    private static Sample perOperation(long began, long operations) {
        long elapsed = System.nanoTime() - began;
        return new Sample(elapsed / 1e9, "ns", (double) elapsed / operations);
    }

    /** Runs so many tasks and waits for all of them. */
    private static void all(int tasks, IntFunction<Body> body) throws Exception {
        var threads = new Thread[tasks];
        for (int task = 0; task < tasks; task++) {
            threads[task] = spawn(body.apply(task));
        }
        for (var thread : threads) {
            thread.join();
        }
    }

    private static Sample yields(int tasks, int amount) throws Exception {
        long began = System.nanoTime();
        all(tasks, task -> () -> {
            for (int n = 0; n < amount; n++) {
                Thread.yield();
            }
        });
        return perOperation(began, (long) tasks * amount);
    }

    private static Sample spawnJoin(int amount) throws Exception {
        long began = System.nanoTime();
        for (int n = 0; n < amount; n++) {
            int number = n;
            var result = new FutureTask<>(() -> number);
            spawn(result::run);
            result.get();
        }
        return perOperation(began, amount);
    }

    private static Sample spawnBatch(int amount) throws Exception {
        all(amount, task -> () -> {});
        var results = new int[amount];
        long began = System.nanoTime();
        all(amount, task -> () -> results[task] = task);
        return perOperation(began, amount);
    }

    private static Sample pingPong(int amount) throws Exception {
        int pairs = 1_000;
        long began = System.nanoTime();
        for (int n = 0; n < amount; n++) {
            all(pairs, number -> () -> {
                var ask = new ArrayBlockingQueue<Integer>(1);
                var answer = new ArrayBlockingQueue<Integer>(1);
                spawn(() -> answer.put(ask.take()));
                ask.put(number);
                answer.take();
            });
        }
        return perOperation(began, (long) amount * pairs);
    }

    private static Sample chainedSpawn(int amount) throws Exception {
        int links = 1_000;
        long began = System.nanoTime();
        for (int n = 0; n < amount; n++) {
            var done = new CountDownLatch(1);
            spawn(() -> link(links, done));
            done.await();
        }
        return perOperation(began, (long) amount * links);
    }

    private static void link(int left, CountDownLatch done) {
        if (left == 0) {
            done.countDown();
        } else {
            spawn(() -> link(left - 1, done));
        }
    }

    private static Sample chanPingPong(int amount) throws Exception {
        var there = new SynchronousQueue<Integer>();
        var back = new SynchronousQueue<Integer>();
        spawn(() -> {
            for (int n = 0; n < amount; n++) {
                back.put(there.take());
            }
        });
        long began = System.nanoTime();
        for (int n = 0; n < amount; n++) {
            there.put(n);
            back.take();
        }
        return perOperation(began, amount);
    }

    private static Sample stream(int sides, int amount) throws Exception {
        BlockingQueue<Integer> messages = new ArrayBlockingQueue<>(128);
        long began = System.nanoTime();
        all(2 * sides, side -> () -> {
            for (int n = 0; n < amount; n++) {
                if (side < sides) {
                    messages.take();
                } else {
                    messages.put(n);
                }
            }
        });
        return perOperation(began, (long) sides * amount);
    }

    private static Sample mutex(int tasks, int amount) throws Exception {
        var lock = new ReentrantLock();
        var count = new long[1];
        long began = System.nanoTime();
        all(tasks, task -> () -> {
            for (int n = 0; n < amount; n++) {
                lock.lock();
                try {
                    count[0]++;
                } finally {
                    lock.unlock();
                }
            }
        });
        if (count[0] != (long) tasks * amount) {
            throw new IllegalStateException("lost increments");
        }
        return perOperation(began, (long) tasks * amount);
    }

    private static Sample skynet(int amount) throws Exception {
        var root = new ArrayBlockingQueue<Long>(1);
        long began = System.nanoTime();
        spawn(() -> node(root, 0, amount));
        if (root.take() != (long) amount * (amount - 1) / 2) {
            throw new IllegalStateException("wrong sum");
        }
        long elapsed = System.nanoTime() - began;
        return new Sample(elapsed / 1e9, "ms", elapsed / 1e6);
    }

    private static void node(BlockingQueue<Long> parent, long first, int leaves) throws Exception {
        if (leaves == 1) {
            parent.put(first);
            return;
        }
        int children = 10;
        int share = leaves / children;
        var sums = new ArrayBlockingQueue<Long>(children);
        for (int child = 0; child < children; child++) {
            long start = first + (long) child * share;
            spawn(() -> node(sums, start, share));
        }
        long sum = 0;
        for (int child = 0; child < children; child++) {
            sum += sums.take();
        }
        parent.put(sum);
    }
}
