package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"postern/haproxy"
)

// demoDomain is a name that every browser takes for this machine.
const demoDomain = "postern.localhost"

func (t terminal) demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "run HAProxy, Postern and a sample application on this machine",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8443", Usage: "`ADDRESS` that HAProxy listens on"},
			&cli.StringFlag{Name: "haproxy", Usage: "`PATH` of haproxy, when it is not the installed one"},
			&cli.StringFlag{Name: "dir", Usage: "`FOLDER` for the files, which stay then; else a temporary one"},
			&cli.StringFlag{Name: "form", Value: string(haproxy.Defaults), Usage: "`FORM` of HAProxy's rules: defaults or block"},
		},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			d := &demo{term: t, listen: c.String("listen"), program: c.String("haproxy"), form: haproxy.Form(c.String("form"))}
			return d.run(c.Context, c.String("dir"))
		},
	}
}

// demo is a site on this machine: HAProxy as a child, Postern and the application inside.
type demo struct {
	term    terminal
	listen  string // host:port
	program string // of HAProxy; found by find when empty
	form    haproxy.Form
	dir     string // of every file, absolute
	port    string // of listen
	ready   func() // called once it answers; may be nil
}

// run makes the folder, and removes it again unless the user named it.
func (d *demo) run(ctx context.Context, dir string) (err error) {
	var host string
	if host, d.port, err = net.SplitHostPort(d.listen); err != nil || d.port == "0" || net.ParseIP(host) == nil {
		return usage("demo: --listen %q is not an address with a port, such as 127.0.0.1:8443", d.listen)
	}
	if d.form != haproxy.Defaults && d.form != haproxy.Block {
		return usage("demo: --form %q is neither defaults nor block", string(d.form))
	}
	if d.program, err = findHAProxy(d.program); err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "postern-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if d.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	return d.serve(ctx)
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// serve runs all three until ctx ends or one of them does.
func (d *demo) serve(ctx context.Context) (err error) {
	if err := d.free(); err != nil {
		return err
	}
	cfg, err := d.write(ctx)
	if err != nil {
		return err
	}
	log, level := newLogger(d.term.Stderr, cfg.Log)
	m := &Main{Config: cfg, Log: log, Level: level}
	if err := m.Open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	appLn, err := listen(endpoint{"demo", "unix:" + d.path("app.sock"), "0600", ""})
	if err != nil {
		return err
	}
	defer appLn.Close()

	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return m.Run(ctx) })
	all.Go(func() error { return serveSample(ctx, appLn, d.sample()) })
	all.Go(func() error { return runHAProxy(ctx, d.program, d.files()) })
	all.Go(func() error {
		if err := d.answers(ctx); err != nil {
			return err
		}
		d.welcome()
		if d.ready != nil {
			d.ready()
		}
		return nil
	})
	return all.Wait()
}

// free refuses an address that somebody listens on, before anything is started.
func (d *demo) free() error {
	ln, err := net.Listen("tcp", d.listen)
	if err != nil {
		return fmt.Errorf("demo: %w; choose another address with --listen", err)
	}
	return ln.Close()
}

// answers waits until the portal answers through HAProxy.
func (d *demo) answers(ctx context.Context) error {
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(d.path("postern-ca.pem"))
	if err != nil {
		return err
	}
	roots.AppendCertsFromPEM(authority)
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, d.listen)
		},
	}}
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	last := errors.New("no answer")
	for {
		req, err := http.NewRequestWithContext(within, http.MethodGet, d.url("auth"), nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		if within.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil // somebody else says why
		case <-within.Done():
			return fmt.Errorf("demo: the portal does not answer through HAProxy: %w", last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) url(host string) string {
	if d.port == "443" {
		return "https://" + host + "." + demoDomain + "/"
	}
	return "https://" + host + "." + demoDomain + ":" + d.port + "/"
}

// welcome says where to go.
func (d *demo) welcome() {
	fmt.Fprintf(d.term.Stdout, `
  Postern is running behind HAProxy on this machine.

  %s   everybody
  %s      who is signed in
  %s   who has proved two factors
  %s    members of the group admins

  Sign in as  demo / demo   or   admin / admin
  The portal  %s
  Its mail    %s

  The certificate is signed by an authority of its own: a browser warns once, or
  trusts %s.
  Files are in %s. Stop with Ctrl-C.

`, d.url("public"), d.url("app"), d.url("secure"), d.url("admin"), d.url("auth"), d.path("mail.txt"), d.path("postern-ca.pem"), d.dir)
}
