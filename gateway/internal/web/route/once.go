package route

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Answers are stored per tenant for Idempotency-Key, in 256 lists of at most 64 answers: a look-up is short, and the memory is
// bounded.
const (
	onceFor     = 24 * time.Hour
	onceEach    = 64
	onceMaxBody = 16 << 10
	onceMaxKey  = 255
)

// A request excludes others with the same key, on every replica, by a lease of the store, which it renews while it runs.
const (
	onceLease = 30 * time.Second // after a kill, the key is blocked for this long
	onceRenew = 10 * time.Second
	onceWait  = 2 * time.Second // how long another request with the key waits
	onceLook  = 20 * time.Millisecond
)

// Callers wait by the system's clock, which a test's clock must not change.
var wall = clock.System()

// once replays the stored answer for a repeated Idempotency-Key.
type once struct {
	store state.Store
	log   *slog.Logger
}

type onceAnswer struct {
	Key     string          `json:"key"`     // hash of caller and key
	Request string          `json:"request"` // hash of method, path and body
	Status  int             `json:"status"`
	Body    json.RawMessage `json:"body"`
	// Header are those of onceHeaders that the answer had; absent in what earlier versions kept.
	Header map[string]string `json:"header,omitempty"`
}

// onceHeaders are the headers that belong to an answer and not to the request that got it.
var onceHeaders = []string{fiber.HeaderETag, fiber.HeaderLocation}

func onceList(of string) string { return OnceLists + of }

// OnceLists is what the lists of answers for Idempotency-Key begin with.
const OnceLists = "idempotency/"

// AllOnceLists returns all of them.
func AllOnceLists() []string {
	all := make([]string, 256)
	for i := range all {
		all[i] = onceList(fmt.Sprintf("%02x", i))
	}
	return all
}

func (o *once) serve(c *Call, key string, do func() error) error {
	if len(key) > onceMaxKey {
		return answer.Invalid(fmt.Sprintf("an Idempotency-Key has at most %d characters", onceMaxKey), "Idempotency-Key")
	}
	caller := c.Grant.Name + "\x00" + key
	if former := c.guard.Tenants.Since(c.Tenant); !former.IsZero() { // the answers of a former tenant of the name are not its own
		caller += "\x00" + former.String()
	}
	sum := sha256.Sum256([]byte(caller))
	name := hex.EncodeToString(sum[:16])
	list := onceList(name[:2])
	asked := sha256.New()
	asked.Write(c.Request().Header.Method())
	asked.Write([]byte{0})
	asked.Write(c.Request().RequestURI())
	asked.Write([]byte{0})
	asked.Write(c.Request().Body())
	request := hex.EncodeToString(asked.Sum(nil)[:16])

	release, err := o.lease(c, key)
	if err != nil {
		return err
	}
	defer release()
	kept, err := o.store.Kept(c.Base, c.Tenant, list, 0, -1)
	if err != nil {
		return err
	}
	for _, item := range kept {
		var was onceAnswer
		if json.Unmarshal(item, &was) != nil || was.Key != name {
			continue
		}
		if was.Request != request {
			return answer.Conflict("this Idempotency-Key was used for another request")
		}
		c.Set("Idempotency-Replayed", "true")
		for _, header := range onceHeaders {
			if value := was.Header[header]; value != "" {
				c.Set(header, value)
			}
		}
		return answer.Bytes(c.Ctx, was.Status, was.Body)
	}
	// A refusal changed nothing and is not stored: the same request may succeed later.
	if err := do(); err != nil {
		return err
	}
	body := c.Response().Body()
	if c.Replay != nil {
		body = c.Replay
	}
	if len(body) > onceMaxBody {
		return nil
	}
	header := map[string]string{}
	for _, each := range onceHeaders {
		if value := c.GetRespHeader(each); value != "" {
			header[each] = value
		}
	}
	item, err := json.Marshal(onceAnswer{Key: name, Request: request, Status: c.Response().StatusCode(), Body: bytes.Clone(body), Header: header})
	if err == nil {
		err = o.store.Keep(c.Base, c.Tenant, list, item, onceEach, onceFor)
	}
	if err != nil { // the act is done; an error would make the caller repeat it
		o.log.Warn("answer to an idempotency key is not kept", "tenant", c.Tenant, "err", err)
	}
	return nil
}

// lease excludes all other requests with a key until release is called. Keys share 4,096 leases, because the record of a lease
// is never deleted.
func (o *once) lease(c *Call, key string) (release func(), err error) {
	sum := sha256.Sum256([]byte(c.Tenant + "\x00" + c.Grant.Name + "\x00" + key))
	name := "idempotency/" + hex.EncodeToString(sum[:2])[:3]
	holder := rand.Text()
	began := wall.Now()
	for {
		if _, err = o.store.Lease(c.Base, name, holder, onceLease); err == nil {
			break
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
		if wall.Now().Sub(began) > onceWait {
			return nil, answer.Conflict("a request with this Idempotency-Key is being worked on; ask again a little later")
		}
		if !pause(c.Base, onceLook) {
			return nil, c.Base.Err()
		}
	}
	working, done := context.WithCancel(c.Base)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for pause(working, onceRenew) {
			if _, err := o.store.Lease(working, name, holder, onceLease); err != nil && working.Err() == nil {
				o.log.Warn("cannot keep other requests of an idempotency key away", "tenant", c.Tenant, "err", err)
			}
		}
	})
	return func() {
		done()
		renewing.Wait()
		if _, err := o.store.Lease(c.Base, name, holder, 0); err != nil {
			o.log.Warn("cannot give an idempotency key back: requests of it are refused for a while", "tenant", c.Tenant, "for", onceLease, "err", err)
		}
	}, nil
}

// pause returns false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	after, stop := wall.After(d)
	defer stop()
	select {
	case <-after:
		return true
	case <-ctx.Done():
		return false
	}
}
