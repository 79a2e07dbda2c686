// Command surveygate is the gateway with one more connector, which costs one folder and one import line.
package main

import (
	"os"

	"github.com/surveygate/surveygate/cmd/command"
	_ "github.com/surveygate/surveygate/connectors/all"

	_ "example.com/sixteen/ripple"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Stdout, os.Stderr)) }
