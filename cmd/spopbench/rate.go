package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"
)

// Rate sends HTTP/1.1 requests on schedule over keep-alive connections. The clock of a
// request starts when it was due (no coordinated omission).
type Rate struct {
	Addr    string // host:port
	Request string // the whole request, one that has no body
	Conns   int
	Rate    float64 // requests a second over all connections
	Status  int     // the status that every answer must have
}

func rateCommand() *cli.Command {
	return &cli.Command{
		Name:  "rate",
		Usage: "send HTTP requests at a constant rate and print their latencies",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Required: true, Usage: "`HOST:PORT`"},
			&cli.StringFlag{Name: "host", Value: "app.example.com", Usage: "value of the Host header"},
			&cli.StringFlag{Name: "cookie", Usage: "value of the Cookie header"},
			&cli.IntFlag{Name: "conns", Value: 64},
			&cli.Float64Flag{Name: "rate", Value: 1000, Usage: "requests a second"},
			&cli.IntFlag{Name: "status", Value: 200},
			&cli.DurationFlag{Name: "for", Value: 5 * time.Second},
		},
		Action: func(c *cli.Context) error {
			r := Rate{Addr: c.String("addr"), Request: request(c.String("host"), c.String("cookie")),
				Conns: c.Int("conns"), Rate: c.Float64("rate"), Status: c.Int("status")}
			out, err := r.Run(c.Context, c.Duration("for"))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%d requests, p50 %v p99 %v p99.9 %v\n", out.Frames,
				quantile(out.Latency, 50), quantile(out.Latency, 99), quantile(out.Latency, 99.9))
			return nil
		},
	}
}

// request is a browser's GET.
func request(host, cookie string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET /projects/42/board?view=week HTTP/1.1\r\nHost: %s\r\n", host)
	b.WriteString("Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n")
	if cookie != "" {
		fmt.Fprintf(&b, "Cookie: %s\r\n", cookie)
	}
	b.WriteString("\r\n")
	return b.String()
}

// Run sends for d.
func (r Rate) Run(ctx context.Context, d time.Duration) (Outcome, error) {
	g, ctx := errgroup.WithContext(ctx)
	parts := make([]Outcome, r.Conns)
	pace := time.Duration(float64(r.Conns) / r.Rate * float64(time.Second))
	begin := time.Now()
	for i := range parts {
		g.Go(func() error {
			var err error
			first := begin.Add(pace * time.Duration(i) / time.Duration(r.Conns))
			parts[i], err = r.one(ctx, first, begin.Add(d), pace)
			return err
		})
	}
	err := g.Wait()
	total := Outcome{Elapsed: time.Since(begin), Latency: newHistogram()}
	for _, p := range parts {
		if p.Latency != nil {
			total.Frames += p.Frames
			total.Latency.Merge(p.Latency)
		}
	}
	return total, err
}

// one is one connection: one request at a time, each as soon as it is due.
func (r Rate) one(ctx context.Context, due, end time.Time, pace time.Duration) (Outcome, error) {
	out := Outcome{Latency: newHistogram()}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := bufio.NewReaderSize(conn, 8192)
	for ; due.Before(end); due = due.Add(pace) {
		time.Sleep(time.Until(due))
		if _, err := conn.Write([]byte(r.Request)); err != nil {
			return out, err
		}
		status, err := readAnswer(in)
		if err != nil {
			return out, err
		}
		if status != r.Status {
			return out, fmt.Errorf("status %d, want %d", status, r.Status)
		}
		out.Latency.RecordValue(max(1000, time.Since(due).Nanoseconds()))
		out.Frames++
	}
	return out, nil
}

// readAnswer reads one answer with a Content-Length and returns its status.
func readAnswer(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
		return 0, fmt.Errorf("status line %q: %w", line, err)
	}
	length := 0
	for {
		if line, err = in.ReadString('\n'); err != nil {
			return 0, err
		}
		if line = strings.TrimSpace(line); line == "" {
			_, err = in.Discard(length)
			return status, err
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
			if _, err := fmt.Sscan(value, &length); err != nil {
				return 0, fmt.Errorf("content-length %q: %w", value, err)
			}
		}
	}
}
