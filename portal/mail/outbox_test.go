package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// running starts an outbox; stop ends it and returns when it is through.
func running(t *testing.T, o *Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	var once atomic.Bool
	stop = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// empty waits until nothing waits.
func empty(t *testing.T, o *Outbox) {
	t.Helper()
	ctx := deadline(t)
	for o.Waiting() > 0 {
		if ctx.Err() != nil {
			t.Fatalf("%d mails still wait", o.Waiting())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOutboxSends(t *testing.T) {
	p := serve(t, "starttls")
	log := &lines{}
	o := &Outbox{Mailer: mailer(t, p.config), Log: log.log()}
	if err := o.Enqueue(signIn()); err != nil { // before Run
		t.Fatal(err)
	}
	running(t, o)
	for i := range 10 {
		msg := reset()
		msg.Subject = fmt.Sprint("Mail ", i)
		if err := o.Enqueue(msg); err != nil {
			t.Fatal(err)
		}
	}
	empty(t, o)
	if n := len(p.got()); n != 11 {
		t.Errorf("%d mails, want 11", n)
	}
	if text := log.String(); strings.Contains(text, "4821-9930") || strings.Contains(text, "token=") || strings.Count(text, "mail sent") != 11 {
		t.Errorf("log:\n%s", text)
	}
}

// TestOutboxTriesAgain: a server that is busy gets the same mail again, by its id.
func TestOutboxTriesAgain(t *testing.T) {
	p := serve(t, "starttls")
	var asked atomic.Int32
	p.refuse = func(string) error {
		if asked.Add(1) < 3 {
			return &smtp.SMTPError{Code: 451, Message: "later"}
		}
		return nil
	}
	log := &lines{}
	o := &Outbox{Mailer: mailer(t, p.config), Pause: time.Millisecond, Log: log.log()}
	running(t, o)
	if err := o.Enqueue(reset()); err != nil {
		t.Fatal(err)
	}
	empty(t, o)
	if n := len(p.got()); n != 1 || asked.Load() != 3 {
		t.Errorf("%d mails after %d attempts, want 1 after 3\n%s", n, asked.Load(), log)
	}
	var ids []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "message=")
		id, _, _ := strings.Cut(rest, " ")
		ids = append(ids, id)
	}
	if len(ids) != 3 || ids[0] == "" || ids[0] != ids[2] {
		t.Errorf("ids %q, want one", ids)
	}
}

func TestOutboxGivesUp(t *testing.T) {
	for _, tt := range []struct {
		why   string
		code  int
		tries int32
	}{{"at once when refused for good", 550, 1}, {"after the last attempt", 451, 2}} {
		p := serve(t, "starttls")
		var asked atomic.Int32
		p.refuse = func(string) error {
			asked.Add(1)
			return &smtp.SMTPError{Code: tt.code, Message: "no"}
		}
		log := &lines{}
		o := &Outbox{Mailer: mailer(t, p.config), Attempts: 2, Pause: time.Millisecond, Log: log.log()}
		running(t, o)
		if err := o.Enqueue(reset()); err != nil {
			t.Fatal(err)
		}
		empty(t, o)
		if asked.Load() != tt.tries {
			t.Errorf("%s: %d attempts, want %d", tt.why, asked.Load(), tt.tries)
		}
		if !strings.Contains(log.String(), "level=ERROR msg=\"mail given up\"") {
			t.Errorf("%s: log:\n%s", tt.why, log)
		}
	}
}

// TestOutboxIsBounded: when the server hangs, so many wait and no more.
func TestOutboxIsBounded(t *testing.T) {
	p := serve(t, "starttls")
	p.hang = make(chan struct{})
	o := &Outbox{Mailer: mailer(t, p.config), Size: 5, Parallel: 2}
	running(t, o)
	for i := range 5 {
		if err := o.Enqueue(reset()); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := o.Enqueue(reset()); !errors.Is(err, ErrFull) {
		t.Errorf("the sixth: %v, want ErrFull", err)
	}
	close(p.hang)
	empty(t, o)
	if n := len(p.got()); n != 5 {
		t.Errorf("%d mails, want 5", n)
	}
	if err := o.Enqueue(reset()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestOutboxDrains: what waits when the process is told to stop is sent, also what was
// to be tried again much later; what comes then is refused.
func TestOutboxDrains(t *testing.T) {
	p := serve(t, "starttls")
	var busy atomic.Bool
	busy.Store(true)
	p.refuse = func(string) error {
		if busy.Load() {
			return &smtp.SMTPError{Code: 451, Message: "later"}
		}
		return nil
	}
	log := &lines{}
	o := &Outbox{Mailer: mailer(t, p.config), Pause: time.Hour, Log: log.log()}
	stop := running(t, o)
	if err := o.Enqueue(reset()); err != nil {
		t.Fatal(err)
	}
	ctx := deadline(t)
	for !strings.Contains(log.String(), "mail not sent yet") {
		if ctx.Err() != nil {
			t.Fatal(log)
		}
		time.Sleep(time.Millisecond)
	}
	busy.Store(false)
	stop()
	if n := len(p.got()); n != 1 || o.Waiting() != 0 {
		t.Errorf("%d mails, %d wait", n, o.Waiting())
	}
	if err := o.Enqueue(reset()); !errors.Is(err, ErrStopped) {
		t.Errorf("afterwards: %v, want ErrStopped", err)
	}
}

// TestOutboxStopsInTime: a server that hangs does not keep the process alive.
func TestOutboxStopsInTime(t *testing.T) {
	p := serve(t, "starttls")
	p.hang = make(chan struct{})
	defer close(p.hang)
	log := &lines{}
	o := &Outbox{Mailer: mailer(t, p.config), Drain: 10 * time.Millisecond, Parallel: 1, Log: log.log()}
	stop := running(t, o)
	for range 3 {
		if err := o.Enqueue(reset()); err != nil {
			t.Fatal(err)
		}
	}
	stop() // the test's own time limit is the judge
	if n := strings.Count(log.String(), "mail given up"); n != 3 {
		t.Errorf("%d mails were given up in the log, want 3\n%s", n, log)
	}
}

// TestThreat34MailTiming: Enqueue touches neither the network nor the templates, so it
// takes as long whether or not there was somebody to write to.
func TestThreat34MailTiming(t *testing.T) {
	m := &Mailer{Config: Config{SMTP: SMTP{Address: "submission://192.0.2.1", Sender: "a@example.com"}}} // nobody, and never loaded
	o := &Outbox{Mailer: m}
	if err := o.Enqueue(reset()); err != nil || o.Waiting() != 1 {
		t.Errorf("error %v, %d wait", err, o.Waiting())
	}
}

// TestThreat45HostPoisoning: a mail holds exactly the links that its writer gave it, and
// one that leads elsewhere than to a host is refused before it waits.
func TestThreat45HostPoisoning(t *testing.T) {
	p := serve(t, "starttls")
	o := &Outbox{Mailer: mailer(t, p.config)}
	running(t, o)
	for _, link := range []string{"//evil.example/reset", "https:///reset", "https://auth.example.com@evil.example/", "https://auth.example.com\r\n.evil.example/"} {
		msg := reset()
		msg.Link = link
		if err := o.Enqueue(msg); !errors.Is(err, ErrMessage) {
			t.Errorf("%q: %v, want ErrMessage", link, err)
		}
	}
	if err := o.Enqueue(reset()); err != nil {
		t.Fatal(err)
	}
	empty(t, o)
	b, err := o.Mailer.templates.render(reset(), o.Mailer.Brand)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{b.text, b.html} {
		for _, part := range strings.Split(text, "https://")[1:] {
			if !strings.HasPrefix(part, "auth.example.com/") {
				t.Errorf("a link to %.40q", part)
			}
		}
	}
}
