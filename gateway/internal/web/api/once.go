package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// What is kept for Idempotency-Key, per tenant: 256 lists of at most 64 answers, so a look-up is short and no
// caller can fill anything.
const (
	onceFor     = 24 * time.Hour
	onceEach    = 64
	onceMaxBody = 16 << 10
	onceMaxKey  = 255
)

// once answers a request that was seen before with what it was answered then.
type once struct {
	store state.Store
	log   *slog.Logger
	// locks keep two requests of one key apart within this process.
	locks [64]sync.Mutex
}

type onceAnswer struct {
	Key     string          `json:"key"`     // hash of caller and key
	Request string          `json:"request"` // hash of method, path and body
	Status  int             `json:"status"`
	Body    json.RawMessage `json:"body"`
}

func (o *once) serve(c *call, key string, do func() error) error {
	if len(key) > onceMaxKey {
		return answer.Invalid(fmt.Sprintf("an Idempotency-Key has at most %d characters", onceMaxKey), "Idempotency-Key")
	}
	sum := sha256.Sum256([]byte(c.grant.Name + "\x00" + key))
	name := hex.EncodeToString(sum[:16])
	list := "idempotency/" + name[:2]
	asked := sha256.New()
	asked.Write(c.Request().Header.Method())
	asked.Write([]byte{0})
	asked.Write(c.Request().RequestURI())
	asked.Write([]byte{0})
	asked.Write(c.Request().Body())
	request := hex.EncodeToString(asked.Sum(nil)[:16])

	lock := &o.locks[sum[0]%byte(len(o.locks))]
	lock.Lock()
	defer lock.Unlock()
	kept, err := o.store.Kept(c.ctx, c.tenant, list)
	if err != nil {
		return err
	}
	for _, item := range kept {
		var was onceAnswer
		if json.Unmarshal(item, &was) != nil || was.Key != name {
			continue
		}
		if was.Request != request {
			return answer.Clash("this Idempotency-Key was used for another request")
		}
		c.Set("Idempotency-Replayed", "true")
		return answer.Bytes(c.Ctx, was.Status, was.Body)
	}
	// A refusal changed nothing and is not kept: asking again may go better.
	if err := do(); err != nil {
		return err
	}
	body := c.Response().Body()
	if len(body) > onceMaxBody {
		return nil
	}
	item, err := json.Marshal(onceAnswer{Key: name, Request: request, Status: c.Response().StatusCode(), Body: bytes.Clone(body)})
	if err == nil {
		err = o.store.Keep(c.ctx, c.tenant, list, item, onceEach, onceFor)
	}
	if err != nil { // what was asked for is done, and saying otherwise would make it happen again
		o.log.Warn("answer to an idempotency key is not kept", "tenant", c.tenant, "err", err)
	}
	return nil
}
