package factor

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// quiet is the empty margin a QR code needs, in modules (ISO/IEC 18004 9.1).
const quiet = 4

// QR is a QR code: black on white whatever the page's colours, with its margin.
type QR struct {
	code barcode.Barcode
}

func encodeQR(text string) (QR, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return QR{}, fmt.Errorf("qr code: %w", err)
	}
	return QR{code: code}, nil
}

// Size is the width and height with the margin, in modules; 0 for a zero QR.
func (q QR) Size() int {
	if q.code == nil {
		return 0
	}
	return q.code.Bounds().Dx() + 2*quiet
}

// dark says whether the module at x, y counted with the margin is black.
func (q QR) dark(x, y int) bool {
	at := image.Pt(x-quiet, y-quiet).Add(q.code.Bounds().Min)
	if !at.In(q.code.Bounds()) {
		return false
	}
	grey := color.GrayModel.Convert(q.code.At(at.X, at.Y)).(color.Gray)
	return grey.Y < 128
}

// SVG is the code as an SVG element of numbers and fixed words alone, for use in a page.
// It has no width: the page's style gives it one.
func (q QR) SVG() string {
	var path strings.Builder
	size := q.Size()
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for x < size && q.dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
			}
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, size, size, size, size, path.String())
}

// PNG is the code as a PNG file, scale pixels (1 to 32) for each module.
func (q QR) PNG(scale int) ([]byte, error) {
	scale = max(1, min(scale, 32))
	side := q.Size() * scale
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if q.dark(x/scale, y/scale) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("qr code: %w", err)
	}
	return b.Bytes(), nil
}
