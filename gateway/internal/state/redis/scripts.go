package redis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

//go:embed scripts/*.lua
var sources embed.FS

var (
	appendScript        = newScript[appendArgs]("append")
	claimScript         = newScript[claimArgs]("claim")
	suspectScript       = newScript[holderArgs]("claimsuspect")
	routeScript         = newScript[routeArgs]("route")
	ackForeignScript    = newScript[ackForeignArgs]("ackforeign")
	groupScript         = newScript[noArgs]("group")
	beatScript          = newScript[beatArgs]("beat", "pace")
	tickScript          = newScript[tickArgs]("tick", "pace")
	nowScript           = newScript[noArgs]("now")
	leaveScript         = newScript[holderArgs]("leave")
	commitScript        = newScript[commitArgs]("commit")
	changeScript        = newScript[changeArgs]("change", "move")
	reviseScript        = newScript[reviseArgs]("revise", "move")
	eraseScript         = newScript[eraseArgs]("erase", "move")
	eraseTextsScript    = newScript[eraseTextsArgs]("erasetexts")
	rewriteScript       = newScript[rewriteArgs]("rewrite")
	repeatScript        = newScript[repeatArgs]("repeat")
	readyScript         = newScript[readyArgs]("ready")
	leaseScript         = newScript[leaseArgs]("lease")
	releaseLostScript   = newScript[releaseLostArgs]("releaselost")
	holdScript          = newScript[holdArgs]("hold", "otherhold")
	forgetScript        = newScript[forgetArgs]("forget", "otherhold")
	matchScript         = newScript[matchArgs]("match")
	seekScript          = newScript[seekArgs]("seek")
	trimScript          = newScript[trimArgs]("trim", "retain")
	trimSharesScript    = newScript[trimSharesArgs]("trimshares", "retain")
	countScript         = newScript[countArgs]("count")
	setFieldScript      = newScript[setFieldArgs]("setfield")
	compactScript       = newScript[compactArgs]("compact")
	formerHoldersScript = newScript[formerHoldersArgs]("formerholders")
	splitIDsScript      = newScript[splitIDsArgs]("splitids")
	trimIDsScript       = newScript[trimIDsArgs]("trimids")
	trimRoutesScript    = newScript[trimRoutesArgs]("trimroutes")
	listEndsScript      = newScript[listEndsArgs]("listends")
	destScript          = newScript[destArgs]("trimdest")
	trimHoldsScript     = newScript[trimHoldsArgs]("trimholds")
	estimateDeadScript  = newScript[estimateDeadArgs]("estimatedead")
	dropDeadScript      = newScript[dropDeadArgs]("dropdead")
	dropEventScript     = newScript[dropEventArgs]("dropevent")
	namesScript         = newScript[namesArgs]("names")
	dropEventsScript    = newScript[dropEventsArgs]("dropevents")
	onceScript          = newScript[onceArgs]("once")
	freeKeysScript      = newScript[freeKeysArgs]("freekeys")
	putScript           = newScript[putArgs]("put", "setting")
	addToListScript     = newScript[addToListArgs]("addtolist", "list")
	writeAllScript      = newScript[writeAllArgs]("writeall", "setting", "list")
	keptScript          = newScript[keptArgs]("kept")
	leaseNameScript     = newScript[leaseNameArgs]("leasename")
	setCountsScript     = newScript[setCountsArgs]("setcounts")
	dropCountsScript    = newScript[dropCountsArgs]("dropcounts")
	formerStatsScript   = newScript[formerStatsArgs]("formerstats")
	orderScript         = newScript[orderArgs]("order")
	orderListsScript    = newScript[orderListsArgs]("orderlists")
	orderedScript       = newScript[orderedArgs]("ordered")
	newestScript        = newScript[newestArgs]("newest")
	healthScript        = newScript[noArgs]("health")
)

// script is a Lua script that takes the arguments A.
type script[A any] struct{ lua *goredis.Script }

// declared is a script as TestScriptArguments checks it.
type declared struct {
	name, lua string // lua is without the library
	args      reflect.Type
}

var allScripts []declared

func source(name string) string {
	text, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// newScript puts the library, and the files that a script shares with others, behind the script's first line, which tells
// Redis how to run it.
func newScript[A any](name string, shared ...string) *script[A] {
	first, rest, _ := strings.Cut(source(name), "\n")
	var own strings.Builder
	for _, s := range shared {
		own.WriteString(source(s))
	}
	own.WriteString(rest)
	allScripts = append(allScripts, declared{name, own.String(), reflect.TypeFor[A]()})
	return &script[A]{goredis.NewScript(first + "\n" + source("lib") + own.String())}
}

// run calls the script on the keys that begin with base. The time is its first argument.
func (sc *script[A]) run(ctx context.Context, s *store, base string, args A) (any, error) {
	s.calls.Add(1)
	got, err := sc.call(ctx, s, base, args).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, s.fault(err)
	}
	return got, nil
}

func (sc *script[A]) call(ctx context.Context, s *store, base string, args A) *goredis.Cmd {
	return sc.lua.Run(ctx, s.client, []string{base}, pack(append(make([]any, 0, 32), s.now()), reflect.ValueOf(&args))...)
}

// fault maps an error of Redis to an error of the store: most mean that the store is unavailable.
func (s *store) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, goredis.ErrClosed) || s.ended():
		return state.ErrClosed
	case errors.Is(err, context.Canceled):
		return err
	}
	text := err.Error()
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", state.ErrUnavailable, err)
	}
	for _, word := range [...]string{
		"OOM", "READONLY", "MISCONF", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY",
		"NOAUTH", "WRONGPASS", "NOPERM", "max number of clients", "connection", "pool", "sentinel", "redis: all",
	} {
		if strings.Contains(text, word) {
			return fmt.Errorf("%w: %w", state.ErrUnavailable, err)
		}
	}
	return err
}

// explainDenied adds advice to an error that says that Redis refuses the user, for which a start need not wait.
func explainDenied(err error) error {
	var said goredis.Error
	if !errors.As(err, &said) {
		return err
	}
	for _, word := range [...]string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if strings.HasPrefix(said.Error(), word) {
			return fmt.Errorf("%w: check the user and the password in its address, and the permissions of that user in Redis", said)
		}
	}
	return err
}
