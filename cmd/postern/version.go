package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"postern/agent"
)

func (t terminal) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say which postern this is",
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			v := struct {
				Version  string `json:"version"`
				Contract int    `json:"contract"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{release(), agent.Contract, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return t.output(c, v, func() {
				fmt.Fprintf(t.Stdout, "postern %s (contract %d, %s, %s)\n", v.Version, v.Contract, v.Go, v.Platform)
			})
		},
	}
}

// version is set by the linker: -X main.version=v1.2.3.
var version string

// release is which postern this is, as far as the build knows.
func release() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
