package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"postern/agent"
)

// Load drives an agent over SPOP: Conns connections with InFlight frames each. A frame
// is sent as soon as another is answered (closed loop), or on schedule when Rate is set.
type Load struct {
	Socket   string
	Conns    int
	InFlight int
	Rate     float64 // frames a second over all connections; 0: as fast as answers come
	Host     string
	Tokens   []string // one is picked at random for each frame; none: anonymous
	Slow     []string // one of these is always under way on each connection, beside the others
	Basic    bool     // Slow are values of Authorization, of requests without a cookie
	Once     bool     // every token once, in order, instead
	Want     string   // the verdict that every answer must have
	Lenient  bool     // another verdict is counted, not an error
}

// Outcome is what a Load measured.
type Outcome struct {
	Frames  int64
	Others  int64 // of them, those with another verdict than the wanted one
	Elapsed time.Duration
	Latency *hdrhistogram.Histogram // nanoseconds; from the scheduled time when Rate is set
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1_000, 60_000_000_000, 3)
}

func loadCommand() *cli.Command {
	return &cli.Command{
		Name:  "load",
		Usage: "drive an agent over SPOP and print the latencies of its answers",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", Usage: "the agent's unix `SOCKET`", Required: true},
			&cli.IntFlag{Name: "conns", Value: 4},
			&cli.IntFlag{Name: "in-flight", Value: 20},
			&cli.Float64Flag{Name: "rate", Usage: "frames a second; 0: as fast as answers come"},
			&cli.StringFlag{Name: "host", Value: "app.example.com"},
			&cli.StringFlag{Name: "want", Value: "login", Usage: "the `VERDICT` that every answer must have"},
			&cli.DurationFlag{Name: "for", Value: 5 * time.Second},
		},
		Action: func(c *cli.Context) error {
			l := Load{Socket: c.String("socket"), Conns: c.Int("conns"), InFlight: c.Int("in-flight"),
				Rate: c.Float64("rate"), Host: c.String("host"), Want: c.String("want")}
			out, err := l.Run(c.Context, c.Duration("for"))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%d frames, %.0f/s, p50 %v p99 %v p99.9 %v\n", out.Frames,
				float64(out.Frames)/out.Elapsed.Seconds(), quantile(out.Latency, 50), quantile(out.Latency, 99), quantile(out.Latency, 99.9))
			return nil
		},
	}
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(q))
}

// Run drives the agent for d. Any answer but the wanted one is an error.
func (l Load) Run(ctx context.Context, d time.Duration) (Outcome, error) {
	lanes := make([]*lane, l.Conns)
	for i := range lanes {
		n, err := l.open(ctx, uint64(i))
		if err != nil {
			return Outcome{}, err
		}
		defer n.conn.Close()
		lanes[i] = n
	}
	var g errgroup.Group
	parts := make([]Outcome, l.Conns)
	begin := time.Now()
	for i, n := range lanes {
		g.Go(func() (err error) {
			parts[i], err = n.run(begin.Add(d))
			return err
		})
	}
	err := g.Wait()
	total := Outcome{Elapsed: time.Since(begin), Latency: newHistogram()}
	for _, p := range parts {
		if p.Latency == nil {
			continue
		}
		total.Frames += p.Frames
		total.Others += p.Others
		total.Latency.Merge(p.Latency)
	}
	return total, err
}

// share is the queue of one of the connections.
func (l Load) share(i int) []string {
	all := l.Slow
	if l.Once {
		all = l.Tokens
	}
	return all[len(all)*i/l.Conns : len(all)*(i+1)/l.Conns]
}

// lane is one connection of a Load.
type lane struct {
	load    Load
	conn    wire
	rand    *rand.Rand
	queue   []string // with Once: the tokens that are left; else the slow ones
	frame   hollow   // with a token, or whole
	beside  hollow   // of the slow ones
	want    []byte
	sent    []time.Time // by frame id modulo its length; zero: free
	next    uint64
	pending int
	slow    bool // a slow frame is under way
	in, out []byte
}

// wire is a connection, or a line where the time of each frame matters.
type wire interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

func (l Load) dial(ctx context.Context) (wire, error) {
	if l.Rate > 0 {
		return dialLine(l.Socket)
	}
	return new(net.Dialer).DialContext(ctx, "unix", l.Socket)
}

// open connects and shakes hands.
func (l Load) open(ctx context.Context, seed uint64) (*lane, error) {
	conn, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(helloFrame()); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	if kind, _, _, _, size, err := nextFrame(buf[:n]); err != nil || size != n || kind != typeAgentHello {
		return nil, fmt.Errorf("answer to HELLO: type %d, %d of %d bytes: %w", kind, size, n, errors.Join(err))
	}
	frame := l.payload(agent.ArgToken)
	if len(l.Tokens) == 0 {
		frame = l.payload("")
	}
	beside := frame
	if l.Basic {
		beside = l.payload(agent.ArgAuthorization)
	}
	want := appendText([]byte{1, 3, 2}, agent.VarVerdict, l.Want)
	return &lane{load: l, conn: conn, queue: l.share(int(seed)), rand: rand.New(rand.NewPCG(seed, 1)), frame: frame, beside: beside, want: want,
		sent: make([]time.Time, 4096), in: make([]byte, 0, 256<<10), out: make([]byte, 0, 256<<10)}, nil
}

// hollow is a payload in two parts, around the length and the characters of one value; one
// without a tail is whole.
type hollow struct{ head, tail []byte }

func (h hollow) append(b []byte, value string) []byte {
	b = append(b, h.head...)
	if h.tail == nil {
		return b
	}
	b = appendUvarint(b, uint64(len(value)))
	return append(append(b, value...), h.tail...)
}

// payload is a NOTIFY as HAProxy sends it for a browser, open where the value of that
// argument belongs, or anonymous.
func (l Load) payload(hole string) hollow {
	var args int
	var b, head []byte
	name := func(name string) { b = appendName(b, name); args++ }
	text := func(name, value string) { b = appendText(b, name, value); args++ }
	null := func(s string) { name(s); b = append(b, 0) }
	maybe := func(s string) {
		if s != hole {
			null(s)
			return
		}
		name(s)
		head, b = append(b, 8), nil
	}
	name(agent.ArgVersion)
	b = append(b, 4, agent.Contract)
	text(agent.ArgRequestID, "6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c")
	text(agent.ArgMethod, "GET")
	name(agent.ArgTLS)
	b = append(b, 0x11)
	text(agent.ArgHost, l.Host)
	text(agent.ArgPath, "/projects/42/board")
	text(agent.ArgQuery, "view=week&page=3")
	name(agent.ArgSource)
	b = append(b, 6, 192, 0, 2, 7)
	maybe(agent.ArgToken)
	name(agent.ArgTokens)
	cookies := byte(0)
	if hole == agent.ArgToken {
		cookies = 1
	}
	b = append(b, 4, cookies)
	maybe(agent.ArgAuthorization)
	text(agent.ArgAccept, "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")
	null(agent.ArgRequestedWith)
	null(agent.ArgOrigin)
	null(agent.ArgPreflight)
	text(agent.ArgFetchMode, "navigate")
	text(agent.ArgFetchDest, "document")
	null(agent.ArgUpgrade)
	start := append(appendName(nil, agent.Message), byte(args))
	if hole == "" {
		return hollow{head: append(start, b...)}
	}
	return hollow{head: append(start, head...), tail: b}
}
