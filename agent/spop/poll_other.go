//go:build !linux

package spop

import (
	"errors"
	"net"
	"time"
)

var errAgain = errors.New("nothing to read")

// poll is there for Linux only; elsewhere connections have goroutines of their own.
type poll struct{}

func openPoll() (poll, error) { return poll{}, errors.ErrUnsupported }

func (*poll) wait(time.Duration) ([]int, error) { return nil, errors.ErrUnsupported }
func (*poll) wake()                             {}
func (*poll) add(int) error                     { return errors.ErrUnsupported }
func (*poll) change(int, bool) error            { return errors.ErrUnsupported }
func (*poll) remove(int)                        {}
func (*poll) close()                            {}

func takeSocket(net.Conn) (int, error)   { return 0, errors.ErrUnsupported }
func giveSocket(int) (net.Conn, error)   { return nil, errors.ErrUnsupported }
func writeSome(int, []byte) (int, error) { return 0, errors.ErrUnsupported }
func (*reader) read(int) error           { return errors.ErrUnsupported }
