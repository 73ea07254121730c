package main

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed sample.html
var samplePage string

// sample is the demo's application: it believes the headers that HAProxy sets, and shows
// everything it received.
type sample struct {
	Portal string
	Sites  []sampleSite
}

// sampleSite is a link to one of the demo's hosts.
type sampleSite struct{ Name, URL, About string }

func (d *demo) sample() sample {
	return sample{Portal: d.url("auth"), Sites: []sampleSite{
		{"public", d.url("public"), "everybody"},
		{"app", d.url("app"), "who is signed in"},
		{"secure", d.url("secure"), "two factors"},
		{"admin", d.url("admin"), "the group admins"},
	}}
}

// sampleView is what one page shows.
type sampleView struct {
	sample
	Host, Request             string
	User, Name, Email, Groups string
	Headers                   [][2]string
}

// view is what the page shows of a request.
func (s sample) view(r *http.Request) sampleView {
	host, _, _ := strings.Cut(r.Host, ".")
	v := sampleView{
		sample: s, Host: host, Request: r.Method + " " + r.URL.RequestURI(),
		User: r.Header.Get("Remote-User"), Name: r.Header.Get("Remote-Name"),
		Email: r.Header.Get("Remote-Email"), Groups: r.Header.Get("Remote-Groups"),
	}
	for name, values := range r.Header {
		for _, value := range values {
			v.Headers = append(v.Headers, [2]string{name, value})
		}
	}
	slices.SortStableFunc(v.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	if v.User == "" {
		v.Portal += "?rd=" + url.QueryEscape("https://"+r.Host+r.URL.RequestURI())
	}
	return v
}

// serveSample serves the application on ln until ctx ends.
func serveSample(ctx context.Context, ln net.Listener, s sample) error {
	page, err := template.New("sample").Parse(samplePage)
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, s.view(r)) // who asked has gone away
	})}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := srv.Shutdown(within); err != nil {
			err = srv.Close()
			stopped <- err
			return
		}
		stopped <- nil
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
