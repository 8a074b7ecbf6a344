// HTTPS with connections that are often not closed, but left to the garbage collector, so that the addresses of their objects come again:
//
//	go-tls-reuse server PORT PORT
//	go-tls-reuse client PORT PORT REQUESTS RATE SPANS
//
// The client begins when SPANS, a file of the receiver, tells of its first requests.
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	random "math/rand"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	workers        = 4
	maxRequests    = 10  // on one connection
	connectionsAGC = 100 // so many connections, and garbage is collected
)

var http1 = []string{"http/1.1"}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(ports []string) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: http1}
	for _, port := range ports {
		listener, err := tls.Listen("tcp", "127.0.0.1:"+port, config)
		check(err)
		// A path of another server would be answered with 404.
		mux := http.NewServeMux()
		mux.HandleFunc("/server"+port+"/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
		go http.Serve(listener, mux)
	}
	fmt.Println("listening", os.Getpid())
	select {}
}

func dial(port string) *tls.Conn {
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, NextProtos: http1})
	check(err)
	return conn
}

func get(conn *tls.Conn, reader *bufio.Reader, path string) {
	// Host says nothing: so a span has the port of the socket that it was put down to.
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost:\r\n\r\n", path)
	check(err)
	response, err := http.ReadResponse(reader, nil)
	check(err)
	body, err := io.ReadAll(response.Body)
	check(err)
	if string(body) != path {
		panic("another answer than that to " + path + ": " + string(body))
	}
}

// Programs are probed in the background.
func awaitProbes(port, spans string) {
	for i := 0; ; i++ {
		path := fmt.Sprintf("/server%s/first/%d", port, i)
		conn := dial(port)
		get(conn, bufio.NewReader(conn), path)
		conn.Close()
		for tries := 0; tries < 20; tries++ {
			if text, _ := os.ReadFile(spans); bytes.Count(text, []byte(path+`"`)) >= 2 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// One worker's connections, each for a few requests. Their paths say all that is to be known of them.
func connect(ports []string, total int, next, connections, abandoned *atomic.Int64, pace func(request int64)) {
	for next.Load() < int64(total) {
		port := ports[random.Intn(len(ports))]
		conn := dial(port)
		reader := bufio.NewReader(conn)
		count := connections.Add(1)
		isAbandoned := random.Int63n(100) < 10+count/100%21 // between 10 and 30 of 100
		end := "closed"
		if isAbandoned {
			end = "abandoned"
			abandoned.Add(1)
		}
		own := conn.LocalAddr().(*net.TCPAddr).Port
		for i := random.Intn(maxRequests); i >= 0; i-- {
			request := next.Add(1)
			pace(request)
			get(conn, reader, fmt.Sprintf("/server%s/%d/%p/%d/%s/%d", port, own, conn, count, end, request))
		}
		if !isAbandoned {
			conn.Close()
		}
		if count%connectionsAGC == 0 {
			runtime.GC()
		}
	}
}

func request(ports []string, total, rate int) {
	var next, connections, abandoned atomic.Int64
	var done sync.WaitGroup
	begun := time.Now()
	pace := func(request int64) {
		time.Sleep(time.Until(begun.Add(time.Duration(request) * time.Second / time.Duration(rate))))
	}
	for i := 0; i < workers; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			connect(ports, total, &next, &connections, &abandoned, pace)
		}()
	}
	done.Wait()
	fmt.Printf(`{"pid":%d,"requests":%d,"connections":%d,"abandoned":%d,"seconds":%.0f}`+"\n",
		os.Getpid(), next.Load(), connections.Load(), abandoned.Load(), time.Since(begun).Seconds())
}

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2:])
	}
	awaitProbes(os.Args[2], os.Args[6])
	request(os.Args[2:4], number(os.Args[4]), number(os.Args[5]))
}
