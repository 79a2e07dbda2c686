package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// maxDraft is more than the API accepts.
const maxDraft = 16 << 20

// readDraft reads the settings in a file, or from stdin where there is none or it is `-`. ${NAME} is replaced from the environment of the
// command.
func (g *globals) readDraft(cmd *cobra.Command, file string) (*client.Draft, error) {
	file, text, err := g.readText(cmd, file)
	if err != nil {
		return nil, &exit{exitUsage, err}
	}
	d, err := client.ReadDraft(file, text, client.Lookup{Env: os.LookupEnv, File: os.ReadFile})
	if err != nil {
		return nil, &exit{exitUsage, err}
	}
	return d, nil
}

// readText reads a file with settings, or stdin where there is none or it is `-`, and returns its name for faults.
func (g *globals) readText(cmd *cobra.Command, file string) (name string, text []byte, err error) {
	in := cmd.InOrStdin()
	if file == "" || file == "-" {
		if file = "stdin"; isTerminal(in) {
			_, _ = fmt.Fprintln(g.err, "reading settings from stdin, in YAML or JSON: end them with Ctrl-D")
		}
	} else {
		opened, err := os.Open(file)
		if err != nil {
			return file, nil, err
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err = io.ReadAll(io.LimitReader(in, maxDraft+1))
	switch {
	case err != nil:
		return file, nil, err
	case len(text) > maxDraft:
		return file, nil, fmt.Errorf("%s has more than %d MiB, which is more than the API takes", file, maxDraft>>20)
	case len(text) == 0:
		return file, nil, errors.New(file + " is empty: write settings in YAML or JSON")
	}
	return file, text, nil
}

// refusedDraft shows what the API refused in the lines of the draft. Faults in it are a faulty configuration.
func refusedDraft(d *client.Draft, err error) error {
	if err = d.Located(err); isRefusedInput(err) {
		return &exit{exitUsage, err}
	}
	return err
}

// isRefusedInput reports whether the API refused what it was sent as faulty.
func isRefusedInput(err error) bool {
	refused, ok := errors.AsType[*client.APIError](err)
	return ok && refused.Status == http.StatusUnprocessableEntity
}
