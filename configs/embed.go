// Package configs holds what ships inside the program as data: the profiles of the survey platforms.
package configs

import "embed"

// Sources are the built-in profiles, one file for each platform.
//
//go:embed sources/*.yaml
var Sources embed.FS
