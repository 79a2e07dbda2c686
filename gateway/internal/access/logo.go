package access

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// maxLogo bounds the image of a portal link, which every page of the portal reads.
const maxLogo = 16 << 10

// logoTypes are the types of images that a portal shows, with what their files begin with. An SVG may hold scripts.
var logoTypes = map[string]func(image []byte) bool{
	"image/png":  func(image []byte) bool { return bytes.HasPrefix(image, []byte("\x89PNG\r\n\x1a\n")) },
	"image/jpeg": func(image []byte) bool { return bytes.HasPrefix(image, []byte("\xff\xd8\xff")) },
	"image/webp": func(image []byte) bool {
		return len(image) > 12 && string(image[:4]) == "RIFF" && string(image[8:12]) == "WEBP"
	},
}

// IsLogo reports whether a text is the data URL of an image that a portal shows.
func IsLogo(text string) bool {
	kind, _ := LogoOf(text)
	return kind != ""
}

// LogoOf returns the type and the bytes of an image in a data URL; kind is empty where it is none that a portal shows.
func LogoOf(text string) (kind string, image []byte) {
	kind, encoded, ok := strings.Cut(strings.TrimPrefix(text, "data:"), ";base64,")
	is := logoTypes[kind]
	if !ok || !strings.HasPrefix(text, "data:") || is == nil || strings.ContainsAny(encoded, "\r\n") || // which the decoder would skip
		base64.StdEncoding.DecodedLen(len(encoded)) > maxLogo+2 {
		return "", nil
	}
	image, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(image) > maxLogo || !is(image) {
		return "", nil
	}
	return kind, image
}
