package connectors

import "testing"

// A credential that may not erase anybody may be good for all other deliveries.
func TestJudgeForget(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		want   Kind
	}{{401, Revoked}, {403, Rejected}, {404, Rejected}, {429, Retry}, {500, Retry}} {
		res := &Response{Status: row.status, To: Delete("x").Forgetting()}
		if v := JudgeForget(res, ByStatus(res)); v.Kind != row.want || !res.Forgets() {
			t.Errorf("%d: %v", row.status, v)
		}
	}
	cause, ok := CauseOf("", JudgeForget(&Response{Status: 403}, Revoke("403 Forbidden")).Reason)
	if !ok || cause.Kind != Rejected || cause.Fix != FixProduct {
		t.Errorf("got %+v", cause)
	}
}
