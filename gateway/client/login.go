package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// LoginLink is a link that opens the console once, signed in.
type LoginLink = view.LoginLink

// LoginLink makes a link that opens a page of the console once, signed in with the client's token or, over the control socket, with the
// tenant's token `console`. Without a page it opens the first.
func (c *Client) LoginLink(ctx context.Context, to string) (*LoginLink, error) {
	body, err := json.Marshal(view.NewLoginLink{To: to})
	if err != nil {
		return nil, err
	}
	link := &LoginLink{}
	return link, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/login-links", Body: body, ContentType: "application/json", Into: link})
}
