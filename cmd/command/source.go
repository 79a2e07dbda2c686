package command

import (
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) source() *cobra.Command {
	cmd := &cobra.Command{Use: "source", Short: documented[client.SourceKind].short}
	var showSecrets bool
	list := &cobra.Command{
		Use:     "list",
		Short:   "List sources, their URLs, and the time of the newest event",
		Example: "  surveygate source list\n  surveygate source list --show-secrets",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listSources(cmd, showSecrets) },
	}
	list.Flags().BoolVar(&showSecrets, "show-secrets", false, "print path tokens too; with --server, this needs a token with the scope secrets")
	var limit int
	rejected := &cobra.Command{
		Use:     "rejected SOURCE",
		Short:   "Show requests that a source refused in the last day, and why",
		Example: "  surveygate source rejected typeform",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.rejected(cmd, args[0], limit) },
	}
	rejected.Flags().IntVar(&limit, "limit", 10, "how many, newest first")
	var save string
	captured := &cobra.Command{
		Use:     "captured SOURCE",
		Short:   "List requests that `capture` kept, and save them",
		Example: "  surveygate source captured typeform --save bodies",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.captured(cmd, args[0], save) },
	}
	captured.Flags().StringVar(&save, "save", "", "save each body and its headers in this folder")
	cmd.AddCommand(g.sourceTest(), g.sourceCapture(), rejected, captured, list)
	cmd.AddCommand(g.documentCommands(client.SourceKind)...)
	return cmd
}

func (g *globals) listSources(cmd *cobra.Command, showSecrets bool) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := gw.Sources(cmd.Context(), showSecrets)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(all)
	}
	var rows [][]string
	for i := range all {
		s := &all[i]
		where, last := s.Path, "no event"
		if s.Stream != "" {
			where = "stream " + s.Stream
		}
		if !s.Enabled {
			where += " (off)"
		}
		if !s.Last.IsZero() {
			last = "last event " + s.Last.Format(time.RFC3339)
		}
		rows = append(rows, []string{g.nameOf(s.Tenant, s.Name), s.Profile, where, last})
		if g.tenant == everyTenant { // that would be a request for each of them
			rows[i] = rows[i][:3]
		}
	}
	g.wholeTable(rows)
	return nil
}

func (g *globals) rejected(cmd *cobra.Command, name string, limit int) error {
	if limit < 1 {
		return &exit{exitUsage, fmt.Errorf("--limit %d: at least 1", limit)}
	}
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, missed, err := gw.Rejected(cmd.Context(), name)
	if err != nil {
		return err
	}
	shown := all[:min(limit, len(all))]
	if g.json {
		if shown == nil {
			shown = []client.RejectedRequest{}
		}
		return g.print(shown)
	}
	if len(all) == 0 && missed == nil {
		g.printf("none in the last day\n")
		return nil
	}
	for i := range shown {
		if i > 0 {
			g.printf("\n")
		}
		g.showRejected(&shown[i])
	}
	if more := len(all) - len(shown); more > 0 {
		g.printf("\n%d more: --limit %d\n", more, len(all))
	}
	if missed != nil {
		g.printf("\n%d more were refused since %s, but not kept, because there were too many: %d verified, %d not verified\n",
			missed.Proved+missed.Unproved, missed.Since.Format(time.RFC3339), missed.Proved, missed.Unproved)
	}
	return nil
}

func (g *globals) showRejected(r *client.RejectedRequest) {
	g.printf("%s  %d  %s\n", r.At.Format(time.RFC3339), r.Status, r.Reason)
	if r.Detail != "" {
		g.printf("  why: %s\n", r.Detail)
	}
	g.showChecks(r.Checks, "  ")
	g.showRequest(&r.Request)
}

// showChecks prints the checks of a request and their results.
func (g *globals) showChecks(checks []offline.SourceCheck, indent string) {
	for _, c := range checks {
		outcome := "failed: " + c.Reason
		switch {
		case c.Passed && c.Secret > 0:
			outcome = fmt.Sprintf("passed, with secret %d", c.Secret)
		case c.Passed:
			outcome = "passed"
		}
		g.printf("%s%s: %s\n", indent, c.Asks, outcome)
		if c.Signed != "" {
			g.printf("%s  signed: %s\n", indent, c.Signed)
		}
		if c.Given != "" {
			g.printf("%s  given:  %s\n", indent, c.Given)
		}
	}
}

// maxShown limits the bytes of a body that are printed.
const maxShown = 4096

func (g *globals) showRequest(r *client.KeptRequest) {
	g.printf("  %s %s", r.Method, r.Path)
	if r.Remote != "" {
		g.printf("  from %s", r.Remote)
	}
	g.printf("  (%s)\n", r.RequestID)
	for _, h := range r.Headers {
		g.printf("    %s: %s\n", h[0], h[1])
	}
	what := fmt.Sprintf("%d bytes", r.Size)
	if r.SHA256 != "" {
		what += ", sha256 " + r.SHA256
	}
	if r.Truncated {
		what += ", truncated"
	}
	if r.Encoding != "" {
		what += ", in " + r.Encoding
	}
	g.printf("  body: %s\n", what)
	if r.Body == "" {
		return
	}
	body := strings.TrimRight(r.Body, "\r\n")
	cut := len(body) > maxShown
	if cut {
		body = strings.ToValidUTF8(body[:maxShown], "")
	}
	g.printf("    %s\n", strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\n    "))
	if cut {
		g.printf("    … %d more with --json\n", len(r.Body)-len(body))
	}
}

func (g *globals) captured(cmd *cobra.Command, name, folder string) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, until, err := gw.Captured(cmd.Context(), name)
	if err != nil {
		return err
	}
	var files []string
	if folder != "" {
		if files, err = save(all, name, folder); err != nil {
			return &exit{exitFailed, err}
		}
	}
	if g.json {
		if all == nil {
			all = []client.CapturedRequest{}
		}
		return g.print(struct {
			Data  []client.CapturedRequest `json:"data"`
			Files []string                 `json:"files,omitempty"`
		}{all, files})
	}
	for i := range all {
		r := &all[i]
		where := ""
		if files != nil {
			where = "  " + files[i]
		}
		g.printf("%s  %d  %s %s  %d bytes%s\n", r.At.Format(time.RFC3339), r.Status, r.Method, r.Path, r.Size, where)
	}
	switch {
	case len(all) == 0 && until.IsZero():
		g.printf("none: surveygate source capture %s --for 1h\n", name)
	case len(all) == 0:
		g.printf("none yet; requests until %s are kept\n", until.Format(time.RFC3339))
	}
	if len(files) > 0 {
		g.printf("to test a profile with the newest: surveygate source test PROFILE %s --headers %s\n", files[0], files[0]+headersSuffix)
	}
	return nil
}

const headersSuffix = ".headers"

// save writes each body and its headers, except hidden ones, into a folder. It returns the files of the bodies, in the order of the
// requests.
func save(all []client.CapturedRequest, name, folder string) ([]string, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	files := make([]string, len(all))
	taken := map[string]int{}
	for i := len(all) - 1; i >= 0; i-- { // oldest first, so that a request always gets the same name
		r := &all[i]
		body, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		var headers strings.Builder
		kind := ""
		for _, h := range r.Headers {
			if strings.Contains(h[1], "[secret]") {
				continue
			}
			if strings.EqualFold(h[0], "Content-Type") {
				kind = h[1]
			}
			fmt.Fprintf(&headers, "%s: %s\n", h[0], h[1])
		}
		file := name + "-" + r.At.Format("20060102T150405.000")
		if taken[file]++; taken[file] > 1 {
			file += fmt.Sprintf("-%d", taken[file])
		}
		files[i] = filepath.Join(folder, file+extension(kind))
		if err := os.WriteFile(files[i], body, 0o600); err != nil {
			return nil, err
		}
		if err := os.WriteFile(files[i]+headersSuffix, []byte(headers.String()), 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// extension returns the file name extension for a content type.
func extension(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return ".body"
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return ".json"
	case media == "application/x-www-form-urlencoded":
		return ".form"
	}
	return ".body"
}
