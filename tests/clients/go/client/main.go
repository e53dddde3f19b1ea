// The generated clients of connect-go, over each protocol it speaks, and of grpc-go.
//
// usage: client connect|connect-json|connect-get|grpc|grpc-web|grpc-go URL TIMESTAMP_MS [CA_FILE]
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pingv1 "ping.test/clients/gen/ping/v1"
	"ping.test/clients/gen/ping/v1/v1connect"
	"ping.test/clients/tour"
)

func roots(arguments []string) *x509.CertPool {
	if len(arguments) == 0 {
		return nil
	}
	text, err := os.ReadFile(arguments[0])
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// ── connect-go ──

type connectService struct {
	pings   v1connect.PingServiceClient
	metrics v1connect.MetricsServiceClient
}

func newConnectService(kind, url string, pool *x509.CertPool) connectService {
	options := map[string][]connect.ClientOption{
		"connect":      {connect.WithSendGzip()},
		"connect-json": {connect.WithProtoJSON()},
		"connect-get":  {connect.WithHTTPGet()},
		"grpc":         {connect.WithGRPC()},
		"grpc-web":     {connect.WithGRPCWeb()},
	}[kind]
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: pool}}
	// gRPC is HTTP/2 alone; the others try HTTP/1.1 where there is no TLS that could agree on another.
	transport.Protocols.SetUnencryptedHTTP2(kind == "grpc")
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetHTTP1(kind != "grpc")
	client := &http.Client{Transport: transport}
	return connectService{v1connect.NewPingServiceClient(client, url, options...), v1connect.NewMetricsServiceClient(client, url, options...)}
}

func (service connectService) Ping(ctx context.Context, timestampMs int64, key string) error {
	_, err := service.pings.Ping(ctx, connect.NewRequest(&pingv1.PingRequest{TimestampMs: timestampMs, IdempotencyKey: key}))
	return err
}

func (service connectService) Count(ctx context.Context, startMs, endMs int64) (int64, error) {
	answer, err := service.pings.PingCount(ctx, connect.NewRequest(&pingv1.PingCountRequest{
		TimeRange: &pingv1.TimeRange{Start: startMs, End: endMs}}))
	if err != nil {
		return 0, err
	}
	return answer.Msg.PingCount, nil
}

func (service connectService) Watch(ctx context.Context, client string, begun func()) ([]string, error) {
	stream, err := service.metrics.WatchWindowStats(ctx, connect.NewRequest(watchRequest(client)))
	if err != nil {
		return nil, err
	}
	stream.ResponseHeader() // it is there when the server has taken up the stream
	begun()
	for stream.Receive() {
		if rows := stream.Msg().WindowStats; len(rows) > 0 {
			return clients(rows), nil
		}
	}
	return nil, stream.Err()
}

func (connectService) Code(err error) (string, string) {
	var connectError *connect.Error
	if errors.As(err, &connectError) {
		return connectError.Code().String(), connectError.Message()
	}
	return "none", fmt.Sprint(err)
}

func watchRequest(client string) *pingv1.WatchWindowStatsRequest {
	if client == "" {
		return &pingv1.WatchWindowStatsRequest{}
	}
	return &pingv1.WatchWindowStatsRequest{ClientIps: []string{client}}
}

func clients(rows []*pingv1.WindowStats) []string {
	var found []string
	for _, row := range rows {
		found = append(found, row.ClientIp)
	}
	return found
}

// ── grpc-go ──

type grpcService struct {
	pings   pingv1.PingServiceClient
	metrics pingv1.MetricsServiceClient
}

func newGrpcService(url string, pool *x509.CertPool) grpcService {
	security := insecure.NewCredentials()
	if pool != nil {
		security = credentials.NewClientTLSFromCert(pool, "")
	}
	connection, err := grpc.NewClient(url[strings.Index(url, "//")+2:], grpc.WithTransportCredentials(security))
	if err != nil {
		panic(err)
	}
	return grpcService{pingv1.NewPingServiceClient(connection), pingv1.NewMetricsServiceClient(connection)}
}

func (service grpcService) Ping(ctx context.Context, timestampMs int64, key string) error {
	_, err := service.pings.Ping(ctx, &pingv1.PingRequest{TimestampMs: timestampMs, IdempotencyKey: key})
	return err
}

func (service grpcService) Count(ctx context.Context, startMs, endMs int64) (int64, error) {
	answer, err := service.pings.PingCount(ctx, &pingv1.PingCountRequest{TimeRange: &pingv1.TimeRange{Start: startMs, End: endMs}})
	return answer.GetPingCount(), err
}

func (service grpcService) Watch(ctx context.Context, client string, begun func()) ([]string, error) {
	stream, err := service.metrics.WatchWindowStats(ctx, watchRequest(client))
	if err != nil {
		return nil, err
	}
	if _, err = stream.Header(); err == nil {
		begun()
	}
	for err == nil {
		var answer *pingv1.WatchWindowStatsResponse
		if answer, err = stream.Recv(); err == nil && len(answer.WindowStats) > 0 {
			return clients(answer.WindowStats), nil
		}
	}
	return nil, err
}

func (grpcService) Code(err error) (string, string) {
	state := status.Convert(err)
	var name strings.Builder
	for i, letter := range state.Code().String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToLower(name.String()), state.Message()
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: client connect|connect-json|connect-get|grpc|grpc-web|grpc-go URL TIMESTAMP_MS [CA_FILE]")
		os.Exit(2)
	}
	timestampMs, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	pool := roots(os.Args[4:])
	if os.Args[1] == "grpc-go" {
		tour.Take(newGrpcService(os.Args[2], pool), timestampMs)
	} else {
		tour.Take(newConnectService(os.Args[1], os.Args[2], pool), timestampMs)
	}
}
