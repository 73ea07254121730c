package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"os"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed assets/*
var assetFiles embed.FS

// maxAsset bounds a file of the operator's, in bytes.
const maxAsset = 1 << 20

// assets are the files that pages refer to. Each is served under a hash of its content,
// so that a browser may keep it for ever and never sees one of another version.
type assets struct{ byName map[string]asset }

type asset struct {
	path string
	kind string // media type
	body []byte
}

// openAssets reads what is built in and what the branding adds.
func openAssets(b *brand) (*assets, error) {
	a := &assets{byName: map[string]asset{}}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("portal: assets: %w", err)
	}
	for _, f := range files {
		body, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("portal: assets: %w", err)
		}
		a.add(f.Name(), body)
	}
	for name, body := range b.files {
		a.add(name, body)
	}
	return a, nil
}

func (a *assets) add(name string, body []byte) {
	sum := sha256.Sum256(body)
	kind := mediaType(path.Ext(name))
	a.byName[name] = asset{path: "/assets/" + hex.EncodeToString(sum[:8]) + "/" + name, kind: kind, body: body}
}

// path is where an asset is served, "" when there is none of that name.
func (a *assets) path(name string) string { return a.byName[name].path }

// mediaType does not depend on the machine's own table.
func mediaType(ext string) string {
	switch strings.ToLower(ext) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	}
	return mime.TypeByExtension(ext)
}

// asset serves one asset. It looks at no cookie and sets none.
func (s *site) asset(c *fiber.Ctx) error {
	a, ok := s.assets.byName[c.Params("name")]
	if !ok || a.path != c.Path() {
		return errNotFound
	}
	s.commonHeaders(c)
	// An SVG opened by itself is a document of our origin: nothing in it may run.
	c.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderContentType, a.kind)
	return c.Send(a.body)
}

// readAsset reads a file of the operator's for key, which names it in errors.
func readAsset(key, file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if info.Size() > maxAsset || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is not a regular file of at most %d bytes", key, file, maxAsset)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return body, nil
}
