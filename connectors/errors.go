package connectors

// Skipped is the error of a Build that has nothing to send for an event. It is not a failure.
type Skipped struct{ Reason string }

func (s *Skipped) Error() string { return s.Reason }

// Skip returns a *Skipped error: `return nil, connectors.Skip("no e-mail")`. The reason is recorded with the delivery.
func Skip(reason string) error { return &Skipped{Reason: reason} }

// UnusableError is the error of a Build that cannot make any request with the connection's credentials.
type UnusableError struct{ Reason string }

func (e *UnusableError) Error() string { return e.Reason }

// Unusable returns an *UnusableError: `return nil, connectors.Unusable("the key names no data centre")`. The connection
// pauses, and its events wait until the credentials change. The reason must not quote the credentials.
func Unusable(reason string) error { return &UnusableError{Reason: reason} }

// InvalidError is a fault of one setting.
type InvalidError struct {
	// Setting is the setting's name in YAML.
	Setting string
	// Reason says what is wrong, and what to write instead.
	Reason string
}

func (e *InvalidError) Error() string { return e.Setting + ": " + e.Reason }

// Invalid returns an *InvalidError, for Validate.
func Invalid(setting, reason string) error { return &InvalidError{Setting: setting, Reason: reason} }
