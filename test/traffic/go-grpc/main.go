// gRPC server and client of the traffic generator (see ../README.md), without generated code: messages are bytes.
//
//	grpc-peer server HOST:PORT
//	grpc-peer client HOST:PORT
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Messages as they are.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
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

// Does with any call what its metadata asks for.
func answer(_ any, stream grpc.ServerStream) error {
	ctx := stream.Context()
	incoming, _ := metadata.FromIncomingContext(ctx)
	plans := incoming.Get("plan")
	if len(plans) == 0 {
		return status.Error(codes.InvalidArgument, "no plan")
	}
	plan, err := url.ParseQuery(plans[0])
	if err != nil {
		return err
	}
	number := func(name string) int { n, _ := strconv.Atoi(plan.Get(name)); return n }
	message := make([]byte, number("size"))
	for {
		var request []byte
		if err := stream.RecvMsg(&request); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if number("each") > 0 {
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
		}
	}
	if delay := number("delay"); delay > 0 {
		select {
		case <-time.After(time.Duration(delay) * time.Millisecond):
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	for range number("messages") {
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	if number("hold") > 0 {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	stream.SetTrailer(metadata.Pairs("server-took", "1"))
	if code := number("code"); code != 0 {
		return status.Error(codes.Code(code), "as asked for")
	}
	return nil
}

func serve(where string) {
	listener, err := net.Listen("tcp", where)
	if err != nil {
		panic(err)
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(answer)}
	if certificate := os.Getenv("TLS_CERTIFICATE"); certificate != "" {
		transport, err := credentials.NewServerTLSFromFile(certificate, os.Getenv("TLS_KEY"))
		if err != nil {
			panic(err)
		}
		options = append(options, grpc.Creds(transport))
	}
	say(map[string]any{"kind": "listening", "pid": os.Getpid(), "port": listener.Addr().(*net.TCPAddr).Port})
	go grpc.NewServer(options...).Serve(listener)
	io.Copy(io.Discard, os.Stdin)
}

type call struct {
	ID          string `json:"id"`
	Method      string `json:"method"`
	Shape       string `json:"shape"`
	Plan        string `json:"plan"`
	Requests    int    `json:"requests"`
	RequestSize int    `json:"requestSize"`
	Deadline    int    `json:"deadline"`
	Cancel      bool   `json:"cancel"`
}

type plan struct {
	Calls       []call `json:"calls"`
	Connections int    `json:"connections"`
	Streams     int    `json:"streams"`
}

func ask1(conn *grpc.ClientConn, c call) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "plan", c.Plan))
	defer cancel()
	if c.Deadline > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, time.Duration(c.Deadline)*time.Millisecond)
		defer end()
	}
	message := make([]byte, c.RequestSize)
	responses, size := 0, 0
	err := func() error {
		if c.Shape == "unary" {
			var response []byte
			err := conn.Invoke(ctx, "/"+c.Method, &message, &response)
			if err == nil {
				responses, size = 1, len(response)
			}
			return err
		}
		description := &grpc.StreamDesc{ClientStreams: c.Shape != "server", ServerStreams: c.Shape != "client"}
		stream, err := conn.NewStream(ctx, description, "/"+c.Method)
		if err != nil {
			return err
		}
		receive := func() error {
			var response []byte
			if err := stream.RecvMsg(&response); err != nil {
				return err
			}
			responses, size = responses+1, size+len(response)
			if c.Cancel {
				cancel()
			}
			return nil
		}
		for range c.Requests {
			if err := stream.SendMsg(&message); err == io.EOF {
				break // the status says why
			} else if err != nil {
				return err
			}
			if c.Shape == "bidi" {
				if err := receive(); err != nil {
					return err
				}
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		for {
			err := receive()
			if err == io.EOF || (err == nil && c.Shape == "client") {
				return nil
			} else if err != nil {
				return err
			}
		}
	}()
	if err == io.EOF {
		err = nil
	}
	say(map[string]any{"kind": "call", "id": c.ID, "code": int(status.Code(err)), "responses": responses, "size": size})
}

func ask(where string) {
	transport := insecure.NewCredentials()
	if os.Getenv("TLS") != "" {
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	var conns []*grpc.ClientConn
	say(map[string]any{"kind": "ready", "pid": os.Getpid()})

	plans := bufio.NewScanner(os.Stdin)
	plans.Buffer(nil, 64<<20)
	for plans.Scan() {
		var todo plan
		if err := json.Unmarshal(plans.Bytes(), &todo); err != nil {
			panic(err)
		}
		for len(conns) < todo.Connections {
			conn, err := grpc.NewClient("passthrough:///"+where, grpc.WithTransportCredentials(transport),
				grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
			if err != nil {
				panic(err)
			}
			conns = append(conns, conn)
		}
		calls := make(chan call)
		var workers sync.WaitGroup
		for i := range todo.Connections {
			for range todo.Streams {
				workers.Go(func() {
					for c := range calls {
						ask1(conns[i], c)
					}
				})
			}
		}
		for _, c := range todo.Calls {
			calls <- c
		}
		close(calls)
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
		fmt.Fprintln(os.Stderr, "usage: grpc-peer server|client HOST:PORT")
		os.Exit(2)
	}
}
