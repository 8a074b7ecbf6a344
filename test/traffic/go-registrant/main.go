// A client that is in a span of its own in each HTTPS request, on a thread of its own: registrant SOCKET. It is stripped, and publishes no process
// context: it says by itself where the variable of otel-thread-context is. Lines as of c/registrant.c: register, get.
package main

/*
#include "otel_thread_context.h"
*/
import "C"

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

func get(record *C.struct_otel_thread_context_record, port, number uint64) error {
	connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer connection.Close()
	id := make([]byte, 16)
	binary.BigEndian.PutUint64(id[8:], number)
	for i := range 9 {
		id[i] = 0xc1
	}
	span := append([]byte{0xc1}, id[9:]...)
	C.otel_thread_context_record_update(record, (*C.uint8_t)(&id[0]), (*C.uint8_t)(&span[0]), 1, nil, 0)
	C.otel_thread_context_swap(record)
	_, err = fmt.Fprintf(connection, "GET /r?id=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", number)
	C.otel_thread_context_swap(nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, connection)
	return err
}

func say(line map[string]any) {
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func main() {
	// The variable is the thread's: this goroutine stays on it.
	runtime.LockOSThread()
	record := C.otel_thread_context_thread_record()
	socket := C.CString(os.Args[1])
	say(map[string]any{"kind": "ready"})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var verb string
		var port, first, count uint64
		fmt.Sscan(lines.Text(), &verb, &port, &first, &count)
		switch verb {
		case "register":
			text := make([]byte, 512)
			result := C.otel_thread_context_register(socket, 10000, (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text)))
			said, _, _ := strings.Cut(string(text), "\x00")
			say(map[string]any{"kind": "registered", "result": int(result), "text": said})
		case "get":
			for number := first; number < first+count; number++ {
				if err := get(record, port, number); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
			say(map[string]any{"kind": "done"})
		}
	}
}
