// Package configs holds what ships inside the program as data: the profiles of the survey platforms, and the description of the API.
package configs

import "embed"

// OpenAPI is the description of the API: an OpenAPI 3.1 document. It is derived by `make docs`.
//
//go:embed openapi.json
var OpenAPI []byte

// Sources are the built-in profiles, one file for each platform.
//
//go:embed sources/*.yaml
var Sources embed.FS

// Reference is a configuration with every setting, in comments. It is derived by `make docs`.
//
//go:embed surveygate.yaml
var Reference string
