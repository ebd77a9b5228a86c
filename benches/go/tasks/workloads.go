package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func yields(tasks, amount int) sample {
	var group sync.WaitGroup
	began := time.Now()
	for range tasks {
		group.Go(func() {
			for range amount {
				runtime.Gosched()
			}
		})
	}
	group.Wait()
	return perOperation(time.Since(began), tasks*amount)
}

// spawn starts a task whose result waits in the channel: what a join handle is elsewhere.
func spawn(result int) <-chan int {
	handle := make(chan int, 1)
	go func() { handle <- result }()
	return handle
}

func spawnJoin(amount int) sample {
	began := time.Now()
	for number := range amount {
		<-spawn(number)
	}
	return perOperation(time.Since(began), amount)
}

func spawnBatch(amount int) sample {
	batch := func() time.Duration {
		began := time.Now()
		results := make([]int, amount)
		var group sync.WaitGroup
		group.Add(amount)
		for number := range amount {
			go func() {
				results[number] = number
				group.Done()
			}()
		}
		group.Wait()
		return time.Since(began)
	}
	batch()
	return perOperation(batch(), amount)
}

func pingPong(amount int) sample {
	const pairs = 1_000
	began := time.Now()
	for range amount {
		var group sync.WaitGroup
		for number := range pairs {
			group.Go(func() {
				ask, answer := make(chan int, 1), make(chan int, 1)
				go func() { answer <- <-ask }()
				ask <- number
				<-answer
			})
		}
		group.Wait()
	}
	return perOperation(time.Since(began), amount*pairs)
}

func chainedSpawn(amount int) sample {
	const links = 1_000
	done := make(chan struct{}, 1)
	var link func(left int)
	link = func(left int) {
		if left == 0 {
			done <- struct{}{}
		} else {
			go link(left - 1)
		}
	}
	began := time.Now()
	for range amount {
		go link(links)
		<-done
	}
	return perOperation(time.Since(began), amount*links)
}

func chanPingPong(amount int) sample {
	there, back := make(chan int), make(chan int)
	go func() {
		for message := range there {
			back <- message
		}
		close(back)
	}()
	began := time.Now()
	for number := range amount {
		there <- number
		<-back
	}
	elapsed := time.Since(began)
	close(there)
	<-back
	return perOperation(elapsed, amount)
}

func stream(sides, amount int) sample {
	messages := make(chan int, 128)
	var producers, consumers sync.WaitGroup
	began := time.Now()
	for range sides {
		consumers.Go(func() {
			for range messages {
			}
		})
	}
	for range sides {
		producers.Go(func() {
			for number := range amount {
				messages <- number
			}
		})
	}
	producers.Wait()
	close(messages)
	consumers.Wait()
	return perOperation(time.Since(began), sides*amount)
}

func mutex(tasks, amount int) sample {
	var lock sync.Mutex
	var group sync.WaitGroup
	count := 0
	began := time.Now()
	for range tasks {
		group.Go(func() {
			for range amount {
				lock.Lock()
				count++
				lock.Unlock()
			}
		})
	}
	group.Wait()
	elapsed := time.Since(began)
	if count != tasks*amount {
		fail("lost increments")
	}
	return perOperation(elapsed, tasks*amount)
}

func skynet(amount int) sample {
	const children = 10
	var node func(parent chan<- int, first, leaves int)
	node = func(parent chan<- int, first, leaves int) {
		if leaves == 1 {
			parent <- first
			return
		}
		sums := make(chan int, children)
		share := leaves / children
		for child := range children {
			go node(sums, first+child*share, share)
		}
		sum := 0
		for range children {
			sum += <-sums
		}
		parent <- sum
	}
	root := make(chan int, 1)
	began := time.Now()
	go node(root, 0, amount)
	if <-root != amount*(amount-1)/2 {
		fail("wrong sum")
	}
	result := whole(time.Since(began))
	result.Figures["peak MB"] = float64(status("VmHWM:")) / 1e6
	return result
}

// durationOf scrambles the sleeper's number exactly as the Rust half does.
func durationOf(sleeper int) time.Duration {
	scrambled := (uint64(sleeper) * 0x9E3779B97F4A7C15) >> 32
	return time.Duration(1+scrambled%1_000) * time.Millisecond
}

func sleepStorm(amount int) sample {
	began, cpuBefore := time.Now(), cpuTime()
	late := make([]int64, amount)
	var group sync.WaitGroup
	for sleeper := range amount {
		group.Go(func() {
			began, duration := time.Now(), durationOf(sleeper)
			time.Sleep(duration)
			late[sleeper] = int64(time.Since(began) - duration)
		})
	}
	group.Wait()
	cpu := cpuTime() - cpuBefore
	result := lateness(time.Since(began), late)
	result.Figures["cpu ms"] = cpu.Seconds() * 1e3
	return result
}

func sleepAlone(amount int) sample {
	const alone = 50 * time.Microsecond
	began := time.Now()
	late := make([]int64, amount)
	for i := range late {
		began := time.Now()
		time.Sleep(alone)
		late[i] = int64(time.Since(began) - alone)
	}
	return lateness(time.Since(began), late)
}

// waiting measures what a goroutine costs that waits, after a rest in which the runtime may give memory back.
func waiting(amount int, rest time.Duration, wait func()) sample {
	var started atomic.Int64
	began, before := time.Now(), resident()
	for range amount {
		go func() {
			started.Add(1)
			wait()
		}()
	}
	for started.Load() < int64(amount) {
		time.Sleep(time.Millisecond)
	}
	result := perOperation(time.Since(began), amount)
	time.Sleep(rest)
	result.Figures["bytes"] = float64(resident()-before) / float64(amount)
	return result
}

func idle(amount int) sample {
	gate := make(chan struct{})
	defer close(gate)
	return waiting(amount, 0, func() { <-gate })
}

func parkedLong(amount int) sample {
	gate := make(chan struct{})
	defer close(gate)
	rest := 5 * time.Second
	if amount < 1_000_000 {
		rest = 0
	}
	return waiting(amount, rest, func() { <-gate })
}

func sleeping(amount int) sample {
	return waiting(amount, 0, func() { time.Sleep(time.Hour) })
}
