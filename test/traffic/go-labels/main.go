// A server in Go that handles each request under pprof labels of its own, which say what span it is in, and publishes that it does so (OTEP 4719, schema
// go_pprof_labels_v1). The ids follow from the request's number, as in ../c/context-peer.c.
//
//	go-labels [silent]    prints {"kind":"ready","port":N}; ends with its input. `silent`: publishes nothing.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// Length-delimited field of a protobuf message; all sizes here fit a byte.
func field(number byte, content []byte) []byte {
	return append([]byte{number<<3 | 2, byte(len(content))}, content...)
}

func keyValue(key, text string) []byte {
	return append(field(1, []byte(key)), field(2, field(1, []byte(text)))...)
}

var payload = append(field(1, field(1, keyValue("service.name", "go-labels"))), field(2, keyValue("threadlocal.schema_version", "go_pprof_labels_v1"))...)

// The package syscall has no number of memfd_create.
var memfdNumbers = map[string]uintptr{"amd64": 319, "arm64": 279}

func publish() error {
	name := []byte("OTEL_CTX\x00")
	fd, _, errno := syscall.Syscall(memfdNumbers[runtime.GOARCH], uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		return errno
	}
	if err := syscall.Ftruncate(int(fd), 4096); err != nil {
		return err
	}
	memory, err := syscall.Mmap(int(fd), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	copy(memory, "OTEL_CTX")
	binary.LittleEndian.PutUint32(memory[8:], 2)
	binary.LittleEndian.PutUint32(memory[12:], uint32(len(payload)))
	copy(memory[64:], payload)
	binary.LittleEndian.PutUint64(memory[24:], uint64(uintptr(unsafe.Pointer(&memory[64]))))
	binary.LittleEndian.PutUint64(memory[16:], uint64(time.Now().UnixNano()))
	return nil
}

func handle(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseUint(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := func(context.Context) {
		w.Header().Set("content-length", "2")
		io.WriteString(w, "ok")
		http.NewResponseController(w).Flush()
	}
	mode := r.URL.Query().Get("mode")
	if mode != "both" && mode != "server" {
		answer(r.Context())
		return
	}
	labels := pprof.Labels(
		"a label", "of something else",
		"trace_id", fmt.Sprintf("5e5e5e5e5e5e5e5e%016x", number),
		"span_id", fmt.Sprintf("5e%014x", number),
		"a longer value than any id", "which is passed over, because it is longer than any id can be",
	)
	pprof.Do(r.Context(), labels, answer)
}

func main() {
	if len(os.Args) < 2 {
		if err := publish(); err != nil {
			panic(err)
		}
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"kind\":\"ready\",\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(listener, http.HandlerFunc(handle))
	io.Copy(io.Discard, os.Stdin)
}
