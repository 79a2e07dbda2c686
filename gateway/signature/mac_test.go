package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// BenchmarkHMAC shows what keeping keyed hashes is worth against making one for each signature.
func BenchmarkHMAC(b *testing.B) {
	secret, body := []byte("pollqr-test-secret"), bytes.Repeat([]byte("x"), 700)
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k, err := keys.find(sha256Hash, keyText, "pollqr-test-secret")
			if err != nil {
				b.Fatal(err)
			}
			m := k.take()
			m.write(signedBody, "", "", body)
			_ = m.sum()
			k.put(m)
		}
	})
	b.Run("made", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h := hmac.New(sha256.New, secret)
			_, _ = h.Write(body)
			_ = h.Sum(nil)
		}
	})
}

// TestKeyringIsBounded fills it: what a gateway forgets it makes again.
func TestKeyringIsBounded(t *testing.T) {
	t.Parallel()
	r := &keyring{keys: make(map[keyName]*key)}
	for i := range maxKeys + 10 {
		if _, err := r.find(sha256Hash, keyText, string(rune('a'+i%26))+string(rune(0x4e00+i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.keys); n > maxKeys {
		t.Errorf("%d keys are remembered", n)
	}
	if _, err := r.find(sha256Hash, keyText, ""); err == nil {
		t.Error("an empty secret is a key")
	}
}
