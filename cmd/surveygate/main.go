// Command surveygate is the gateway and everything that looks into it.
package main

import (
	"os"

	"github.com/surveygate/surveygate/cmd/command"
	_ "github.com/surveygate/surveygate/connectors/all"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Stdout, os.Stderr)) }
