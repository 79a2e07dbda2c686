package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
)

// typePackages maps the name of each package that declares types of a configuration to its folder. Any other name is a product.
var typePackages = map[string]string{
	"config":     "gateway/config",
	"connectors": "connectors",
	"outbound":   "gateway/internal/outbound",
	"signature":  "gateway/signature",
	"source":     "gateway/internal/source",
}

// configuration is configs/schema.json and configs/surveygate.yaml.
func configuration(src *source) ([]file, error) {
	var faults []error
	schema, err := config.Schema(func(typeName, field string) string {
		pkg, name, _ := strings.Cut(typeName, ".")
		path, ok := typePackages[pkg]
		if !ok {
			path = "connectors/" + pkg
		}
		text, err := src.describe(path, name, field)
		if err != nil && !slices.ContainsFunc(faults, func(known error) bool { return known.Error() == err.Error() }) {
			faults = append(faults, err)
		}
		return text
	})
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	reference, err := writeReference(src.root, schema)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return []file{
		{path: "configs/schema.json", text: append(schema, '\n')},
		{path: "configs/surveygate.yaml", text: reference},
	}, nil
}
