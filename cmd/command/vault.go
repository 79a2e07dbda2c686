package command

import (
	"strings"

	"github.com/spf13/cobra"
)

func (g *globals) vault() *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Rotate the key that seals secrets in the store"}
	cmd.AddCommand(g.reseals("reseal", "  surveygate vault reseal"))
	return cmd
}

// reseals is the command that seals with the current key, which has two names.
func (g *globals) reseals(use, example string) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   "Seal with the current key what is sealed with an older one",
		Example: example,
		Long: `Seal with the current key what is sealed with an older one. To rotate the key:

  1. surveygate secret --for key prints a new key.
  2. Write it behind the current one (k1:…,k2:…) and restart every replica.
  3. Write it in front (k2:…,k1:…) and restart every replica.
     A single gateway needs only this step.
  4. surveygate settings rotate-key (or vault reseal, its older name). It may
     be stopped and repeated.
  5. Remove the old key, and restart.

The keys are in SURVEYGATE_KEY or key_file, or in vault.key in the data folder.
Exit code 1 means that an older key is still needed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.reseal(cmd) },
	}
}

func (g *globals) reseal(cmd *cobra.Command) error {
	gw, err := g.dialFor("") // of the whole gateway
	if err != nil {
		return err
	}
	defer gw.Close()
	r, err := gw.Reseal(cmd.Context())
	if err != nil {
		return err
	}
	if g.json {
		if err := g.print(r); err != nil {
			return err
		}
	} else {
		g.printf("%d %s sealed anew with %s\n", r.Resealed, plural(r.Resealed, "value"), r.Current)
		if len(r.Unneeded) > 0 {
			g.printf("no longer needed: %s\n", strings.Join(r.Unneeded, ", "))
		}
		if len(r.Needed) > 0 {
			g.printf("still needed: %s; %d %s not opened\n", strings.Join(r.Needed, ", "), r.Unopened, plural(r.Unopened, "value"))
		}
	}
	if len(r.Needed) > 0 {
		return &exit{code: exitFailed}
	}
	return nil
}
