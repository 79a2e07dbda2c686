package intake

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

func masked() mask {
	return newMask(&source.Source{Settings: source.Settings{
		Secrets: []connectors.Secret{connectors.NewSecret("topsecret"), connectors.NewSecret("topsecret-too")},
		Vars:    map[string]connectors.Secret{"api_key": connectors.NewSecret("varvalue"), "short": connectors.NewSecret("no")},
		Profile: &source.Profile{},
	}}, nil)
}

func TestMaskBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ contentType, body, want string }{
		{"application/json", `{"token":"a","score":3}`, `{"token":"[secret]","score":3}`},
		{"application/json", `{"Api_Key" : 123 , "x":[{"password":null}]}`, `{"Api_Key" : "[secret]" , "x":[{"password":"[secret]"}]}`},
		{"application/json", `{"token":"a\"b\\","c":"d"}`, `{"token":"[secret]","c":"d"}`},
		{"application/json", `{"token":"cut of`, `{"token":"[secret]"`},
		{"application/json", `{"tokens":{"a":"b"},"secret":["x"]}`, `{"tokens":{"a":"b"},"secret":["x"]}`},
		{"application/json", `{"feedback":"my token is \"secret\": yes"}`, `{"feedback":"my token is \"secret\": yes"}`},
		{"application/json", `{"a":"topsecret-too, topsecret, varvalue, no"}`, `{"a":"[secret], [secret], [secret], no"}`},
		{"application/json", `"token`, `"token`},
		{"application/json", `{"token":`, `{"token":`},
		{"application/json", `{"token":"a\`, `{"token":"[secret]"`},
		{"application/x-www-form-urlencoded; charset=utf-8", "a=1&HandshakeKey=x&token=&flag", "a=1&HandshakeKey=[secret]&token=[secret]&flag"},
		{"application/x-www-form-urlencoded", `{"token":"a","b":1}`, `{"token":"[secret]","b":1}`},
		{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\na\r\n--B--", "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n[secret]\r\n--B--"},
		{"text/plain", "topsecret", "[secret]"},
		{"", "", ""},
	} {
		if got := string(masked().body(head([]byte(c.body), 1<<20), []byte(c.contentType)).bytes); got != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add(`{"token":"a","x":topsecret}`, true)
	f.Add(`a=1&token=topsecret&`, false)
	f.Fuzz(func(t *testing.T, body string, isJSON bool) {
		contentType := "application/x-www-form-urlencoded"
		if isJSON {
			contentType = "application/json"
		}
		before := body
		got := string(masked().body(head([]byte(body), 1<<20), []byte(contentType)).bytes)
		if body != before {
			t.Error("the body was changed")
		}
		if strings.Contains(got, "varvalue") && !strings.Contains(strings.ReplaceAll(body, "varvalue", ""), "varv") {
			t.Errorf("%q keeps a secret: %q", body, got)
		}
		if utf8.ValidString(body) && !utf8.ValidString(got) {
			t.Errorf("%q is no text any more: %q", body, got)
		}
	})
}
