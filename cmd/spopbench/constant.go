package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"github.com/urfave/cli/v2"

	"postern/agent"
)

func constantCommand() *cli.Command {
	return &cli.Command{
		Name:  "constant",
		Usage: "serve an agent that allows everything with constant variables: the limit for any agent",
		Flags: []cli.Flag{&cli.StringFlag{Name: "listen", Usage: "path of its unix `SOCKET`", Required: true}},
		Action: func(c *cli.Context) error {
			ln, err := listenConstant(c.String("listen"))
			if err != nil {
				return err
			}
			return serveConstant(c.Context, ln)
		},
	}
}

// listenConstant listens in place of a socket that an earlier run left; of anything else
// it keeps off.
func listenConstant(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		os.Remove(path)
	}
	return net.Listen("unix", path)
}

// serveConstant answers until ctx ends. It does the least that HAProxy's rules accept:
// it echoes the request's id, because they compare it, and everything else is one copy
// of the same bytes.
func serveConstant(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	tail := constantTail()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go answerConstants(conn, tail)
	}
}

// constantTail is what follows the request's id: the variables that Postern sets for a
// signed-in user of two groups, so that HAProxy's work is the same.
func constantTail() []byte {
	var b []byte
	text := func(name, value string) {
		b = append(b, 1, 3, 2)
		b = appendText(b, name, value)
	}
	number := func(name string, value uint64) {
		b = append(b, 1, 3, 2)
		b = append(appendName(b, name), 4)
		b = appendUvarint(b, value)
	}
	text(agent.VarUser, "user000000")
	text(agent.VarGroups, "staff,wiki")
	text(agent.VarName, "User Number 000000")
	text(agent.VarEmail, "user000000@example.com")
	number(agent.VarLevel, 1)
	text(agent.VarSession, "0123456789abcdef")
	text(agent.VarRule, "app")
	text(agent.VarReason, "one_factor")
	number(agent.VarStatus, 200)
	text(agent.VarVerdict, "allow")
	return b
}

// answerConstants is one connection: read what there is, answer every whole frame, write once.
func answerConstants(conn net.Conn, tail []byte) {
	defer conn.Close()
	in, out := make([]byte, 0, 64<<10), make([]byte, 0, 64<<10)
	for {
		n, err := conn.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in, out = in[:len(in)+n], out[:0]
		rest := in
		for {
			kind, stream, id, payload, size, err := nextFrame(rest)
			if err != nil {
				return
			}
			if size == 0 {
				break
			}
			rest = rest[size:]
			if out, err = appendAnswer(out, kind, stream, id, payload, tail); err != nil {
				conn.Write(out)
				return
			}
		}
		in = in[:copy(in, rest)]
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
	}
}

// appendAnswer answers one frame; an error ends the connection after out is written.
func appendAnswer(out []byte, kind byte, stream, id uint64, payload, tail []byte) ([]byte, error) {
	switch kind {
	case typeHello:
		out = append(out, agentHelloFrame()...)
		if bytes.Contains(payload, []byte("healthcheck")) {
			return out, io.EOF
		}
		return out, nil
	case typeNotify:
		rid, err := requestID(payload)
		if err != nil {
			return out, err
		}
		return appendConstantACK(out, stream, id, rid, tail), nil
	case typeDisconnect:
		return append(out, disconnectFrame()...), io.EOF
	}
	return out, fmt.Errorf("frame of type %d", kind)
}

// appendConstantACK appends the ACK: rid and the constants.
func appendConstantACK(out []byte, stream, id uint64, rid, tail []byte) []byte {
	at := len(out)
	out = append(out, 0, 0, 0, 0, typeACK, 0, 0, 0, 1)
	out = appendUvarint(out, stream)
	out = appendUvarint(out, id)
	out = append(out, 1, 3, 2)
	out = append(appendName(out, agent.VarRequestID), 8)
	out = append(appendUvarint(out, uint64(len(rid))), rid...)
	out = append(out, tail...)
	n := len(out) - at - 4
	out[at], out[at+1], out[at+2], out[at+3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return out
}

// requestID finds the argument rid, which is the second: check, count, v, rid.
func requestID(p []byte) ([]byte, error) {
	name, p, ok := cut(p)
	if !ok || len(p) < 1 || string(name) != agent.Message {
		return nil, errors.New("not message check")
	}
	p = p[1:]
	if name, p, ok = cut(p); !ok || string(name) != agent.ArgVersion || len(p) < 2 {
		return nil, errors.New("no argument v first")
	}
	_, n := uvarint(p[1:])
	if name, p, ok = cut(p[1+n:]); !ok || string(name) != agent.ArgRequestID || len(p) < 1 {
		return nil, errors.New("no argument rid second")
	}
	rid, _, ok := cut(p[1:])
	if !ok {
		return nil, errShort
	}
	return rid, nil
}

// cut reads a length and as many bytes.
func cut(p []byte) (s, rest []byte, ok bool) {
	n, k := uvarint(p)
	if k == 0 || n > uint64(len(p)-k) {
		return nil, nil, false
	}
	return p[k : k+int(n)], p[k+int(n):], true
}
