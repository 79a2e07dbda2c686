package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// productWebhook is the connector of webhooks.
const productWebhook = "webhook"

// destination is a connection or webhook during a load.
type destination struct {
	*Destination
	key *document.Node // where its name is written
	// settings are the product's settings as written in the file.
	settings *document.Node
	// alone is the connector without the settings of a step; nil if it has faults.
	alone connectors.Connector
	// bound is the connector as it was bound, with or without faults.
	bound connectors.Connector
	// subscription is set for webhooks.
	subscription *webhookSettings
	named        bool // reports whether a rule names it
}

// origin returns a destination without settings. One of a file is trusted because files are the operator's, who also writes
// outbound.allow_addresses: whoever can write the one can write the other. A destination from any other origin must not be.
func (l *loader) origin(item Item) *Destination {
	return &Destination{Item: item, Trusted: l.base == nil}
}

func (l *loader) addConnections(f *fileSettings) {
	for _, e := range f.Connections {
		if l.enough() {
			return
		}
		s := e.Value
		l.named(e.Key, "connection")
		d := &destination{
			key:         e.Key,
			Destination: l.origin(Item{Tenant: l.owner(f, s.Tenant), Name: e.Name, At: e.Key.At, Sum: l.sum(s.Node)}),
		}
		if !l.register(d, "connection") || s.Node == nil || s.Node.Kind != document.Mapping {
			continue
		}
		product := l.product(e)
		if product == nil {
			continue
		}
		d.Product, d.settings = product.Name, product.Node
		l.write(&d.Item, kindConnection, s.Node)
		connector, _ := connectors.New(d.Product)
		l.connect(d, connector) // before delivery, because a product's limits may depend on its settings
		l.delivery(d, e.Node, s.deliverySettings, "", connector)
		l.tls(d, e.Node.Key("tls"), connector)
	}
}

// register adds a destination under its name. If the name is taken, it adds a fault and returns false.
func (l *loader) register(d *destination, what string) bool {
	l.nameOfFile(d)
	at := target{d.Tenant, d.Name}
	if first := l.destinations[at]; first != nil {
		if first.subscription != nil || what == productWebhook {
			what = "destination"
		}
		l.twice(d.key, first.key, what, at)
		return false
	}
	l.destinations[at] = d
	l.config.Destinations = append(l.config.Destinations, d.Destination)
	return true
}

// products returns the connectors that are not an action of another.
func products() []string {
	return slices.DeleteFunc(connectors.Names(), func(name string) bool { return strings.Contains(name, ".") })
}

// product returns the key of a connection that names its product: the only one that is not a delivery setting.
func (l *loader) product(e document.Entry[connectionSettings]) *document.Entry[*document.Node] {
	known := products()
	var found *document.Entry[*document.Node]
	for i, p := range e.Value.Product {
		switch {
		case strings.Contains(p.Name, ".") && slices.Contains(connectors.Names(), p.Name):
			document.Pair{Key: p.Key, Value: p.Node}.Conceal()
			product, action, _ := strings.Cut(p.Name, ".")
			l.fault(p.Key.Fault(fmt.Sprintf("`%s` is an action, but a connection needs a product", p.Name),
				fmt.Sprintf("write %s: here, and %s.%s: under send in the rule", product, e.Name, action)))
			return nil
		case !slices.Contains(known, p.Name):
			document.Pair{Key: p.Key, Value: p.Node}.Conceal()
			delivery := document.Names(document.Fields(reflect.TypeFor[deliverySettings]()))
			remedy := "products: " + strings.Join(known, ", ")
			if nearest := event.Nearest(p.Name, append(slices.Clone(known), delivery...)); nearest != "" {
				remedy = "did you mean " + nearest + "? " + remedy
			}
			message := fmt.Sprintf("`%s` is not a known product", p.Name)
			if owners, example := l.settingOf(p.Name); owners != "" {
				remedy = fmt.Sprintf("it is a setting of %s: write %s: {%s: …}", owners, example, p.Name)
			}
			l.fault(p.Key.Fault(message, remedy))
			return nil
		case p.Value.Kind == document.Scalar:
			document.Pair{Key: p.Key, Value: p.Node}.Conceal()
			remedy := fmt.Sprintf("write %s: and its settings below", p.Name)
			if owners, example := l.settingOf(p.Name); owners != "" {
				remedy = fmt.Sprintf("did you mean the setting of %s? Write %s: {%s: …}", owners, example, p.Name)
			}
			l.fault(p.Key.Fault(fmt.Sprintf("`%s` is a product, but has a value instead of settings", p.Name), remedy))
			return nil
		case found != nil:
			document.Pair{Key: found.Key, Value: found.Node}.Conceal()
			document.Pair{Key: p.Key, Value: p.Node}.Conceal()
			l.fault(p.Key.Fault(fmt.Sprintf("a connection has one product, and this one has `%s` already", found.Name), "make it a separate connection with its own name"))
			return nil
		}
		found = &e.Value.Product[i]
	}
	if found == nil {
		l.fault(e.Key.Fault(fmt.Sprintf("the connection `%s` names no product", e.Name), "add one with its settings: "+strings.Join(known, ", ")))
	}
	return found
}

// maxOwners is how many products settingOf names; a setting of more of them says too little about the one that was meant.
const maxOwners = 3

// settingOf returns the products that have a setting of this name, in words (`discord or slack`), and how to write it: the
// product's name if there is one, `PRODUCT` if there are several. Both are empty for a setting of more than maxOwners products.
func (l *loader) settingOf(name string) (owners, example string) {
	var found []string
	for _, product := range products() {
		c, _ := connectors.New(product)
		if slices.Contains(document.Names(document.Fields(reflect.TypeOf(c).Elem())), name) && product != productWebhook {
			found = append(found, product)
		}
	}
	switch n := len(found); {
	case n == 1:
		return found[0], found[0]
	case n > 1 && n <= maxOwners:
		return strings.Join(found[:n-1], ", ") + " or " + found[n-1], "PRODUCT"
	}
	return "", ""
}

// delivery applies the settings that connections and webhooks share.
func (l *loader) delivery(d *destination, n *document.Node, s deliverySettings, preset webhook.PresetName, connector connectors.Connector) {
	d.Enabled, d.CaptureAll = enabled(s.Enabled), s.Capture == "all"
	if d.Transport = s.Transport; d.Transport == "" {
		d.Transport = outbound.Std // products speak HTTP/2, over one connection for many requests
		if d.subscription != nil {
			d.Transport = outbound.Fast
		}
	}
	if preset == "" {
		preset = "standard"
	}
	if s.Retry.preset != "" {
		preset = s.Retry.preset
	}
	table := webhook.Presets[preset]
	// A preset's Only200 applies to webhooks alone. A connector judges its product's answers, which may be 204.
	_, receiver := connector.(*webhook.Connector)
	d.Retry, d.Timeout = Retry{Waits: table.Retry, Only200: table.Only200 && receiver}, table.Timeout
	if s.Retry.set && s.Retry.preset == "" {
		d.Retry.Waits = s.Retry.waits
	}
	if at := n.Key("timeout"); at != nil && !at.Unset && !l.hasFault(at) {
		if d.Timeout = s.Timeout; s.Timeout < 100*time.Millisecond || s.Timeout > 5*time.Minute {
			l.fault(at.Fault(fmt.Sprintf("the timeout %s is out of range", s.Timeout), "write 100ms to 5m"))
		}
	}
	d.Concurrency = DefaultConcurrency
	if narrow, ok := connector.(connectors.ConcurrencyLimiter); ok {
		d.Concurrency = narrow.Concurrency()
	}
	if at := n.Key("concurrency"); at != nil && !at.Unset && !l.hasFault(at) {
		if d.Concurrency = s.Concurrency; s.Concurrency < 1 || s.Concurrency > 1000 {
			l.fault(at.Fault(fmt.Sprintf("the concurrency %d is out of range", s.Concurrency), "write 1 to 1000; to send nothing, write enabled: false"))
		}
	}
	if d.Rate = s.Rate; d.Rate == (Rate{}) {
		if limiter, ok := connector.(connectors.RateLimiter); ok {
			own := limiter.Rate()
			d.Rate = Rate{own.Requests, own.Per}
		}
	}
	l.batch(d, n.Key("batch"), s.Batch, connector)
	l.bounds(d, n)
}

// batchWait is the default wait for more events: too short to be noticed, and long enough to fill the requests of a busy
// connection.
const batchWait = 100 * time.Millisecond

// batchMax is the default batch size for products that document no limit.
const batchMax = 256

func (l *loader) batch(d *destination, n *document.Node, s Batch, connector connectors.Connector) {
	batcher, ok := connector.(connectors.Batcher)
	if ok {
		d.Batch = Batch{Max: batcher.Batch().Events, Wait: batchWait}
		if d.Batch.Max == 0 {
			d.Batch.Max = batchMax
		}
	}
	if n == nil || l.hasFault(n) {
		return
	}
	switch {
	case !ok:
		l.fault(n.Fault(fmt.Sprintf("`%s` accepts one event per request", d.Product), "remove batch:"))
	case s.Max < 0 || (batcher.Batch().Events > 0 && s.Max > batcher.Batch().Events):
		l.fault(n.Fault(fmt.Sprintf("`max` is %d, but %s accepts at most %d", s.Max, d.Product, batcher.Batch().Events), "write a smaller number, or remove the setting"))
	case s.Wait > time.Hour:
		l.fault(n.Fault("`wait` is longer than 1h", "write a shorter wait: it delays every event"))
	}
	if s.Max > 0 {
		d.Batch.Max = s.Max
	}
	if n.Key("wait") != nil {
		d.Batch.Wait = s.Wait
	}
}

// connect builds and checks the connector of a destination, without the settings of a step.
func (l *loader) connect(d *destination, connector connectors.Connector) {
	before := len(l.faults)
	d.bound = connector
	if len(connectors.Actions(d.Product)) > 0 {
		for _, p := range d.settings.Pairs {
			d.sets = append(d.sets, p.Key.Text)
		}
	}
	options := document.Options{Partial: true, Known: d.known()}
	if d.subscription != nil {
		options.Misnamed = d.subscription
	}
	l.bind(d.settings, connector, options)
	if len(l.faults) == before {
		l.fault(document.Missing(connector, d.settings, "")...)
	}
	if len(l.faults) == before {
		l.check(d, connector, d.settings)
	}
	if len(l.faults) > before {
		return
	}
	if named, ok := connector.(connectors.Named); ok {
		named.SetName(d.Name)
	}
	d.alone, d.Alone = connector, connector
	// Products also refuse settings that are not secrets, such as a Slack channel or an audience. All settings are therefore
	// included, so that correcting any of them ends the pause.
	written := d.settings.JSON()
	if l.base != nil { // a store may write the keys in another order, and of many documents a hash takes less memory
		sum := sha256.Sum256(d.settings.Sorted().JSON())
		written = sum[:]
	}
	d.Credentials = append(secretsOf(reflect.ValueOf(connector).Elem(), nil), connectors.NewSecret(string(written)))
	if w, ok := connector.(*webhook.Connector); ok {
		d.Address, d.Delay = w.URL.Secret(), w.Delay
	}
}

// known returns further keys that a misspelt key may stand for.
func (d *destination) known() []string {
	if d.subscription == nil {
		return nil
	}
	return document.Names(document.Fields(reflect.TypeFor[webhookSettings]()))
}

// check validates a connector's settings and its addresses. nodes are the mappings that hold the settings, innermost first.
// Nothing is checked if a variable in them is unset.
func (l *loader) check(d *destination, connector connectors.Connector, nodes ...*document.Node) {
	for _, n := range nodes {
		if n.HasUnset() {
			return
		}
	}
	nodeOf := func(setting string) *document.Node {
		for _, n := range nodes {
			if value := n.Key(setting); value != nil {
				return value
			}
		}
		if key := nodes[0]; key != d.settings {
			return key
		}
		return d.key
	}
	if validator, ok := connector.(connectors.Validator); ok {
		if err := validator.Validate(); err != nil {
			if invalid, ok := errors.AsType[*connectors.InvalidError](err); ok {
				l.fault(exact(nodeOf(invalid.Setting), invalid.Reason).Refusal(invalid.Setting, errors.New(invalid.Reason)))
			} else {
				l.fault(nodeOf("").Refusal("", err))
			}
			return
		}
	}
	v := reflect.ValueOf(connector).Elem()
	for _, field := range document.Fields(v.Type()) {
		switch url := v.FieldByIndex(field.Index); field.Type {
		case secretType:
			if err := outbound.CheckAddress(url.Interface().(connectors.Secret), l.config.Outbound, d.Trusted); err != nil {
				l.fault(urlFault(nodeOf(field.Name), err))
			}
		case urlType:
			if err := outbound.CheckAddress(url.Interface().(connectors.URL).Sample(), l.config.Outbound, d.Trusted); err != nil {
				l.fault(urlFault(nodeOf(field.Name), err))
			}
		case accountType: // its key file names the address of its tokens
			account := url.Interface().(connectors.ServiceAccount)
			if address := account.OAuth2().TokenURL; address != "" {
				if err := outbound.CheckURL(address, l.config.Outbound, d.Trusted); err != nil {
					l.fault(urlFault(nodeOf(field.Name), err))
				}
			}
		case baseType:
			if url.String() == "" {
				continue
			}
			if err := outbound.CheckURL(url.String(), l.config.Outbound, d.Trusted); err != nil {
				l.fault(urlFault(nodeOf(field.Name), err))
			}
		}
	}
	if w, ok := connector.(*webhook.Connector); ok {
		if err := signature.Check(w.Style(), w.Secrets); err != nil {
			setting := "secrets"
			if len(w.Secrets) == 0 || (w.Signature.Style == "" && !w.Signature.IsZero() && !strings.Contains(err.Error(), "secret")) {
				setting = "signature"
			}
			l.fault(secretAt(nodeOf(setting), &err).Refusal(setting, err))
		}
	}
}

// exact returns the key of a mapping that a reason begins with, such as in "`Host` is set by HTTP itself".
func exact(n *document.Node, reason string) *document.Node {
	if rest, ok := strings.CutPrefix(reason, "`"); ok {
		key, _, _ := strings.Cut(rest, "`")
		if named := n.Named(key); named != nil {
			return named
		}
	}
	return n
}

// secretAt returns the list item that an error such as "secret 2: …" refers to, and removes that prefix from the error.
func secretAt(n *document.Node, err *error) *document.Node {
	if n.Kind != document.List {
		return n
	}
	number := 1
	if text, ok := strings.CutPrefix((*err).Error(), "secret "); ok {
		if first, rest, ok := strings.Cut(text, ": "); ok {
			if i, wrong := strconv.Atoi(first); wrong == nil {
				number, *err = i, errors.New(rest)
			}
		}
	}
	if number >= 1 && number <= len(n.Items) {
		return n.Items[number-1]
	}
	return n
}

var (
	urlType     = reflect.TypeFor[connectors.URL]()
	baseType    = reflect.TypeFor[connectors.BaseURL]()
	secretType  = reflect.TypeFor[connectors.Secret]()
	accountType = reflect.TypeFor[connectors.ServiceAccount]()
)

func urlFault(n *document.Node, err error) document.Fault {
	if refused, ok := errors.AsType[*outbound.URLError](err); ok {
		return n.Fault(refused.Message, refused.Remedy)
	}
	return n.Refusal("url", err)
}

// secretsOf returns all secrets of a connector's settings. A pause for refused credentials ends when one of them changes.
func secretsOf(v reflect.Value, found []connectors.Secret) []connectors.Secret {
	for _, field := range document.Fields(v.Type()) {
		value := v.FieldByIndex(field.Index)
		switch {
		case field.Type == secretType:
			found = append(found, value.Interface().(connectors.Secret))
		case document.EmbedsSecret(field.Type): // a PrivateKey, a ServiceAccount
			found = append(found, value.FieldByName(secretType.Name()).Interface().(connectors.Secret))
		case field.Type.Kind() == reflect.Slice && field.Type.Elem() == secretType:
			for i := range value.Len() {
				found = append(found, value.Index(i).Interface().(connectors.Secret))
			}
		case field.Type.Kind() == reflect.Map && field.Type.Elem() == secretType:
			keys := value.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, key := range keys {
				found = append(found, value.MapIndex(key).Interface().(connectors.Secret))
			}
		}
	}
	return slices.DeleteFunc(found, connectors.Secret.IsZero)
}
