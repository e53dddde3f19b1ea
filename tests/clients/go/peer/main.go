// Servers that do nothing, to measure ours against: PingCount answered with a constant by connect-go (Connect, gRPC and gRPC-Web) or
// by grpc-go, without TLS, on so many cores.
//
// usage: peer connect-go|grpc-go ADDRESS:PORT CORES
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/grpc"

	pingv1 "ping.test/clients/gen/ping/v1"
	"ping.test/clients/gen/ping/v1/v1connect"
)

type connectServer struct {
	v1connect.UnimplementedPingServiceHandler
}

func (connectServer) PingCount(context.Context, *connect.Request[pingv1.PingCountRequest]) (*connect.Response[pingv1.PingCountResponse], error) {
	return connect.NewResponse(&pingv1.PingCountResponse{PingCount: 42}), nil
}

type grpcServer struct {
	pingv1.UnimplementedPingServiceServer
}

func (grpcServer) PingCount(context.Context, *pingv1.PingCountRequest) (*pingv1.PingCountResponse, error) {
	return &pingv1.PingCountResponse{PingCount: 42}, nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: peer connect-go|grpc-go ADDRESS:PORT CORES")
		os.Exit(2)
	}
	cores, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	runtime.GOMAXPROCS(cores)
	listener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	if os.Args[1] == "grpc-go" {
		server := grpc.NewServer()
		pingv1.RegisterPingServiceServer(server, grpcServer{})
		panic(server.Serve(listener))
	}
	mux := http.NewServeMux()
	mux.Handle(v1connect.NewPingServiceHandler(connectServer{}))
	server := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	panic(server.Serve(listener))
}
