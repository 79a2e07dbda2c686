package outbound_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/signature"
)

const bodySize = 700

// BenchmarkSend sends signed bodies of 700 bytes to a bare receiver in the same process, 64 at once, by both transports.
func BenchmarkSend(b *testing.B) {
	p := listen(b, func(_ *peer, c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for {
			for { // the header, up to its empty line
				line, err := br.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := br.Discard(bodySize); err != nil {
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
	})
	body := []byte(`{"event":"response.completed","data":"` + strings.Repeat("x", bodySize-40) + `"}`)
	if len(body) != bodySize {
		b.Fatalf("the body has %d bytes", len(body))
	}
	secret := signature.NewSecret()
	s := outbound.New(outbound.Options{Policy: loopback})
	defer s.Close()
	for _, c := range []struct {
		name   string
		by     outbound.Transport
		secret bool // the address is a secret too
	}{{"fast", outbound.Fast, false}, {"std", outbound.Std, false}, {"secret-address", outbound.Fast, true}} {
		by := c.by
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			ctx := b.Context()
			b.RunParallel(func(pb *testing.PB) {
				req := connectors.Post(p.url+"/in", body).As(connectors.SignedAuth{Secrets: []connectors.Secret{secret}})
				if c.secret {
					req.URL, req.Address = "", connectors.NewSecret(p.url+"/hooks/catch/1234567/abcdefgh?sig=0123456789abcdef")
				}
				a := trusted(by)
				a.Destination = "wh"
				for pb.Next() {
					if res := s.Send(ctx, req, a); res.Kind != outbound.Answered || res.Response.Status != 200 {
						b.Errorf("%s %v", res.Kind, res.Err)
						return
					}
				}
			})
		})
	}
}
