package view

// Login is the body of a login.
type Login struct {
	Token string `json:"token"`
}

// Session is the answer to a login.
type Session struct {
	// Token is the name of the token that the session acts with.
	Token   string   `json:"token"`
	Tenant  string   `json:"tenant"`
	Scopes  []string `json:"scopes"`
	Expires Time     `json:"expires"`
}

// NewLoginLink is a login link to be made.
type NewLoginLink struct {
	// To is the page of the console that it opens, as `/console/deliveries?state=dead`; without it, the first.
	To string `json:"to,omitempty"`
}

// LoginLink is a link that opens the console once, signed in, with its URL, which is shown this once.
type LoginLink struct {
	URL string `json:"url"`
	// Token is the name of the token that the session acts with: the caller's, or `console` over the control socket.
	Token   string `json:"token"`
	Tenant  string `json:"tenant"`
	Expires Time   `json:"expires"`
}
