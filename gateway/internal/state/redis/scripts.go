package redis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

//go:embed scripts/*.lua
var sources embed.FS

var (
	appendScript  = script("append")
	claimScript   = script("claim")
	suspectScript = script("claimsuspect")
	routeScript   = script("route")
	strayScript   = script("stray")
	groupScript   = script("group")
	beatScript    = script("beat", "pace")
	tickScript    = script("tick", "pace")
	nowScript     = script("now")
	leaveScript   = script("leave")
	commitScript  = script("commit")
	changeScript  = script("change", "move")
	reviseScript  = script("revise", "move")
	repeatScript  = script("repeat")
	readyScript   = script("ready")
	leaseScript   = script("lease")
	unheardScript = script("unheard")
	holdScript    = script("hold")
	matchScript   = script("match")
	seekScript    = script("seek")
	trimScript    = script("trim", "retain")
	shedScript    = script("shed", "retain")
	countScript   = script("count")
	markScript    = script("mark")
	packScript    = script("pack")
	eldersScript  = script("elders")
	spreadScript  = script("spread")
	forgetScript  = script("forget")
	unrouteScript = script("unroute")
	destScript    = script("trimdest")
	weighScript   = script("weigh")
	buryScript    = script("bury")
	pardonScript  = script("pardon")
	namesScript   = script("names")
	endedScript   = script("ended")
	onceScript    = script("once")
	freeScript    = script("free")
	putScript     = script("put")
	keepScript    = script("keep")
	holderScript  = script("holder")
	healthScript  = script("health")
)

func source(name string) string {
	text, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// script puts the library, and what else a script shares with others, behind its first line, which says how Redis is to
// run it.
func script(name string, shared ...string) *goredis.Script {
	first, rest, _ := strings.Cut(source(name), "\n")
	parts := []string{first + "\n", source("lib")}
	for _, s := range shared {
		parts = append(parts, source(s))
	}
	return goredis.NewScript(strings.Join(append(parts, rest), ""))
}

// run calls a script on a shard's keys.
func (s *store) run(ctx context.Context, sc *goredis.Script, base string, args ...any) (any, error) {
	s.calls.Add(1)
	got, err := sc.Run(ctx, s.client, []string{base}, args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, s.fault(err)
	}
	return got, nil
}

// fault says what an error of Redis means to the store's callers: all but a few mean that it cannot be used now.
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

// lockedOut is for a start: a Redis that does not let us in is there, and waiting for it changes nothing.
func lockedOut(err error) error {
	var said goredis.Error
	if !errors.As(err, &said) {
		return err
	}
	for _, word := range [...]string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if strings.HasPrefix(said.Error(), word) {
			return fmt.Errorf("%w: look at the user and the password in its address, and at what Redis lets that user do", said)
		}
	}
	return err
}
