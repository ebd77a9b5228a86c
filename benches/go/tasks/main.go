// Command tasks runs one task workload on goroutines and prints its figures as a line of JSON.
//
// Usage: tasks WORKLOAD START MOST, with GOMAXPROCS set to the number of workers. The amount of work doubles from START
// until a run takes 150 ms or MOST is reached, as in the Rust half of the comparison, and each workload does the same.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const longEnough = 150 * time.Millisecond

// A sample holds the figures of one run, by name.
type sample struct {
	Seconds float64            `json:"seconds"`
	Figures map[string]float64 `json:"figures"`
}

var workloads = map[string]func(amount int) sample{
	"yield2":             func(amount int) sample { return yields(2, amount) },
	"yield_many":         func(amount int) sample { return yields(200, amount) },
	"spawn_join":         spawnJoin,
	"spawn_batch 100k":   spawnBatch,
	"spawn_batch 1M":     spawnBatch,
	"ping_pong":          pingPong,
	"chained_spawn":      chainedSpawn,
	"chan_pingpong":      chanPingPong,
	"chan_1x1":           func(amount int) sample { return stream(1, amount) },
	"chan_4x4":           func(amount int) sample { return stream(4, amount) },
	"mutex uncontended":  func(amount int) sample { return mutex(1, amount) },
	"mutex 100 tasks":    func(amount int) sample { return mutex(100, amount) },
	"skynet 1M":          skynet,
	"sleep_storm 100k":   sleepStorm,
	"sleep 50us alone":   sleepAlone,
	"idle 20k":           idle,
	"parked 1M for long": parkedLong,
	"sleeping 1M":        sleeping,
}

func main() {
	if len(os.Args) != 4 {
		fail("usage: tasks WORKLOAD START MOST")
	}
	run, known := workloads[os.Args[1]]
	if !known {
		fail("unknown workload " + os.Args[1])
	}
	amount, most := number(os.Args[2]), number(os.Args[3])
	for {
		result := run(amount)
		if result.Seconds >= longEnough.Seconds() || amount >= most {
			line, err := json.Marshal(result)
			if err != nil {
				fail(err.Error())
			}
			fmt.Println(string(line))
			return
		}
		amount = min(2*amount, most)
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func number(text string) int {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		fail(err.Error())
	}
	return int(min(value, 1<<62))
}

func perOperation(elapsed time.Duration, operations int) sample {
	ns := float64(elapsed.Nanoseconds()) / float64(operations)
	return sample{elapsed.Seconds(), map[string]float64{"ns": ns}}
}

func whole(elapsed time.Duration) sample {
	return sample{elapsed.Seconds(), map[string]float64{"ms": elapsed.Seconds() * 1e3}}
}

func lateness(elapsed time.Duration, late []int64) sample {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	at := func(share float64) float64 { return float64(late[int(float64(len(late)-1)*share)]) / 1e3 }
	return sample{elapsed.Seconds(), map[string]float64{"late p50 us": at(0.50), "late p99 us": at(0.99)}}
}

// status reads a line of /proc/self/status, in bytes.
func status(label string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err.Error())
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, label); found {
			return 1024 * number(strings.Fields(rest)[0])
		}
	}
	fail("/proc/self/status has no " + label)
	return 0
}

func resident() int { return status("VmRSS:") + status("VmPTE:") }

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err.Error())
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
