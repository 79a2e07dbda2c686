// Command surveygate is the gateway with Acme's own connector beside those that are built in.
package main

import (
	"os"

	"github.com/surveygate/surveygate/cmd/command"
	_ "github.com/surveygate/surveygate/connectors/all"

	_ "example.com/acme/surveygate/pager"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Stdout, os.Stderr)) }
