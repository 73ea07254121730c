package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func (t terminal) certCommand() *cli.Command {
	return &cli.Command{
		Name:      "cert",
		Usage:     "make a certificate for trials, and the authority that signs it",
		ArgsUsage: "NAME...",
		Description: "Writes postern-ca.pem (for the trust store of a browser) and postern.pem (certificate,\n" +
			"authority and key, as HAProxy's crt wants them). The authority's key is thrown away.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Value: ".", Usage: "`FOLDER` of the files"},
			&cli.IntFlag{Name: "days", Value: 90, Usage: "days that it is valid"},
			&cli.BoolFlag{Name: "force", Usage: "replace files that exist"},
		},
		Action: func(c *cli.Context) error {
			days := c.Int("days")
			if days < 1 || days > 825 {
				return usage("--days %d is not between 1 and 825", days)
			}
			names := c.Args().Slice()
			if err := checkNames(names); err != nil {
				return err
			}
			ca, leaf := filepath.Join(c.String("out"), "postern-ca.pem"), filepath.Join(c.String("out"), "postern.pem")
			for _, path := range []string{ca, leaf} { // both, before one that fits no other is written
				if !c.Bool("force") && exists(path) {
					return fmt.Errorf("%s exists already; --force replaces it", path)
				}
			}
			made, err := newCertificate(names, time.Now(), days)
			if err != nil {
				return err
			}
			if err := writeNew(ca, made.authority, 0o644, c.Bool("force")); err != nil {
				return err
			}
			if err := writeNew(leaf, made.bundle, 0o600, c.Bool("force")); err != nil {
				return err
			}
			fmt.Fprintf(t.Stdout, "%s\n%s\n", ca, leaf)
			return nil
		},
	}
}

// checkNames refuses what cannot stand in a certificate.
func checkNames(names []string) error {
	if len(names) == 0 {
		return usage("cert: NAME is missing; for example: postern cert example.com '*.example.com'")
	}
	for _, name := range names {
		host := strings.TrimPrefix(name, "*.")
		if net.ParseIP(name) == nil && (host == "" || len(host) > 253 || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Contains(host, "..") || strings.HasPrefix(host, ".")) {
			return usage("cert: %q is neither a host name nor an address", name)
		}
	}
	return nil
}

// certificate is PEM: the authority alone; and leaf, authority and key of the leaf.
type certificate struct{ authority, bundle []byte }

// newCertificate makes an authority that signs one certificate and is limited to its names.
func newCertificate(names []string, now time.Time, days int) (certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	ca := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Postern trial authority for " + names[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, days),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	ca.PermittedDNSDomainsCritical = true
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
			ca.PermittedIPRanges = append(ca.PermittedIPRanges, hostNet(ip))
			continue
		}
		leaf.DNSNames = append(leaf.DNSNames, name)
		ca.PermittedDNSDomains = append(ca.PermittedDNSDomains, strings.TrimPrefix(name, "*."))
	}
	if len(ca.PermittedDNSDomains) == 0 {
		ca.ExcludedDNSDomains = []string{""} // all
	}
	if len(ca.PermittedIPRanges) == 0 {
		ca.ExcludedIPRanges = []*net.IPNet{{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)}, {IP: make(net.IP, 16), Mask: make(net.IPMask, 16)}}
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return certificate{}, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	authority := block("CERTIFICATE", caDER)
	bundle := append(block("CERTIFICATE", leafDER), authority...)
	return certificate{authority, append(bundle, block("PRIVATE KEY", keyDER)...)}, nil
}

func hostNet(ip net.IP) *net.IPNet {
	if four := ip.To4(); four != nil {
		return &net.IPNet{IP: four, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// writeNew writes a file that must not exist yet, unless force is set; then it is
// replaced whole, so that its mode is the new one from the start.
func writeNew(path string, data []byte, mode fs.FileMode, force bool) error {
	if !force {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already; --force replaces it", path)
		}
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	return writeAtomic(path, data, mode)
}

// writeAtomic puts a whole file in place of another, or leaves the other alone.
func writeAtomic(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
