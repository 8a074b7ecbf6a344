// net/http server and client of the traffic generator (see ../README.md):
//
//	go-peer server HOST:PORT|PATH
//	go-peer client HOST:PORT|PATH
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const decoy = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"

// Whole frames, before the same.
const http2Decoy = "\x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x86\x84\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88" + decoy

var isHTTP2 = os.Getenv("HTTP2") != ""

func filler(size int) string {
	text := decoy
	if isHTTP2 {
		text = http2Decoy
	}
	return strings.Repeat(text, size/len(text)+1)[:size]
}

// Of the server and of the client; without TLS by prior knowledge.
func protocols() *http.Protocols {
	var chosen http.Protocols
	chosen.SetHTTP1(!isHTTP2)
	chosen.SetHTTP2(isHTTP2)
	chosen.SetUnencryptedHTTP2(isHTTP2)
	return &chosen
}

var stdout sync.Mutex

func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Printf("%s\n", text)
}

func network(where string) string {
	if strings.HasPrefix(where, "/") {
		return "unix"
	}
	return "tcp"
}

func echo(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	number := func(name string) int { n, _ := strconv.Atoi(query.Get(name)); return n }
	io.Copy(io.Discard, r.Body)
	time.Sleep(time.Duration(number("delay")) * time.Millisecond)

	if query.Get("reset") != "" && query.Get("when") != "within" {
		panic(http.ErrAbortHandler)
	}
	if query.Get("hints") != "" && r.ProtoMajor == 2 {
		w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
	}
	w.Header().Set("Server-Pid", strconv.Itoa(os.Getpid()))
	status := number("status")
	if status == 0 {
		status = 200
	}
	body := filler(number("size"))
	if query.Get("hold") != "" || query.Get("reset") != "" {
		// Half of the body is on its way before the stream is reset, by this end or by the other.
		w.WriteHeader(status)
		io.WriteString(w, body[:len(body)/2])
		w.(http.Flusher).Flush()
		if query.Get("reset") != "" {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
		return
	}
	if query.Get("trailers") != "" {
		w.Header().Set("Trailer", "Server-Took")
		defer w.Header().Set("Server-Took", "1")
	}
	if query.Get("close") != "" {
		// net/http has no body until close for HTTP/1.1 clients: taken over and written by hand.
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(conn, "HTTP/1.1 %d Close\r\nServer-Pid: %d\r\nConnection: close\r\n\r\n%s", status, os.Getpid(), body)
		conn.Close()
		return
	}
	chunks := number("chunks")
	if chunks == 0 && status != 204 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if r.Method == "HEAD" || status == 204 || status == 304 {
		return
	}
	if chunks == 0 {
		io.WriteString(w, body)
		return
	}
	step := (len(body) + chunks - 1) / chunks
	for i := range chunks {
		io.WriteString(w, body[min(i*step, len(body)):min((i+1)*step, len(body))])
		w.(http.Flusher).Flush()
	}
}

func serve(where string) {
	listener, err := net.Listen(network(where), where)
	if err != nil {
		panic(err)
	}
	line := map[string]any{"kind": "listening", "pid": os.Getpid()}
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		line["port"] = address.Port
	} else {
		line["path"] = where
	}
	say(line)
	server := &http.Server{Handler: http.HandlerFunc(echo), Protocols: protocols()}
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	if certificate := os.Getenv("TLS_CERTIFICATE"); certificate != "" {
		go server.ServeTLS(listener, certificate, os.Getenv("TLS_KEY"))
	} else {
		go server.Serve(listener)
	}
	io.Copy(io.Discard, os.Stdin)
}

type planned struct {
	ID             string            `json:"id"`
	Method         string            `json:"method"`
	Target         string            `json:"target"`
	BodySize       int               `json:"bodySize"`
	Chunked        bool              `json:"chunked"`
	ExpectContinue bool              `json:"expectContinue"`
	Trailers       bool              `json:"trailers"`
	Cancel         string            `json:"cancel"`
	Headers        map[string]string `json:"headers"`
}

type plan struct {
	Requests    []planned `json:"requests"`
	Connections int       `json:"connections"`
	Streams     int       `json:"streams"`
}

func scheme() string {
	if os.Getenv("TLS") != "" {
		return "https://"
	}
	return "http://"
}

func exchange(client *http.Client, authority string, p planned) {
	var body io.Reader
	if p.BodySize > 0 {
		body = strings.NewReader(filler(p.BodySize))
		if p.Chunked {
			body = io.MultiReader(body) // hides the length
		}
	}
	line := map[string]any{"kind": "exchange", "id": p.ID}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if p.Cancel == "request" {
		time.AfterFunc(20*time.Millisecond, cancel)
	}
	request, err := http.NewRequestWithContext(ctx, p.Method, scheme()+authority+p.Target, body)
	if err != nil {
		panic(err)
	}
	if p.Trailers {
		request.Trailer = http.Header{"Client-Took": {"2"}}
	}
	for name, value := range p.Headers {
		request.Header.Set(name, value)
	}
	if p.ExpectContinue {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := client.Do(request)
	if err != nil {
		line["error"] = err.Error()
		say(line)
		return
	}
	defer response.Body.Close()
	var size int64
	if p.Cancel == "body" {
		io.ReadFull(response.Body, make([]byte, 1))
	}
	if p.Cancel != "" {
		cancel()
	}
	size, err = io.Copy(io.Discard, response.Body)
	if err != nil {
		line["error"] = err.Error()
	}
	line["status"], line["responseBodySize"] = response.StatusCode, size
	line["serverPid"], _ = strconv.Atoi(response.Header.Get("Server-Pid"))
	say(line)
}

func ask(where string) {
	authority := where
	if network(where) == "unix" {
		authority = "localhost"
	}
	// Connections of one transport are shared by streams as it likes; so over HTTP/2 each connection has its own.
	newTransport := func() *http.Transport {
		return &http.Transport{
			Protocols:             protocols(),
			DisableCompression:    true,
			ExpectContinueTimeout: 10 * time.Second,
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network(where), where)
			},
		}
	}
	transports := []*http.Transport{newTransport()}
	say(map[string]any{"kind": "ready", "pid": os.Getpid()})

	plans := bufio.NewScanner(os.Stdin)
	plans.Buffer(nil, 64<<20)
	for plans.Scan() {
		var todo plan
		if err := json.Unmarshal(plans.Bytes(), &todo); err != nil {
			panic(err)
		}
		connections := max(todo.Connections, 1)
		requests := make(chan planned)
		var workers sync.WaitGroup
		ask := func(transport *http.Transport) {
			for p := range requests {
				exchange(&http.Client{Transport: transport}, authority, p)
			}
		}
		if isHTTP2 {
			for len(transports) < connections {
				transports = append(transports, newTransport())
			}
			for i := range connections {
				transports[i].MaxConnsPerHost = 1
				for range max(todo.Streams, 1) {
					workers.Go(func() { ask(transports[i]) })
				}
			}
		} else {
			transports[0].MaxConnsPerHost, transports[0].MaxIdleConnsPerHost = connections, connections
			for range connections {
				workers.Go(func() { ask(transports[0]) })
			}
		}
		for _, p := range todo.Requests {
			requests <- p
		}
		close(requests)
		workers.Wait()
		say(map[string]any{"kind": "done"})
	}
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "server" {
		serve(os.Args[2])
	} else if len(os.Args) == 3 && os.Args[1] == "client" {
		ask(os.Args[2])
	} else {
		fmt.Fprintln(os.Stderr, "usage: go-peer server|client HOST:PORT|PATH")
		os.Exit(2)
	}
}
