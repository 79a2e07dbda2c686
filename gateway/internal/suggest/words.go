package suggest

import (
	"slices"
	"strings"
	"unicode"
)

// Words that say what a question asks for, in English, German, Turkish, French and Spanish. One that ends with * is the beginning of a
// word.
var (
	npsWords  = []string{"nps", "recommend*", "empfehl*", "weiterempfehl*", "tavsiye*", "öner*", "recommand*", "recomend*"}
	csatWords = []string{"csat", "satisf*", "zufrieden*", "memnun*"}
	cesWords  = []string{"ces", "effort*", "easy", "ease", "aufwand*", "einfach*", "leicht*", "kolay*", "çaba*", "facil*", "fácil*", "esfuerzo*"}

	consentWords = []string{
		"consent*", "agree*", "accept*", "newsletter*", "optin", "opt", "gdpr", "marketing", "subscribe*", "privacy", "permission*",
		"einwillig*", "zustimm*", "einverstanden", "dsgvo", "datenschutz*", "onay*", "rıza*", "riza*", "izin*", "kvkk", "kabul*",
		"consentement*", "accord*", "rgpd", "consiento", "consentimiento*", "acepto", "acuerdo", "autoriz*",
	}
	phoneWords = []string{"phone*", "tel", "telephone*", "telefon*", "téléphone*", "teléfono*", "mobile*", "mobil*", "handy*", "gsm", "cell*", "whatsapp", "cep"}

	scaleTypes = []string{"rating*", "scale*", "star*", "linear", "likert*", "opinionscale", "nps", "csat", "ces"}
)

// wordsOf divides a text, an id or a type into words in lower case: also one such as csatScore or opinion_scale.
func wordsOf(text string) []string {
	var b strings.Builder
	lower := false
	for _, r := range text {
		if unicode.IsUpper(r) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(r)
	}
	return strings.FieldsFunc(strings.ToLower(b.String()), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// named returns the first of words that is among names; empty if none is.
func named(words, names []string) string {
	for _, word := range words {
		if slices.ContainsFunc(names, func(name string) bool {
			stem, begins := strings.CutSuffix(name, "*")
			return word == name || begins && strings.HasPrefix(word, stem)
		}) {
			return word
		}
	}
	return ""
}

// maskMail returns the shape of an e-mail address.
func maskMail(text string) string {
	name, domain, _ := strings.Cut(text, "@")
	ending := domain[strings.LastIndexByte(domain, '.')+1:]
	return firstOf(name) + "***@" + firstOf(domain) + "***." + ending
}

func firstOf(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}

// maskPhone returns a number of which the last two digits are left.
func maskPhone(text string) string {
	runes := []rune(text)
	left := 2
	for i, r := range slices.Backward(runes) {
		if !unicode.IsDigit(r) {
			continue
		}
		if left--; left < 0 {
			runes[i] = '*'
		}
	}
	return string(runes)
}

// maxShape is how many characters of the shape of a text are shown.
const maxShape = 40

// maskText returns the shape of a text: the first letter of each word.
func maskText(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	inside := false
	for i, r := range runes {
		if i == maxShape {
			return string(runes[:i]) + "…"
		}
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		if letter && (inside || unicode.IsDigit(r)) {
			runes[i] = '*'
		}
		inside = letter
	}
	return string(runes)
}
