// Both ends of TLS connections, which move bytes as they are told: the plans of test/kernel/stream_pairs.py, of the family "tls".
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
)

type plan struct {
	Do          string
	Certificate string
	Key         string
	By          string
	Base64      []byte
	Pieces      []int
	Reads       []int
}

type pair struct{ client, server *tls.Conn }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(certificate, key string) pair {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	own, err := tls.LoadX509KeyPair(certificate, key)
	check(err)
	pem, err := os.ReadFile(certificate)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dialed, err := net.Dial("tcp", listener.Addr().String())
	check(err)
	accepted, err := listener.Accept()
	check(err)
	check(listener.Close())
	ends := pair{
		client: tls.Client(dialed, &tls.Config{RootCAs: roots, ServerName: "localhost"}),
		server: tls.Server(accepted, &tls.Config{Certificates: []tls.Certificate{own}}),
	}
	done := make(chan error)
	go func() { done <- ends.server.Handshake() }()
	check(ends.client.Handshake())
	check(<-done)
	return ends
}

func sizeAt(sizes []int, index int) int {
	if index >= len(sizes) {
		index = len(sizes) - 1
	}
	return sizes[index]
}

func move(from, to *tls.Conn, data []byte, pieces, reads []int) {
	buffer := make([]byte, 1<<20)
	for i := 0; len(data) > 0; i++ {
		size := min(sizeAt(pieces, i), len(data))
		_, err := from.Write(data[:size])
		check(err)
		data = data[size:]
		for j := 0; size > 0; j++ {
			count, err := to.Read(buffer[:min(sizeAt(reads, j), size)])
			check(err)
			size -= count
		}
	}
}

func main() {
	var ends pair
	fmt.Println(`{"kind": "ready"}`)
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var next plan
		check(json.Unmarshal(line, &next))
		switch {
		case next.Do == "open":
			if ends.client != nil {
				ends.client.Close()
				ends.server.Close()
			}
			ends = open(next.Certificate, next.Key)
		case next.By == "client":
			move(ends.client, ends.server, next.Base64, next.Pieces, next.Reads)
		default:
			move(ends.server, ends.client, next.Base64, next.Pieces, next.Reads)
		}
		fmt.Println(`{"kind": "done"}`)
	}
}
