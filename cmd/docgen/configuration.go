package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
)

// rooms are where the types of a configuration are declared, by package name; every other is a product.
var rooms = map[string]string{
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
		room, name, _ := strings.Cut(typeName, ".")
		path, ok := rooms[room]
		if !ok {
			path = "connectors/" + room
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
	reference, err := writeReference(schema)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return []file{
		{path: "configs/schema.json", text: append(schema, '\n')},
		{path: "configs/surveygate.yaml", text: reference},
	}, nil
}
