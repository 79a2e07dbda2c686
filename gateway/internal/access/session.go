package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// SessionFor is how long a session of a token lasts.
const SessionFor = 12 * time.Hour

// Session is what the cookie of a browser holds, sealed. It gives no more than the token or the link that it was made with gives at
// the time of a request: where that ended, the session ended too.
type Session struct {
	// Token is the SHA-256 of a token, in hex. Link is a portal link's id, and Tenant its tenant.
	Token  string `json:"token,omitempty"`
	Link   string `json:"link,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	// Expires is when it ends, in seconds since 1970.
	Expires int64 `json:"expires"`
	// Again is Link.Again of a portal link: the page says it that is shown in place of the portal when the session has ended.
	Again string `json:"again,omitempty"`
}

// Sessions seal and open cookies. All fields are required.
type Sessions struct {
	Vault *vault.Vault
	Clock clock.Clock
}

// NewSession returns the session of a token.
func (s *Sessions) NewSession(token []byte) *Session {
	sum := sha256.Sum256(token)
	return s.SessionOf(hex.EncodeToString(sum[:]))
}

// SessionOf returns the session of a token whose SHA-256 is given in hex.
func (s *Sessions) SessionOf(sum string) *Session {
	return &Session{Token: sum, Expires: s.Clock.Now().Add(SessionFor).Unix()}
}

// A cookie is sealed for this place, which no setting has.
const (
	cookieKind  = "session"
	cookieField = "cookie"
	againField  = "again"
)

// Seal returns the value of a session's cookie. vault.ErrNoKey: nothing can be sealed.
func (s *Sessions) Seal(session *Session) (string, error) {
	plain, err := json.Marshal(session)
	if err != nil {
		return "", fmt.Errorf("write a session: %w", err)
	}
	return s.Vault.SealOut(ofGateway, cookieKind, "", cookieField, plain)
}

// Open returns the session of a cookie; nil if it is none, or has ended. The token or link may have ended.
func (s *Sessions) Open(cookie string) *Session {
	session := s.unseal(cookie)
	if session == nil || s.Clock.Now().Unix() >= session.Expires {
		return nil
	}
	return session
}

func (s *Sessions) unseal(cookie string) *Session {
	if cookie == "" {
		return nil
	}
	plain, err := s.Vault.Open(ofGateway, cookieKind, "", cookieField, cookie)
	if err != nil {
		return nil
	}
	session := &Session{}
	if json.Unmarshal(plain, session) != nil {
		return nil
	}
	return session
}

// Again returns Again of the session of a cookie, which may have ended.
func (s *Sessions) Again(cookie string) string {
	if session := s.unseal(cookie); session != nil {
		return session.Again
	}
	return ""
}

// SealAgain seals an address for a browser that may keep no cookie: it comes back in the address of a page, which anybody can write.
func (s *Sessions) SealAgain(again string) (string, error) {
	return s.Vault.SealOut(ofGateway, cookieKind, "", againField, []byte(again))
}

// OpenAgain returns what SealAgain sealed; empty for any other text.
func (s *Sessions) OpenAgain(sealed string) string {
	plain, err := s.Vault.Open(ofGateway, cookieKind, "", againField, sealed)
	if err != nil {
		return ""
	}
	return string(plain)
}

// SessionGrant returns what a session of a token allows; nil where the token has ended.
func (a *Access) SessionGrant(s *Session) *Grant {
	sum, err := hex.DecodeString(s.Token)
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return a.GrantOf([sha256.Size]byte(sum))
}
