package outbound_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// notPublic are addresses that nobody may reach through us, in every form in which an answer of a resolver or a
// URL can hold them.
var notPublic = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "100.100.100.200",
	"127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254", "168.63.129.16", "172.16.0.1", "172.31.255.255",
	"192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
	"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fdff::1", "ff02::1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1",
	"2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2001::1", "2001:0:53aa:64c:0:7ffb:f5ff:fffe", "2001:2::1",
	"2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1",
}

var public = []string{
	"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0",
	"223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "64:ff9b::808:808", "::ffff:8.8.8.8",
}

func host(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]"
	}
	return addr
}

func TestCheckURLOfAddresses(t *testing.T) {
	t.Parallel()
	everything := outbound.Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	for _, addr := range notPublic {
		for _, form := range []string{"https://%s", "https://%s:8443/in"} {
			url := fmt.Sprintf(form, host(addr))
			err := outbound.CheckURL(url, outbound.Policy{}, true)
			if err == nil || !strings.Contains(err.Error(), "outbound.allow_addresses") {
				t.Errorf("%s from the file: %v", url, err)
			}
			err = outbound.CheckURL(url, everything, false)
			if err == nil || strings.Contains(err.Error(), "allow_addresses") {
				t.Errorf("%s through the API: %v", url, err)
			}
			if err := outbound.CheckURL(url, everything, true); err != nil {
				t.Errorf("%s, allowed: %v", url, err)
			}
			if err := outbound.CheckURL(strings.Replace(url, "https", "http", 1), everything, true); err != nil {
				t.Errorf("%s over http, allowed: %v", url, err)
			}
		}
	}
	for _, addr := range public {
		if err := outbound.CheckURL("https://"+host(addr), outbound.Policy{}, false); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if err := outbound.CheckURL("http://"+host(addr), outbound.Policy{}, true); err == nil {
			t.Errorf("%s over http is not refused", addr)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for url, c := range map[string]struct {
		policy outbound.Policy
		want   string
	}{
		"https://hook.example.com/in?x=1":     {outbound.Policy{}, ""},
		"https://hook.example.com.:8443":      {outbound.Policy{}, ""},
		"https://_x.example.com":              {outbound.Policy{}, ""},
		"https://xn--bcher-kva.example":       {outbound.Policy{}, ""},
		"HTTPS://hook.example.com":            {outbound.Policy{}, ""},
		"http://hook.example.com":             {outbound.Policy{}, "plain http is not allowed: use https, or set outbound.allow_http: true"},
		"http://hook.example.com/2":           {outbound.Policy{AllowHTTP: true}, ""},
		"http://127.0.0.1:9000":               {loopback, ""},
		"http://localhost:9000":               {loopback, ""},
		"http://127.0.0.1:9001":               {outbound.Policy{AllowHTTP: true}, "`127.0.0.1` is a loopback address: name its network in outbound.allow_addresses"},
		"https://localhost":                   {outbound.Policy{}, "`localhost` is a loopback address: name its network in outbound.allow_addresses"},
		"https://a.LOCALHOST.":                {outbound.Policy{}, "`a.LOCALHOST.` is a loopback address: name its network in outbound.allow_addresses"},
		"https://169.254.169.254/latest":      {outbound.Policy{}, "`169.254.169.254` is a cloud's metadata service: name its network in outbound.allow_addresses"},
		"https://jo:hush@hook.example.com":    {outbound.Policy{}, "the URL holds a user or password: send credentials in a header instead"},
		"https://@hook.example.com":           {outbound.Policy{}, "the URL holds a user or password: send credentials in a header instead"},
		"https://hook.example.com/#hush":      {outbound.Policy{}, "the URL has a fragment: take away what begins with #"},
		"ftp://hook.example.com/hush":         {outbound.Policy{}, "the URL does not begin with https://: write it as https://host/path"},
		"hook.example.com/hush":               {outbound.Policy{}, "the URL does not begin with https://: write it as https://host/path"},
		"https:hook.example.com":              {outbound.Policy{}, "the URL has no host: write it as https://host/path"},
		"https:///hush":                       {outbound.Policy{}, "the URL has no host: write it as https://host/path"},
		"https://hook.example.com:":           {outbound.Policy{}, "the URL's port is empty: take away the colon"},
		"https://hook.example.com:0":          {outbound.Policy{}, "`0` is not a port: write a number from 1 to 65535"},
		"https://hook.example.com:99999/hush": {outbound.Policy{}, "`99999` is not a port: write a number from 1 to 65535"},
		"https://hook.example.com:65535":      {outbound.Policy{}, ""},
		"https://[fe80::1%25eth0]/":           {loopback, "the address has a zone: take away what begins with %"},
		"https://ho ok/hush":                  {outbound.Policy{}, "the URL cannot be read: write it as https://host/path"},
		"https://bücher.example":              {outbound.Policy{}, "the host has characters that no name has: write international names in their xn-- form"},
		"https://2130706433/":                 {loopback, "`2130706433` is neither a name nor an address: write the address as four decimal numbers"},
		"https://0x7f000001/":                 {loopback, "`0x7f000001` is neither a name nor an address: write the address as four decimal numbers"},
		"https://0x7f.1/":                     {loopback, "`0x7f.1` is neither a name nor an address: write the address as four decimal numbers"},
		"https://0177.0.0.1/":                 {loopback, "`0177.0.0.1` is neither a name nor an address: write the address as four decimal numbers"},
		"https://127.1/":                      {loopback, "`127.1` is neither a name nor an address: write the address as four decimal numbers"},
		"https://127.0.0.1./":                 {loopback, "`127.0.0.1.` is neither a name nor an address: write the address as four decimal numbers"},
		"https://a.0xA9FEA9FE/":               {loopback, "`a.0xA9FEA9FE` is neither a name nor an address: write the address as four decimal numbers"},
		"https://" + strings.Repeat("a", 254): {loopback, "the URL has no usable host: write it as https://host/path"},
	} {
		got := ""
		err := outbound.CheckURL(url, c.policy, true)
		if err != nil {
			got = err.Error()
			var e *outbound.URLError
			if !errors.As(err, &e) || e.Message == "" || e.Remedy == "" {
				t.Errorf("%s: %#v", url, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", url, got, c.want)
		}
		if strings.Contains(got, "hush") {
			t.Errorf("%s: the error repeats it", url)
		}
	}
}

// TestGuardOnResolvedAddresses lets a resolver answer with addresses that are not public: no connection is made.
func TestGuardOnResolvedAddresses(t *testing.T) {
	names := map[string][]netip.Addr{}
	for i, addr := range notPublic {
		names[fmt.Sprintf("n%d.example", i)] = []netip.Addr{netip.MustParseAddr(addr)}
	}
	all := make([]netip.Addr, 0, 4)
	for _, addr := range []string{"10.0.0.1", "127.0.0.1", "::1", "169.254.169.254"} {
		all = append(all, netip.MustParseAddr(addr))
	}
	names["all.example"] = all
	both(t, func(t *testing.T, by outbound.Transport) {
		s := sender(t, outbound.Options{Policy: loopback, Resolver: resolver(t, names)})
		a := trusted(by)
		a.Trusted = false
		for name, addrs := range names {
			for _, scheme := range []string{"https", "http"} {
				if scheme == "http" {
					// Said before anything is looked up.
					if res := s.Send(context.Background(), post("http://"+name), a); res.Kind != outbound.Refused {
						t.Errorf("http: %s %v", res.Kind, res.Err)
					}
					continue
				}
				res := s.Send(context.Background(), post("https://"+name), a)
				if res.Kind != outbound.Refused || res.Err.Error() != "the host's address is not public" || res.Reached {
					t.Errorf("%v: %s %v", addrs, res.Kind, res.Err)
				}
			}
		}
	})
}

// TestTrustIsNotShared sends to one host from a destination of the file and from one of the API: the second must not
// ride on the first one's connection.
func TestTrustIsNotShared(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		p := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://"), ":")
		policy := loopback
		policy.AllowHTTP = true
		s := sender(t, outbound.Options{Policy: policy, Resolver: resolver(t, map[string][]netip.Addr{"hook.example": local})})
		url := "http://hook.example:" + port
		if res := s.Send(context.Background(), post(url), trusted(by)); res.Kind != outbound.Answered {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
		a := trusted(by)
		a.Trusted = false
		if res := s.Send(context.Background(), post(url), a); res.Kind != outbound.Refused {
			t.Errorf("through the API: %s %v", res.Kind, res.Err)
		}
		if res := s.Send(context.Background(), post(p.url), a); res.Kind != outbound.Refused {
			t.Errorf("by address: %s %v", res.Kind, res.Err)
		}
		// A policy that allows less counts from the next request on, also for connections that are kept.
		s.SetPolicy(outbound.Policy{AllowHTTP: true})
		res := s.Send(context.Background(), post(url), trusted(by))
		if res.Kind != outbound.Refused || res.Err.Error() != "127.0.0.1 is a loopback address; outbound.allow_addresses does not name it" {
			t.Errorf("after the change: %s %v", res.Kind, res.Err)
		}
		if n, _ := p.count(); n != 1 {
			t.Errorf("%d requests arrived, want 1", n)
		}
	})
}

// TestPlainHTTPOfNames: without allow_http a name may be reached over http only where its address is allowed, and
// a policy for names does not exist, so that it is refused beforehand.
func TestPlainHTTP(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		p := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		s := sender(t, outbound.Options{Policy: loopback, Resolver: resolver(t, map[string][]netip.Addr{"hook.example": local})})
		_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://"), ":")
		if res := s.Send(context.Background(), post("http://hook.example:"+port), trusted(by)); res.Kind != outbound.Refused {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
		if res := s.Send(context.Background(), post("http://localhost:"+port), trusted(by)); res.Kind != outbound.Answered {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
}

// TestProxy sends everything through a proxy, on whatever transport; literal addresses are still checked.
func TestProxy(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		seen := make(chan string, 8)
		proxy := listen(t, func(_ *peer, c net.Conn, _ int) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			seen <- req.Method + " " + req.RequestURI + " " + req.Header.Get("Proxy-Authorization")
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		policy := outbound.Policy{AllowHTTP: true, Proxy: connectors.NewSecret(strings.Replace(proxy.url, "//", "//jo:hush@", 1))}
		if err := policy.Check(); err != nil {
			t.Fatal(err)
		}
		s := sender(t, outbound.Options{Policy: policy})
		res := s.Send(context.Background(), post("http://hook.example/in"), trusted(by))
		if res.Kind != outbound.Answered || res.Response.Status != 403 {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
		if got := <-seen; got != "POST http://hook.example/in Basic am86aHVzaA==" {
			t.Errorf("the proxy saw %s", got)
		}
		res = s.Send(context.Background(), post("https://hook.example/in"), trusted(by))
		if res.Kind == outbound.Answered || res.Reached || strings.Contains(res.Err.Error(), "hush") {
			t.Errorf("%s %v, reached %t", res.Kind, res.Err, res.Reached)
		}
		if got := <-seen; got != "CONNECT hook.example:443 Basic am86aHVzaA==" {
			t.Errorf("the proxy saw %s", got)
		}
		if res := s.Send(context.Background(), post("https://10.0.0.1/in"), trusted(by)); res.Kind != outbound.Refused {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
	for _, text := range []string{"proxy.example:3128", "ftp://proxy.example", "http://", "http://%zz:hush@x", "http://jo:hush@proxy.example:0"} {
		err := outbound.Policy{Proxy: connectors.NewSecret(text)}.Check()
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("proxy %s: %v", text, err)
		}
	}
}
