package portal

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is `portal` of the configuration.
type Config struct {
	Listen  string        `yaml:"listen"`          // host:port or unix:/path
	Mode    string        `yaml:"mode"`            // of the unix socket, octal: "0660"
	Group   string        `yaml:"group"`           // of the unix socket; empty: the process's own
	Proxies []string      `yaml:"trusted_proxies"` // who may say X-Forwarded-For; addresses and networks
	Timeout time.Duration `yaml:"timeout"`         // for reading one request, whatever its pace
	Brand   Brand         `yaml:"branding"`
}

// Brand is what makes the portal look like its owner's. Paths name files that are read
// when the portal starts.
type Brand struct {
	Name   string `yaml:"name"`   // shown beside the logo and in titles
	Logo   string `yaml:"logo"`   // .svg, .png, .jpg or .webp; empty: Postern's own
	Accent string `yaml:"accent"` // #rrggbb
	CSS    string `yaml:"css"`    // stylesheet that comes after Postern's own
	Links  []Link `yaml:"links"`  // in the footer
}

// Link is one link of the footer.
type Link struct {
	Text string `yaml:"text"`
	URL  string `yaml:"url"` // https:// or mailto:
}

// DefaultConfig is what an absent `portal` means.
func DefaultConfig() Config {
	return Config{
		Listen:  "127.0.0.1:9080",
		Mode:    "0660",
		Proxies: []string{"127.0.0.0/8", "::1/128"},
		Timeout: 10 * time.Second,
		Brand:   Brand{Name: "Postern", Accent: "#14655a"},
	}
}

// Validate joins every fault of c; each starts with the key it is about.
func (c Config) Validate() error {
	faults := []error{validateListen(c.Listen), validateMode(c.Mode)}
	for i, p := range c.Proxies {
		if _, err := parseNetwork(p); err != nil {
			faults = append(faults, fmt.Errorf("portal.trusted_proxies[%d]: %q is neither an address nor a network", i, p))
		}
	}
	if c.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("portal.timeout: %v is not positive", c.Timeout))
	}
	faults = append(faults, c.Brand.validate())
	return errors.Join(faults...)
}

func validateListen(listen string) error {
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		if path == "" {
			return errors.New("portal.listen: unix: needs a path")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil || port == "" {
		return fmt.Errorf("portal.listen: %q is neither host:port nor unix:/path", listen)
	}
	return nil
}

func validateMode(mode string) error {
	if mode == "" {
		return nil
	}
	if len(mode) > 4 || strings.Trim(mode, "01234567") != "" {
		return fmt.Errorf("portal.mode: %q is not an octal file mode such as 0660", mode)
	}
	return nil
}

func (b Brand) validate() error {
	var faults []error
	if b.Name == "" || len(b.Name) > 60 || !printable(b.Name) {
		faults = append(faults, errors.New("portal.branding.name: must be 1 to 60 bytes of printable text"))
	}
	if _, err := parseColour(b.Accent); err != nil {
		faults = append(faults, fmt.Errorf("portal.branding.accent: %w", err))
	}
	if b.Logo != "" && logoType(b.Logo) == "" {
		faults = append(faults, fmt.Errorf("portal.branding.logo: %q does not end in .svg, .png, .jpg or .webp", b.Logo))
	}
	for i, l := range b.Links {
		if l.Text == "" {
			faults = append(faults, fmt.Errorf("portal.branding.links[%d].text: is empty", i))
		}
		if u, err := url.Parse(l.URL); err != nil || (u.Scheme != "https" || u.Host == "") && (u.Scheme != "mailto" || u.Opaque == "") {
			faults = append(faults, fmt.Errorf("portal.branding.links[%d].url: %q is neither an https:// nor a mailto: address", i, l.URL))
		}
	}
	return errors.Join(faults...)
}

// parseNetwork accepts an address or a network.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}
