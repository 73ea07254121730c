package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"postern/portal/users"
)

func passwordFlag() cli.Flag {
	return &cli.BoolFlag{Name: "password-stdin", Usage: "take the password from the first line of stdin"}
}

func (t terminal) hashCommand() *cli.Command {
	return &cli.Command{
		Name:  "hash",
		Usage: "print the hash of a password, for the users file",
		Flags: []cli.Flag{passwordFlag()},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			password, err := t.readPassword(c.Bool("password-stdin"), "password")
			if err != nil {
				return err
			}
			hash, err := hashPassword(password)
			if err == nil {
				fmt.Fprintln(t.Stdout, hash)
			}
			return err
		},
	}
}

// hashPassword hashes a new password; one that cannot be a password is wrong use.
func hashPassword(password string) (string, error) {
	hash, err := users.Hash(password)
	if errors.Is(err, users.ErrPassword) {
		return "", usageError{err}
	}
	return hash, err
}
