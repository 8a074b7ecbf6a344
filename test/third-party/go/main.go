// An HTTP server or client whose goroutines have their spans as profiler labels: by otel-profiling-go, with OpenTelemetry's SDK, or by dd-trace-go.
// Protocol and modes: ../README.md.
//
//	go-peer serve otel|datadog
//	go-peer call otel|datadog PORT
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	datadog "github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
	profiling "github.com/grafana/otel-profiling-go"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

var modes = []string{"both", "client", "server", "none", "early"}

type span struct {
	Trace string `json:"trace"`
	Span  string `json:"span"`
	Name  string `json:"name"`
}

type trace struct {
	Kind  string `json:"kind"`
	ID    int    `json:"id"`
	Spans []span `json:"spans"`
}

var saying sync.Mutex

func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	saying.Lock()
	defer saying.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// start begins a span of that name and returns its ids, its context and what ends it.
type start func(ctx context.Context, name string) (context.Context, span, func())

func starter(kind string) start {
	if kind == "datadog" {
		// Nobody takes what it sends.
		datadog.Start(datadog.WithLogStartup(false), datadog.WithProfilerCodeHotspots(true), datadog.WithProfilerEndpoints(true))
		return func(ctx context.Context, name string) (context.Context, span, func()) {
			started, ctx := datadog.StartSpanFromContext(ctx, name)
			ids := span{started.Context().TraceID(), fmt.Sprintf("%016x", started.Context().SpanID()), name}
			return ctx, ids, func() { started.Finish() }
		}
	}
	tracer := profiling.NewTracerProvider(sdk.NewTracerProvider()).Tracer("go-peer")
	return func(ctx context.Context, name string) (context.Context, span, func()) {
		ctx, started := tracer.Start(ctx, name)
		ids := span{started.SpanContext().TraceID().String(), started.SpanContext().SpanID().String(), name}
		return ctx, ids, func() { started.End() }
	}
}

func serve(begin start) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/t", func(w http.ResponseWriter, r *http.Request) {
		number, _ := strconv.Atoi(r.URL.Query().Get("id"))
		mode := r.URL.Query().Get("mode")
		end := func() {}
		if mode == "both" || mode == "server" || mode == "early" {
			var ids span
			_, ids, end = begin(r.Context(), "serve")
			say(trace{"trace", number, []span{ids}})
		}
		if mode == "early" {
			end()
		}
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "ok")
		// Else it leaves only after this function, when no span is active any more.
		w.(http.Flusher).Flush()
		if mode != "early" {
			end()
		}
	})
	go http.Serve(listener, nil)
	say(map[string]any{"kind": "ready", "port": listener.Addr().(*net.TCPAddr).Port})
	io.Copy(io.Discard, os.Stdin)
}

type runner struct {
	begin  start
	port   string
	client *http.Client
}

func (r runner) ask(ctx context.Context, number int, mode string) bool {
	request, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%s/t?id=%d&mode=%s", r.port, number, mode), nil)
	if err != nil {
		return false
	}
	response, err := r.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && string(body) == "ok"
}

func (r runner) run(first, count, concurrency int, mode string) {
	var group sync.WaitGroup
	var next, failed atomic.Int64
	var lock sync.Mutex
	traces := []trace{}
	next.Store(int64(first))
	work := func() {
		for number := int(next.Add(1) - 1); number < first+count; number = int(next.Add(1) - 1) {
			its, ctx, end := mode, context.Background(), func() {}
			if mode == "mixed" {
				its = modes[number%len(modes)]
			}
			if its == "both" || its == "client" || its == "early" {
				var ids span
				ctx, ids, end = r.begin(ctx, "call")
				lock.Lock()
				traces = append(traces, trace{"trace", number, []span{ids}})
				lock.Unlock()
			}
			if !r.ask(ctx, number, its) {
				failed.Add(1)
			}
			end()
		}
	}
	for range concurrency {
		group.Go(work)
	}
	group.Wait()
	say(map[string]any{"kind": "done", "failed": failed.Load(), "traces": traces})
}

func call(begin start, port string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	r := runner{begin, port, client}
	say(map[string]any{"kind": "ready"})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		first, _ := strconv.Atoi(words[1])
		count, _ := strconv.Atoi(words[2])
		concurrency, _ := strconv.Atoi(words[3])
		r.run(first, count, concurrency, words[4])
	}
}

func main() {
	begin := starter(os.Args[2])
	if os.Args[1] == "serve" {
		serve(begin)
	} else {
		call(begin, os.Args[3])
	}
}
