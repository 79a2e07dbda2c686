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
