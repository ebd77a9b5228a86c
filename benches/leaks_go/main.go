// The shapes of tests/observe/shapes.rs, for Go's goroutine leak profile.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

type shape struct {
	name string
	want int // how many goroutines leak
	run  func()
}

//go:noinline
func park() { var c chan int = make(chan int); kept = append(kept, c); <-c }

var kept []chan int
var inStatic chan int
var keptCond *sync.Cond

var found = []shape{
	{"own_range", 1, func() {
		go func() {
			c := make(chan int, 1)
			c <- 1
			for range c {
			}
		}()
	}},
	{"each_other", 2, func() {
		a, b := make(chan int), make(chan int)
		go func() { <-a; b <- 1 }()
		go func() { <-b; a <- 1 }()
	}},
	{"pool", 4, func() {
		jobs, results := make(chan int, 1), make(chan int, 1)
		var wg sync.WaitGroup
		for i := 0; i < 3; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for j := range jobs {
					results <- j
				}
			}()
		}
		go func() {
			jobs <- 1
			for range results {
			}
			close(jobs)
		}()
	}},
	{"full", 1, func() { go func() { c := make(chan int, 1); c <- 1; c <- 2; <-c }() }},
	{"lock_held_across_send", 2, func() {
		m, c, locked := new(sync.Mutex), make(chan int), make(chan int)
		go func() { m.Lock(); close(locked); c <- 1; m.Unlock() }()
		go func() { <-locked; m.Lock(); m.Unlock(); <-c }()
	}},
	{"lock_twice", 1, func() { go func() { m := new(sync.Mutex); m.Lock(); m.Lock() }() }},
	{"two_orders", 2, func() {
		a, b := new(sync.Mutex), new(sync.Mutex)
		var both sync.WaitGroup
		both.Add(2)
		go func() {
			a.Lock()
			both.Done()
			both.Wait()
			b.Lock()
			b.Unlock()
			a.Unlock()
		}()
		go func() {
			b.Lock()
			both.Done()
			both.Wait()
			a.Lock()
			a.Unlock()
			b.Unlock()
		}()
	}},
	{"writer_reads", 1, func() { go func() { l := new(sync.RWMutex); l.Lock(); l.RLock() }() }},
	{"nil_channel", 1, func() { go func() { var c chan int; <-c }() }},
	{"join_of_leaked", 2, func() {
		go func() {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() { defer wg.Done(); var c chan int; <-c }()
			wg.Wait()
		}()
	}},
	{"once_in_once", 1, func() { go func() { o := new(sync.Once); o.Do(func() { o.Do(func() {}) }) }() }},
	{"sender_whose_receiver_joins", 2, func() {
		c := make(chan int)
		go func() {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() { defer wg.Done(); c <- 1 }()
			wg.Wait()
			<-c
		}()
	}},
	// Not judged here.
	{"missed_notification", 1, func() { go func() { m := new(sync.Mutex); c := sync.NewCond(m); m.Lock(); c.Wait() }() }},
	{"wait_group_kept", 1, func() { go func() { var wg sync.WaitGroup; wg.Add(1); wg.Wait() }() }},
	{"second_read_behind_writer", 2, func() {
		l, held := new(sync.RWMutex), make(chan int)
		go func() { l.RLock(); close(held); c := make(chan int); <-c; l.RUnlock() }()
		go func() { <-held; l.Lock(); l.Unlock() }()
	}},
	{"select_of_dead", 1, func() {
		go func() {
			a, b := make(chan int), make(chan int)
			select {
			case <-a:
			case <-b:
			}
		}()
	}},
	// What abaca cannot write.
	{"sender_without_receiver", 1, func() { c := make(chan int); go func() { c <- 1 }() }},
	{"early_return_of_receiver", 1, func() {
		c := make(chan int)
		go func() { c <- 1 }()
		select {
		case <-c:
		case <-time.After(0):
		}
	}},
}

var alive = []shape{
	{"sender_in_static", 0, func() { inStatic = make(chan int); go func() { <-inStatic }() }},
	{"sleeper_has_sender", 0, func() { c := make(chan int); go func() { time.Sleep(time.Hour); c <- 1 }(); go func() { <-c }() }},
	{"context", 0, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		go func() { <-ctx.Done() }()
		keptCancel = cancel
	}},
	{"timer", 0, func() { t := time.NewTimer(time.Hour); go func() { <-t.C }() }},
	{"cond_in_static", 0, func() { keptCond = sync.NewCond(new(sync.Mutex)); go func() { keptCond.L.Lock(); keptCond.Wait() }() }},
	{"lock_of_sleeper", 0, func() {
		m := new(sync.Mutex)
		l := make(chan int)
		go func() { m.Lock(); close(l); time.Sleep(time.Hour); m.Unlock() }()
		<-l
		go func() { m.Lock() }()
	}},
	{"pipe", 0, func() { r, w, _ := os.Pipe(); go func() { r.Read(make([]byte, 1)) }(); keptFile = w }},
}

var keptCancel context.CancelFunc
var keptFile *os.File

func leaked() int {
	p := pprof.Lookup("goroutineleak")
	if p == nil {
		fmt.Println("no profile: GOEXPERIMENT=goroutineleakprofile")
		os.Exit(1)
	}
	var b bytes.Buffer
	p.WriteTo(&b, 2)
	return strings.Count(b.String(), "(leaked)")
}

func main() {
	all := append(append([]shape{}, found...), alive...)
	if len(os.Args) > 1 {
		for _, s := range all {
			if s.name == os.Args[1] {
				s.run()
				got := 0
				for i := 0; i < 10; i++ {
					time.Sleep(10 * time.Millisecond)
					runtime.GC()
					got = leaked()
				}
				fmt.Println(got)
			}
		}
		return
	}
	whole, some, alarms := 0, 0, 0
	for _, s := range all {
		out, _ := exec.Command(os.Args[0], s.name).Output()
		var got int
		fmt.Sscan(string(out), &got)
		if s.want > 0 && got == s.want {
			whole++
		}
		if s.want > 0 && got > 0 {
			some++
		}
		if s.want == 0 && got > 0 {
			alarms++
		}
		fmt.Printf("%-30s leaks %d, found %d\n", s.name, s.want, got)
	}
	fmt.Println("of", len(found), "shapes found", some, "wholly", whole, "false alarms", alarms, "of", len(alive))
}
