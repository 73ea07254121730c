package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/cmd/postern/config"
	"postern/haproxy"
)

func (t terminal) haproxyCommand() *cli.Command {
	return &cli.Command{
		Name:  "haproxy",
		Usage: "write spoe.conf and postern.cfg for HAProxy",
		Flags: []cli.Flag{
			configFlag(),
			&cli.StringFlag{Name: "version", Usage: "for `VERSION`, such as 3.2; else the installed one"},
			&cli.StringFlag{Name: "form", Value: string(haproxy.Defaults), Usage: "`FORM` of the rules: defaults, or block for one's own frontend"},
			&cli.StringFlag{Name: "out", Usage: "write the files into `FOLDER`; else they are printed"},
			&cli.StringFlag{Name: "spoe", Usage: "`PATH` of spoe.conf as HAProxy will see it; else in the folder of --out, or /etc/haproxy"},
			&cli.StringFlag{Name: "chroot", Usage: "`FOLDER` that HAProxy changes its root to: unix sockets are named from there"},
			&cli.StringFlag{Name: "timeout", Value: "1s", Usage: "`DURATION` that HAProxy waits for a verdict"},
			&cli.StringFlag{Name: "haproxy", Usage: "`PATH` of haproxy, when it is not the installed one"},
			&cli.BoolFlag{Name: "check", Usage: "let HAProxy check the files"},
		},
		Action: t.haproxy,
	}
}

func (t terminal) haproxy(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	form := haproxy.Form(c.String("form"))
	if form != haproxy.Defaults && form != haproxy.Block {
		return usage("haproxy: --form %q is neither defaults nor block", c.String("form"))
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	v, err := versionOf(c)
	if err != nil {
		return err
	}
	hc, err := haproxyFiles(c, cfg)
	if err != nil {
		return err
	}
	files, err := haproxy.Generate(hc, v, form)
	if err != nil {
		return usageError{err}
	}
	if c.Bool("check") {
		if err := t.haproxyCheck(c, cfg, files, form); err != nil {
			return err
		}
	}
	out := c.String("out")
	if out == "" {
		fmt.Fprintf(t.Stdout, "# ==== postern.cfg\n%s\n# ==== spoe.conf\n%s", files.Config, files.SPOE)
		return nil
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"spoe.conf", files.SPOE}, {"postern.cfg", files.Config}} {
		path := filepath.Join(out, f.name)
		if err := writeAtomic(path, f.data, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(t.Stdout, path)
	}
	return nil
}

// versionOf is the version of --version, or of the installed HAProxy.
func versionOf(c *cli.Context) (haproxy.Version, error) {
	if text := c.String("version"); text != "" {
		v, err := haproxy.ParseVersion(text)
		if err != nil {
			return v, usage("haproxy: --version: %w", err)
		}
		return v, nil
	}
	program, err := findHAProxy(c.String("haproxy"))
	if err != nil {
		return haproxy.Version{}, fmt.Errorf("%w\nor say which version the files are for with --version", err)
	}
	return haproxy.Installed(c.Context, program)
}

// haproxyFiles is the configuration with the paths as HAProxy sees them.
func haproxyFiles(c *cli.Context, cfg *config.Config) (haproxy.Config, error) {
	spoe := c.String("spoe")
	if spoe == "" && c.String("out") != "" {
		dir, err := filepath.Abs(c.String("out"))
		if err != nil {
			return haproxy.Config{}, err
		}
		spoe = filepath.Join(dir, "spoe.conf")
	} else if spoe == "" {
		spoe = "/etc/haproxy/spoe.conf"
	}
	hc := haproxyConfig(cfg, spoe)
	hc.Timeout = c.String("timeout")
	if d, err := time.ParseDuration(hc.Timeout); err == nil && d <= cfg.Agent.Timeout {
		return hc, usage("haproxy: --timeout %v is not longer than agent.timeout (%v): HAProxy would not wait for Postern's answer", d, cfg.Agent.Timeout)
	}
	if root := c.String("chroot"); root != "" {
		for _, a := range []struct {
			key  string
			addr *string
		}{{"agent.listen", &hc.Agent}, {"portal.listen", &hc.Portal}} {
			inside, err := below(root, *a.addr)
			if err != nil {
				return hc, usage("haproxy: %s: %w", a.key, err)
			}
			*a.addr = inside
		}
	}
	return hc, nil
}

// below names a unix socket as a process sees it whose root is root.
func below(root, addr string) (string, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	if !isUnix {
		return addr, nil
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fmt.Errorf("HAProxy in %s cannot reach %s; put the socket below it", root, path)
	}
	return "unix:/" + rel, nil
}

// haproxyCheck lets HAProxy read the files, with a small site around them.
func (t terminal) haproxyCheck(c *cli.Context, cfg *config.Config, files haproxy.Files, form haproxy.Form) (err error) {
	program, err := findHAProxy(c.String("haproxy"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "postern-check-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := func(name string) string { return filepath.Join(dir, name) }
	portal := "auth.invalid"
	if u, err := url.Parse(cfg.Domains[0].Portal); err == nil {
		portal = u.Hostname()
	}
	s := site{bind: "127.0.0.1:1", spoe: path("spoe.conf"), portal: portal, application: "127.0.0.1:1"}
	postern, own := s.files(files, form)
	err = errors.Join(
		os.WriteFile(path("global.cfg"), []byte("global\n    log 127.0.0.1 local0\n"), 0o600),
		os.WriteFile(path("spoe.conf"), files.SPOE, 0o600),
		os.WriteFile(path("postern.cfg"), postern, 0o600),
		os.WriteFile(path("site.cfg"), own, 0o600),
	)
	if err != nil {
		return err
	}
	output, err := haproxy.Check(context.WithoutCancel(c.Context), program, path("global.cfg"), path("postern.cfg"), path("site.cfg"))
	if err == nil {
		fmt.Fprint(t.Stderr, output)
	}
	return err
}
