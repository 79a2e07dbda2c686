package connectors

import (
	"errors"
	"net/url"
	"strings"
)

// chatHosts are hosts of webhooks that belong to one chat product. Hosts of workflows that may pass messages on to another
// product are absent.
var chatHosts = []struct{ host, product, connector string }{
	{"slack.com", "Slack", "slack"},
	{"discord.com", "Discord", "discord"},
	{"discordapp.com", "Discord", "discord"},
	{"office.com", "Teams", "teams"},
	{"teams.microsoft.com", "Teams", "teams"},
	{"chat.googleapis.com", "Google Chat", ""},
}

// CheckWebhook is like CheckAddress for the webhook of a chat product, and also refuses the address of another one, which would
// refuse the messages, or accept them and show nothing.
func CheckWebhook(s Secret, product string) error {
	if err := CheckAddress(s); err != nil {
		return err
	}
	u, err := url.Parse(s.reveal())
	if err != nil {
		return errNoURL
	}
	for _, known := range chatHosts {
		host := s.Host()
		switch {
		case host != known.host && !strings.HasSuffix(host, "."+known.host) || known.product == product:
		case strings.HasSuffix(u.Path, "/"+strings.ToLower(product)): // Discord's webhooks take Slack's messages there
		case known.connector == "":
			return errors.New("is an address of " + known.product + "; copy the URL of a webhook that was made in " + product)
		default:
			return errors.New("is an address of " + known.product + "; copy the URL of a webhook that was made in " + product +
				", or write a connection of the product `" + known.connector + "`")
		}
	}
	return nil
}
