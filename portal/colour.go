package portal

import (
	"fmt"
	"math"
	"strconv"
)

// colour is an sRGB colour, each part from 0 to 1.
type colour struct{ r, g, b float64 }

// parseColour reads #rrggbb.
func parseColour(s string) (colour, error) {
	n, err := strconv.ParseUint(s[min(1, len(s)):], 16, 32)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return colour{}, fmt.Errorf("%q is not a colour such as #14655a", s)
	}
	return colour{float64(n>>16) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}, nil
}

// mustColour is for constants of this package.
func mustColour(s string) colour { c, _ := parseColour(s); return c }

// String is the colour as #rrggbb.
func (c colour) String() string {
	part := func(x float64) int { return int(math.Round(255 * min(1, max(0, x)))) }
	return fmt.Sprintf("#%02x%02x%02x", part(c.r), part(c.g), part(c.b))
}

// luminance is WCAG's relative luminance.
func (c colour) luminance() float64 {
	linear := func(x float64) float64 {
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is WCAG's contrast ratio, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix is c with a share of other in it, from 0 to 1.
func (c colour) mix(other colour, share float64) colour {
	m := func(a, b float64) float64 { return a + (b-a)*share }
	return colour{m(c.r, other.r), m(c.g, other.g), m(c.b, other.b)}
}

// The ends that colours are mixed towards.
var (
	white = colour{1, 1, 1}
	black = colour{0, 0, 0}
)

// readable is white or black, whichever reads better on c. One of them always has 4.5:1.
func (c colour) readable() colour {
	if contrast(c, white) >= contrast(c, black) || contrast(c, white) >= minContrast {
		return white
	}
	return black
}

// against is c moved away from paper, as little as it takes for a contrast of at least ratio.
func (c colour) against(paper colour, ratio float64) colour {
	far := black
	if contrast(paper, white) > contrast(paper, black) {
		far = white
	}
	for share := 0.0; share < 1; share += 0.02 {
		// Compared as the browser will get it, rounded to whole steps.
		if m := mustColour(c.mix(far, share).String()); contrast(m, paper) >= ratio {
			return m
		}
	}
	return far
}

// hover is c as a control shows it under the pointer; its text stays readable.
func (c colour) hover() colour {
	if c.readable() == white {
		return c.mix(black, 0.14)
	}
	return c.mix(white, 0.18)
}

// gates is how many shades the picture beside the form has.
const gates = 6

// daylight is what shines through the gate, whatever the accent.
var daylight = colour{1, 0.972, 0.91}

// gate is the colour of one arch, from the wall to the light at its end.
func (c colour) gate(i int, dark bool) colour {
	if dark {
		share := [gates]float64{0, 0.06, 0.14, 0.26, 0.45, 0.88}[i]
		return c.mix(black, 0.74).mix(c.mix(daylight, 0.84), share)
	}
	share := [gates]float64{0, 0.13, 0.29, 0.48, 0.7, 1}[i]
	return c.mix(black, 0.22).mix(daylight, share)
}
