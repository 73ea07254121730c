package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

// run keeps the lane busy until end, then waits for the answers that are out.
func (n *lane) run(end time.Time) (Outcome, error) {
	out := Outcome{Latency: newHistogram()}
	pace := n.pace()
	if pace > 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	begin := time.Now()
	for {
		now := time.Now()
		if now.Before(end) && (!n.load.Once || len(n.queue) > 0) {
			n.send(n.due(now, begin, pace), now, begin, pace)
			n.sendSlow()
		} else if n.pending == 0 && !n.slow {
			out.Elapsed = time.Since(begin)
			return out, nil
		}
		if len(n.out) > 0 {
			if _, err := n.conn.Write(n.out); err != nil {
				return out, err
			}
			n.out = n.out[:0]
		}
		next := begin.Add(time.Duration(n.next) * pace)
		if l, ok := n.conn.(*line); ok && n.pending == 0 && !n.slow {
			if err := l.rest(next); err != nil {
				return out, err
			}
			continue
		}
		if err := n.await(next, now.Before(end), pace); err != nil {
			return out, err
		}
		if err := n.receive(&out); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return out, err
		}
	}
}

// await bounds the wait for an answer: the next frame goes out when it is due, be a slow
// one under way or not.
func (n *lane) await(next time.Time, more bool, pace time.Duration) error {
	if pace == 0 || n.pending >= n.load.InFlight || !more {
		next = time.Time{}
	}
	return n.conn.SetReadDeadline(next)
}

// pace is the time between two frames of this lane; 0 when the loop is closed.
func (n *lane) pace() time.Duration {
	if n.load.Rate == 0 {
		return 0
	}
	return time.Duration(float64(n.load.Conns) / n.load.Rate * float64(time.Second))
}

// due is how many frames may be sent now.
func (n *lane) due(now, begin time.Time, pace time.Duration) int {
	room := n.load.InFlight - n.pending
	if n.load.Once {
		room = min(room, len(n.queue))
	}
	if pace == 0 {
		return room
	}
	late := int(now.Sub(begin)/pace) + 1 - int(n.next)
	return max(0, min(room, late))
}

// send appends frames to the lane's output. With a pace, the clock of a frame starts when
// it was due, not when it was sent: a slow answer must not hide behind its successor.
func (n *lane) send(frames int, now, begin time.Time, pace time.Duration) {
	for range frames {
		at := now
		if pace > 0 {
			at = begin.Add(time.Duration(n.next) * pace)
		}
		n.sent[n.next%uint64(len(n.sent))] = at
		n.out = appendNotify(n.out, 2*n.next+1, n.frame, n.pick())
		n.next++
		n.pending++
	}
}

// pick is the token of the next frame.
func (n *lane) pick() string {
	switch {
	case n.load.Once && len(n.queue) > 0:
		token := n.queue[0]
		n.queue = n.queue[1:]
		return token
	case len(n.load.Tokens) > 0:
		return n.load.Tokens[n.rand.IntN(len(n.load.Tokens))]
	}
	return ""
}

// sendSlow keeps one slow frame under way; its stream is an even number.
func (n *lane) sendSlow() {
	if n.load.Once || n.slow || len(n.queue) == 0 {
		return
	}
	n.out = appendNotify(n.out, 2*uint64(len(n.queue)), n.beside, n.queue[0])
	n.queue = n.queue[1:]
	n.slow = true
}

func appendNotify(b []byte, stream uint64, frame hollow, value string) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, typeNotify, 0, 0, 0, 1)
	b = appendUvarint(b, stream)
	b = append(b, 1)
	b = frame.append(b, value)
	size := len(b) - at - 4
	b[at], b[at+1], b[at+2], b[at+3] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	return b
}

// receive reads once and counts every whole answer.
func (n *lane) receive(out *Outcome) error {
	k, err := n.conn.Read(n.in[len(n.in):cap(n.in)])
	if err != nil {
		return err
	}
	n.in = n.in[:len(n.in)+k]
	now, rest := time.Now(), n.in
	for {
		kind, stream, _, payload, size, err := nextFrame(rest)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		rest = rest[size:]
		switch {
		case kind == typeACK && bytes.HasSuffix(payload, n.want):
		case kind == typeACK && n.load.Lenient:
			out.Others++
		default:
			return fmt.Errorf("frame of type %d for stream %d is not verdict %s: %q", kind, stream, n.load.Want, payload)
		}
		if stream%2 == 0 {
			n.slow = false
			continue
		}
		sent := n.sent[(stream-1)/2%uint64(len(n.sent))]
		out.Latency.RecordValue(max(1000, now.Sub(sent).Nanoseconds()))
		out.Frames++
		n.pending--
	}
	n.in = n.in[:copy(n.in, rest)]
	return nil
}
