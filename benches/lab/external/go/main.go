// The service of the lab on Go: a goroutine per connection over package net. The same parser and the same bytes as the
// other models', as far as another language has them; it listens on standard input, which is the lab's socket.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	head       = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
	end        = "Connection: close\r\n"
	body       = "\r\nHello, world!"
	notFound   = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
	badRequest = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	maxHead    = 16 * 1024
)

var (
	errGarbage      = errors.New("not a request")
	iterationsPerUs float64
	sink            uint64
)

func main() {
	backend := os.Args[1]
	workers, err := strconv.Atoi(os.Args[2])
	check(err)
	runtime.GOMAXPROCS(workers)
	calibrate()
	listener, err := net.FileListener(os.Stdin)
	check(err)
	for {
		client, err := listener.Accept()
		if err != nil {
			// Out of descriptors: those that wait are served when others have left.
			time.Sleep(time.Millisecond)
			continue
		}
		go converse(client, backend)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// turn is the lab's chain of dependent operations.
func turn(iterations int) {
	state := uint64(0x9e3779b97f4a7c15)
	for i := 0; i < iterations; i++ {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
	}
	if state == 0 {
		sink++
	}
}

func calibrate() {
	const trial = 1 << 20
	fastest := time.Hour
	for i := 0; i < 16; i++ {
		began := time.Now()
		turn(trial)
		fastest = min(fastest, time.Since(began))
	}
	iterationsPerUs = trial / (float64(fastest.Nanoseconds()) / 1e3)
}

type request struct {
	found      bool
	close      bool
	cpu, wait  int
	bytesTaken int
}

// parse returns nil while the end of the request has not come.
func parse(input []byte) (*request, error) {
	length := bytes.Index(input, []byte("\r\n\r\n"))
	if length < 0 {
		if len(input) >= maxHead {
			return nil, errGarbage
		}
		return nil, nil
	}
	lines := strings.Split(string(input[:length]), "\r\n")
	words := strings.Split(lines[0], " ")
	if len(words) != 3 || words[0] != "GET" || !strings.HasPrefix(words[2], "HTTP/1.") {
		return nil, errGarbage
	}
	asked := &request{close: words[2] == "HTTP/1.0", bytesTaken: length + 4}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok:
			return nil, errGarbage
		case strings.EqualFold(name, "connection") && strings.EqualFold(value, "close"):
			asked.close = true
		case strings.EqualFold(name, "content-length") && value != "0", strings.EqualFold(name, "transfer-encoding"):
			return nil, errGarbage
		}
	}
	return asked, asked.target(words[1])
}

func (asked *request) target(target string) error {
	path, query, _ := strings.Cut(target, "?")
	asked.found = path == "/" || path == "/work"
	if path != "/work" || query == "" {
		return nil
	}
	for _, pair := range strings.Split(query, "&") {
		name, text, _ := strings.Cut(pair, "=")
		value, err := strconv.ParseUint(text, 10, 32)
		switch {
		case err != nil:
			return errGarbage
		case name == "cpu_us" && value <= 10_000_000:
			asked.cpu = int(value)
		case name == "wait_ms" && value <= 60_000:
			asked.wait = int(value)
		default:
			return errGarbage
		}
	}
	return nil
}

func converse(client net.Conn, address string) {
	defer client.Close()
	var backend net.Conn
	input, filled := make([]byte, 1024), 0
	output := bufio.NewWriterSize(client, 4096)
	for {
		taken := 0
		for {
			asked, err := parse(input[taken:filled])
			if err != nil {
				output.WriteString(badRequest)
				output.Flush()
				return
			}
			if asked == nil {
				break
			}
			taken += asked.bytesTaken
			if asked.cpu > 0 {
				turn(int(float64(asked.cpu) * iterationsPerUs))
			}
			if asked.wait > 0 {
				if output.Flush() != nil {
					return
				}
				if backend == nil {
					if backend, err = net.Dial("tcp", address); err != nil {
						return
					}
					defer backend.Close()
				}
				if _, err := fmt.Fprintf(backend, "%d\n", asked.wait); err != nil {
					return
				}
				if _, err := io.ReadFull(backend, make([]byte, 1)); err != nil {
					return
				}
			}
			answer(output, asked)
			if asked.close {
				output.Flush()
				return
			}
		}
		if output.Flush() != nil {
			return
		}
		filled = copy(input, input[taken:filled])
		if filled == len(input) {
			input = append(input, make([]byte, len(input))...)
		}
		length, err := client.Read(input[filled:])
		if err != nil {
			return
		}
		filled += length
	}
}

func answer(output *bufio.Writer, asked *request) {
	if asked.found {
		output.WriteString(head)
	} else {
		output.WriteString(notFound)
	}
	if asked.close {
		output.WriteString(end)
	}
	if asked.found {
		output.WriteString(body)
	} else {
		output.WriteString("\r\n")
	}
}
