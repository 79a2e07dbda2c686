package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
)

//go:embed assets/*.js assets/*.css
var assetFiles embed.FS

// styleFiles are the parts of the one style sheet, in the order of their names.
//
//go:embed style/*.css
var styleFiles embed.FS

//go:embed parts/*.html common/*.html
var partFiles embed.FS

// assets are files that never change under their names, which have a part of their hash.
type assets struct {
	// names are those in addresses, by the names of the files.
	names map[string]string
	files map[string]asset
}

type asset struct {
	kind         string
	whole, small []byte // small is compressed with gzip
}

var allAssets = sync.OnceValue(func() *assets {
	a := &assets{names: map[string]string{}, files: map[string]asset{}}
	list, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the binary
	}
	for _, file := range list {
		body, err := assetFiles.ReadFile("assets/" + file.Name())
		if err != nil {
			panic(err)
		}
		kind := "text/javascript; charset=utf-8"
		if path.Ext(file.Name()) == ".css" {
			kind = "text/css; charset=utf-8"
		}
		a.add(file.Name(), kind, body)
	}
	parts, err := fs.Glob(styleFiles, "style/*.css")
	if err != nil {
		panic(err)
	}
	var style []byte
	for _, name := range parts {
		part, err := styleFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		style = append(style, part...)
	}
	a.add("style.css", "text/css; charset=utf-8", style)
	return a
})

func (a *assets) add(name, kind string, body []byte) {
	sum := sha256.Sum256(body)
	extension := path.Ext(name)
	hashed := strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:6]) + extension
	a.names[name] = hashed
	a.files[hashed] = asset{kind: kind, whole: body, small: compressed(body)}
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

func (a *assets) serve(c *fiber.Ctx) error {
	file, ok := a.files[c.Params("file")]
	if !ok {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderContentType, file.kind)
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if c.Request().Header.HasAcceptEncoding("gzip") {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(file.small)
	}
	return c.Send(file.whole)
}
