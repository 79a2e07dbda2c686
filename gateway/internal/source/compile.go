package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// program is the compiled form of a profile.
type program struct {
	paths  jsonpath.Paths // all plain paths into the body, extracted in one walk
	fields []fill         // Map, in the order of names
	byType map[CanonicalType][]fill
	leads  []leadPart

	answersAt, leadsAt []string

	reads   *reads // of types that are not in readsBy
	readsBy map[CanonicalType]*reads
	beside  *reads // reads outside the list that the body is split at; nil if that list is the body
}

// fill is one entry of a map.
type fill struct {
	field Field
	from  Lookup
}

type leadPart struct {
	name string
	kind kind
	from Paths
}

// Parse parses a profile in YAML and compiles it. name is the file's name in faults.
func Parse(name string, text []byte) (*Profile, document.Faults) {
	node, faults := document.Parse(name, text)
	if len(faults) > 0 {
		return nil, faults
	}
	p := &Profile{Decode: DecodeJSON, Reply: 200}
	if faults = document.Bind(node, p, document.Options{}); len(faults) > 0 {
		return nil, faults
	}
	faults = append(p.bindMaps(node), p.check(node)...)
	if len(faults) > 0 {
		return nil, faults
	}
	p.compile()
	p.compileReads()
	return p, nil
}

// bindMaps binds the maps, whose values have three forms, and finds fields that are mapped under both of their names.
func (p *Profile) bindMaps(node *document.Node) document.Faults {
	var faults document.Faults
	read := func(n *document.Node) []fill {
		var fills []fill
		for _, pair := range pairs(n) {
			var f Field
			if err := f.UnmarshalText([]byte(pair.Key.Text)); err != nil {
				continue // Bind has reported it
			}
			from, wrong := lookup(pair.Value)
			faults = append(faults, wrong...)
			if slices.ContainsFunc(fills, func(other fill) bool { return other.field == f }) {
				faults = append(faults, pair.Key.Fault(fmt.Sprintf("`%s` is mapped twice", f.Name), "keep one of the two names"))
			}
			fills = append(fills, fill{f, from})
		}
		return fills
	}
	p.fields = read(node.Key("map"))
	p.byType = map[CanonicalType][]fill{}
	for _, pair := range pairs(node.Key("map_by_type")) {
		p.byType[CanonicalType(pair.Key.Text)] = read(pair.Value)
	}
	return faults
}

// check returns the faults of settings that contradict each other.
func (p *Profile) check(node *document.Node) document.Faults {
	var faults document.Faults
	fault := func(n *document.Node, message, remedy string) {
		if n == nil {
			n = node
		}
		faults = append(faults, n.Fault(message, remedy))
	}
	if !profileName(p.Name) {
		fault(node.Key("source"), fmt.Sprintf("`%s` is not a name", p.Name), "names are lower-case letters, digits, _ and -, beginning with a letter or digit")
	}
	if p.Reply != 200 && (p.Reply < 200 || p.Reply > 299) {
		fault(node.Key("reply"), "the reply must be a status of success", "write 200 to 299")
	}
	for i, decoder := range p.Accept {
		if p.Decode == DecodeJSON || decoder == p.Decode {
			fault(item(node.Key("accept"), i), "accept needs decode: form or multipart, and lists the other formats", "write decode: form or multipart, and the other formats here")
		}
	}
	if len(p.JSONFields) > 0 && p.Decode == DecodeJSON {
		fault(node.Named("json_fields"), "json_fields applies to forms only", "write decode: form or multipart")
	}
	if len(p.Verify) == 0 {
		fault(node.Key("verify"), "the way to verify requests is missing", "write at least {kind: none}")
	}
	for i := range p.Verify {
		if setting, message := schemeProblem(p.Verify[i], p.Decode); message != "" {
			at := item(node.Key("verify"), i)
			if exact := at.Key(setting); exact != nil {
				at = exact
			}
			fault(at, message, "")
		}
	}
	if p.Type.Path.IsZero() && p.Type.Const == "" && len(p.Type.Rules) == 0 && p.Type.Default == "" {
		fault(node.Key("type"), "the way to find an event's type is missing", "write path, const, rules or default")
	}
	if len(p.Type.Map) > 0 && p.Type.Path.IsZero() && p.Type.Const == "" {
		fault(node.Key("type"), "the map of types needs a name to look up", "write the path of the event's name")
	}
	for i, rule := range p.Type.Rules {
		if rule.When.idle() {
			fault(item(node.Key("type").Key("rules"), i), "the condition has no test", "write equals, in, regex, gt or exists")
		}
	}
	for i, h := range p.Handshake {
		if (h.Method == "") == (h.When == nil) {
			fault(item(node.Key("handshake"), i), "a handshake needs either a method or a condition", "write one of method and when")
		}
	}
	faults = append(faults, p.checkProof(node)...)
	faults = append(faults, p.Dedupe.checkKey(node.Key("dedupe"))...)
	for _, pair := range pairs(node.Key("dedupe_by_type")) {
		faults = append(faults, p.DedupeByType[CanonicalType(pair.Key.Text)].checkKey(pair.Value)...)
	}
	for i, a := range p.Answers {
		n := item(node.Key("answers"), i)
		object := a.Shape == ShapeObject
		switch {
		case a.Others && a.Key == nil:
			fault(n, "others applies to keys that `key` does not match", "write key, or remove others")
		case !object && (a.Key != nil || a.Skip != nil):
			fault(n, "key and skip apply to answers that are an object", "write shape: object")
		case object && !a.Join.IsZero():
			fault(n, "the answers of an object are joined by their keys", "remove join")
		case !object && len(a.Defs) > 0 && a.Join.IsZero():
			fault(n, "definitions need a key to look up", "write join, the path of the question's id in an answer")
		case a.Options != nil && a.Options.Rows.IsZero() != a.Options.Columns.IsZero():
			fault(n, "a matrix needs rows and columns", "write both in options")
		case !object && len(a.Each[PartValue]) == 0 && !a.ValueByType:
			fault(n, "the place of an answer's value is missing", "write each: {value: PATH} or value_by_type: true")
		}
	}
	for i, s := range p.Score {
		if s.Set.kind != kindScore && s.Set.kind != kindNPS {
			fault(item(node.Key("score"), i).Key("set"), fmt.Sprintf("`%s` is not a score", s.Set.Name), "one of: ces_score, csat_score, nps_score, response.score.custom")
		}
	}
	faults = append(faults, p.About.check(node)...)
	for i, r := range p.Roles {
		if len(r.Type) == 0 && r.Value == nil && r.Name == nil && len(r.Question) == 0 {
			fault(item(node.Key("roles"), i), "the role matches every answer", "write type, value, name or question")
		}
		if !r.Part.IsZero() && len(r.Parts) > 0 {
			fault(item(node.Key("roles"), i), "a role has either one part or several", "keep one of part and parts")
		}
	}
	return faults
}

// checkKey returns the faults of a dedupe key's template.
func (t Template) checkKey(n *document.Node) (faults document.Faults) {
	if t.IsZero() {
		faults = append(faults, n.Fault("the dedupe key is empty", "write placeholders whose values repeated requests of one event share, or {sha256}"))
	}
	for i, part := range t.parts {
		if part.what == fromQuery {
			faults = append(faults, n.Fault("a query parameter is not part of an event", fmt.Sprintf("remove placeholder %d", i+1)))
		}
	}
	return faults
}

func pairs(n *document.Node) []document.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

func item(n *document.Node, i int) *document.Node {
	if n == nil || i >= len(n.Items) {
		return n
	}
	return n.Items[i]
}

func profileName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return name != ""
}

// compile assigns slots to all plain paths into the body, and sorts the contents of maps.
func (p *Profile) compile() {
	p.slot(&p.Type.Path)
	for i := range p.Type.Rules {
		p.slot(&p.Type.Rules[i].When.Path)
	}
	for i := range p.Handshake {
		p.slotCondition(p.Handshake[i].When)
	}
	p.slots(p.ID)
	p.slots(p.Time)
	p.slotTemplate(p.Dedupe)
	for _, key := range p.DedupeByType {
		p.slotTemplate(key)
	}
	p.slotFills(p.fields)
	for _, fills := range p.byType {
		p.slotFills(fills)
	}
	p.slots(p.Params)
	for i := range p.Answers {
		a := &p.Answers[i]
		p.slot(&a.From)
		p.slotCondition(a.Where)
		for j := range a.Defs {
			d := &a.Defs[j]
			p.slot(&d.From)
			for _, path := range [...]*Path{&d.ID, &d.Question, &d.Type} {
				slotIn(&d.elements, path)
			}
		}
		for _, paths := range a.Each {
			for j := range paths {
				slotIn(&a.elements, &paths[j])
			}
		}
		a.parts = parts{
			id: a.Each[PartID], question: a.Each[PartQuestion], typ: a.Each[PartType],
			comment: a.Each[PartComment], value: a.Each[PartValue], valueIDs: a.Each[PartValueIDs],
		}
		slotIn(&a.elements, &a.Join)
		if a.ValueByType {
			a.named = Path{text: "type"}
			slotIn(&a.elements, &a.named)
		}
		if at := placeInBody(a.From); at != "" && !slices.Contains(p.answersAt, at) {
			p.answersAt = append(p.answersAt, at)
		}
	}
	for i := range p.Score {
		p.slotCondition(p.Score[i].When)
		p.slots(p.Score[i].From)
	}
	if p.Leads != nil {
		p.slot(&p.Leads.From)
		p.leads = leadParts(p.Leads.Each)
		if at := placeInBody(p.Leads.From); at != "" {
			p.leadsAt = []string{at}
		}
	}
	if p.Decode != DecodeJSON {
		p.answersAt, p.leadsAt = nil, nil // they are places in the JSON made from the form, not in the raw bytes
	}
}

// Uncut reports whether answers and leads cannot be cut out of this platform's raw bodies: forms have no places, and answers can
// be the whole body.
func (p *Profile) Uncut() (answers, leads bool) {
	for i := range p.Answers {
		answers = answers || p.Decode != DecodeJSON || placeInBody(p.Answers[i].From) == ""
	}
	return answers, p.Leads != nil && len(p.leadsAt) == 0
}

func (p *Profile) slot(path *Path) { slotIn(&p.paths, path) }

func slotIn(paths *jsonpath.Paths, path *Path) {
	if path.IsZero() || path.fixed.Exists() || !jsonpath.IsPlain(path.text) {
		return
	}
	if n, err := paths.Add(path.text); err == nil {
		path.slot = n + 1
	}
}

func (p *Profile) slots(paths Paths) {
	for i := range paths {
		p.slot(&paths[i])
	}
}

func (p *Profile) slotTemplate(t Template) {
	for i := range t.parts {
		p.slot(&t.parts[i].path)
	}
}

func (p *Profile) slotCondition(c *Condition) {
	if c != nil {
		p.slot(&c.Path)
	}
}

func (p *Profile) slotFills(fills []fill) {
	for i := range fills {
		p.slots(fills[i].from.Paths)
	}
}

// leadOrder is the order of the well-known parts of a lead; others follow, sorted by name.
var leadOrder = []string{"user_id", "email", "phone", "name", "first_name", "last_name", "comment", "created_at", "terms_accepted"}

func leadParts(each map[string]Paths) []leadPart {
	list := make([]leadPart, 0, len(each))
	for name, from := range each {
		part := leadPart{name: name, kind: kindText, from: from}
		switch {
		case name == "id" || strings.HasSuffix(name, "_id"):
			part.kind = kindID
		case strings.HasSuffix(name, "_at"):
			part.kind = kindTime
		case name == "terms_accepted":
			part.kind = kindBool
		}
		list = append(list, part)
	}
	rank := func(name string) int {
		if i := slices.Index(leadOrder, name); i >= 0 {
			return i
		}
		return len(leadOrder)
	}
	slices.SortFunc(list, func(a, b leadPart) int {
		if d := rank(a.name) - rank(b.name); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	return list
}

// placeInBody returns the part of a path that can be cut out of the body: its keys, and `#` for every element, up to the first
// modifier or query.
func placeInBody(path Path) string {
	text := path.text
	for text != "" && !jsonpath.IsPlain(strings.ReplaceAll(text, ".#.", ".x.")) {
		i := strings.LastIndexAny(text, ".|")
		if i < 0 {
			return ""
		}
		text = text[:i]
	}
	return text
}

// idle reports whether a condition has no test.
func (c *Condition) idle() bool {
	return c.Equals == nil && len(c.In) == 0 && c.Regex == nil && c.Gt == nil && c.Exists == nil
}
