// Package tour is what each client does with a pingd, whatever it speaks; what it saw goes to standard output as one line of JSON.
package tour

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Service is a client, of any kind.
type Service interface {
	Ping(ctx context.Context, timestampMs int64, key string) error
	Count(ctx context.Context, startMs, endMs int64) (int64, error)
	// Watch calls begun when the stream is open; it ends with the first rows, which it returns the clients of. Of one client, or ("") all.
	Watch(ctx context.Context, client string, begun func()) ([]string, error)
	// Code is the name of the error's code in lower case, and its message.
	Code(err error) (string, string)
}

// Report is what the tour saw.
type Report struct {
	Count    int64    `json:"count"`
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Deadline string   `json:"deadline"`
	Watched  []string `json:"watched"`
	Failed   string   `json:"failed,omitempty"`
}

// Take walks through the service: a retry that counts once, a second ping, their count, an error, a stream, a
// deadline.
func Take(service Service, timestampMs int64) {
	var report Report
	if err := report.take(service, timestampMs); err != nil {
		code, message := service.Code(err)
		report.Failed = code + ": " + message
	}
	json.NewEncoder(os.Stdout).Encode(report)
}

func (report *Report) take(service Service, timestampMs int64) error {
	ctx := context.Background()
	for _, key := range []string{"a", "a", "b"} {
		if err := service.Ping(ctx, timestampMs, fmt.Sprint(key, timestampMs)); err != nil {
			return err
		}
	}
	var err error
	if report.Count, err = service.Count(ctx, timestampMs, timestampMs+1); err != nil {
		return err
	}
	report.Code, report.Message = service.Code(service.Ping(ctx, 0, ""))
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if report.Watched, err = service.Watch(watching, "", func() { service.Ping(ctx, timestampMs+1, "") }); err != nil {
		return err
	}
	expiring, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = service.Watch(expiring, "203.0.113.99", func() {})
	report.Deadline, _ = service.Code(err)
	return nil
}
