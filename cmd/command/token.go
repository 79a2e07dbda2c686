package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/connectors"
)

// maxTokenInput is more than the API accepts.
const maxTokenInput = 64 << 10

func (g *globals) tokens() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Make and end tokens of the API; store refresh tokens"}
	set := &cobra.Command{
		Use:     "set CONNECTION",
		Example: `  surveygate token set crm < refresh-token`,
		Short:   "Store the first refresh token of a connection, read from stdin",
		Long: `Store the first refresh token of a connection, from which the gateway fetches access tokens. The token is read from stdin, so
that no process list or shell history holds it:

  surveygate token set crm < refresh-token

The gateway stores it sealed, for all replicas, and starts over with it. A hold of the connection for refused credentials ends.
With --server, the token of the API needs the scope secrets.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.setToken(cmd, args[0]) },
	}
	cmd.AddCommand(g.apiTokens()...)
	cmd.AddCommand(set)
	return cmd
}

func (g *globals) setToken(cmd *cobra.Command, connection string) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	in := cmd.InOrStdin()
	if isTerminal(in) {
		_, _ = fmt.Fprintf(g.err, "reading the refresh token from stdin: paste it, press Enter, then Ctrl-D. It is shown here; `surveygate token set %s < FILE` shows nothing.\n", connection)
	}
	token, err := readToken(in)
	if err != nil {
		return &exit{exitUsage, err}
	}
	stored, err := gw.StoreToken(cmd.Context(), connection, token)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(stored)
	}
	g.printf("%s  %s  refresh token stored at %s\n", stored.Connection, stored.Product, stored.Stored.Format(time.RFC3339))
	return nil
}

// isTerminal reports whether a person types the input.
func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if none, fault := os.Stat(os.DevNull); fault == nil && err == nil && os.SameFile(info, none) {
		return false
	}
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0
}

// readToken reads a token up to the end of the input, without one line break at its end, which files and terminals add.
func readToken(in io.Reader) (connectors.Secret, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxTokenInput+1))
	if err != nil {
		return connectors.Secret{}, fmt.Errorf("read the refresh token: %w", err)
	}
	if len(text) > maxTokenInput {
		return connectors.Secret{}, fmt.Errorf("stdin has more than %d KiB, which is no refresh token", maxTokenInput>>10)
	}
	token := connectors.NewSecret(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"))
	if token.IsZero() {
		return connectors.Secret{}, errors.New("stdin is empty: write the refresh token to it, as in `surveygate token set CONNECTION < FILE`")
	}
	if err := connectors.CheckSecret(token); err != nil {
		return connectors.Secret{}, fmt.Errorf("the refresh token on stdin %w", err)
	}
	return token, nil
}
