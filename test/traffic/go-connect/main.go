// Server and client of Connect and gRPC-Web (see ../README.md), without generated code: messages are bytes in a wrapper.
//
//	connect-peer server HOST:PORT
//	connect-peer client HOST:PORT
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type message = wrapperspb.BytesValue

var isHTTP2 = os.Getenv("HTTP2") != ""

func protocols() *http.Protocols {
	var chosen http.Protocols
	chosen.SetHTTP1(!isHTTP2)
	chosen.SetUnencryptedHTTP2(isHTTP2)
	return &chosen
}

func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", text)
}

// Fails with the code that the call asks for, if any.
func outcome(header http.Header) error {
	code, _ := strconv.Atoi(header.Get("code"))
	if code == 0 {
		return nil
	}
	return connect.NewError(connect.Code(code), errors.New("as asked"))
}

func serve(where string) {
	unary := connect.NewUnaryHandler("/unary", func(_ context.Context, request *connect.Request[message]) (*connect.Response[message], error) {
		if err := outcome(request.Header()); err != nil {
			return nil, err
		}
		return connect.NewResponse(request.Msg), nil
	})
	stream := connect.NewServerStreamHandler("/stream", func(_ context.Context, request *connect.Request[message], out *connect.ServerStream[message]) error {
		for range 3 {
			if err := out.Send(request.Msg); err != nil {
				return err
			}
		}
		return outcome(request.Header())
	})
	mux := http.NewServeMux()
	mux.Handle("/usm.test.Unary/", unary)
	mux.Handle("/usm.test.Stream/", stream)
	listener, err := net.Listen("tcp", where)
	if err != nil {
		panic(err)
	}
	say(map[string]any{"kind": "listening", "pid": os.Getpid(), "port": listener.Addr().(*net.TCPAddr).Port})
	server := &http.Server{Handler: mux, Protocols: protocols()}
	go server.Serve(listener)
	io.Copy(io.Discard, os.Stdin)
}

type call struct {
	ID       string `json:"id"`
	Protocol string `json:"protocol"`
	IsStream bool   `json:"isStream"`
	Code     int    `json:"code"`
}

// Notes the status of the last answer, which clients of calls do not tell.
type noting struct {
	http.RoundTripper
	status int
}

func (n *noting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := n.RoundTripper.RoundTrip(request)
	if err == nil {
		n.status = response.StatusCode
	}
	return response, err
}

func ask(client *http.Client, origin string, one call) error {
	options := map[string][]connect.ClientOption{
		"connect":      nil,
		"connect-json": {connect.WithProtoJSON()},
		"grpc-web":     {connect.WithGRPCWeb()},
	}[one.Protocol]
	request := connect.NewRequest(wrapperspb.Bytes(make([]byte, 100)))
	if one.Code != 0 {
		request.Header().Set("code", strconv.Itoa(one.Code))
	}
	if !one.IsStream {
		_, err := connect.NewClient[message, message](client, origin+"/usm.test.Unary/"+one.ID, options...).CallUnary(context.Background(), request)
		return err
	}
	stream, err := connect.NewClient[message, message](client, origin+"/usm.test.Stream/"+one.ID, options...).CallServerStream(context.Background(), request)
	if err != nil {
		return err
	}
	for stream.Receive() {
	}
	return errors.Join(stream.Err(), stream.Close())
}

func run(where string) {
	transport := &noting{RoundTripper: &http.Transport{Protocols: protocols()}}
	client := &http.Client{Transport: transport}
	say(map[string]any{"kind": "ready", "pid": os.Getpid()})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var plan struct {
			Calls []call `json:"calls"`
		}
		if err := json.Unmarshal(lines.Bytes(), &plan); err != nil {
			panic(err)
		}
		for _, one := range plan.Calls {
			code := 0
			var failed *connect.Error
			if err := ask(client, "http://"+where, one); errors.As(err, &failed) {
				code = int(failed.Code())
			} else if err != nil {
				panic(err)
			}
			say(map[string]any{"kind": "call", "id": one.ID, "code": code, "status": transport.status})
		}
		say(map[string]any{"kind": "done"})
	}
}

func main() {
	switch os.Args[1] {
	case "server":
		serve(os.Args[2])
	case "client":
		run(os.Args[2])
	}
}
