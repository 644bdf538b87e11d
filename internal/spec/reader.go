package spec

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/param"
)

// reader turns values into what they mean and collects what is wrong with
// them. Its methods return something usable in any case, so that one reading
// finds every fault.
type reader struct {
	file   string
	source source
	faults Errors
	index  map[string]value // tasks by name
}

// add notes a fault at a node.
func (r *reader) add(n *yaml.Node, path *step, message, hint string) {
	r.faults = append(r.faults, Error{File: r.file, Line: n.Line, Column: n.Column, Field: path.String(), Message: message, Hint: hint})
}

// fault notes a fault of a value.
func (r *reader) fault(v value, message, hint string) { r.add(v.node, v.path, message, hint) }

// faultAtKey notes a fault of a key, or of a value as a whole.
func (r *reader) faultAtKey(v value, message, hint string) { r.add(v.start(), v.path, message, hint) }

// text reads a text. What YAML takes for a number, a date or a bool is the text
// as it is written: 0755 stays 0755, and yes stays yes.
func (r *reader) text(v value) string {
	if v.scalar() {
		return v.node.Value
	}
	hint := "write a text"
	switch {
	case v.null():
		hint = `write a text, "" for an empty one`
	case v.list():
		hint = "write one text; a text of several lines begins with |"
	case v.mapping():
		hint = "write one text; put it in quotes if it holds a colon or begins with {"
	}
	r.fault(v, fmt.Sprintf("must be a text, found %s", v.kind()), hint)
	return ""
}

// condition reads a bare expression. One in ${{ }} is unwrapped, since that is
// how expressions are written everywhere else.
func (r *reader) condition(v value) string {
	bare := unwrapped(r.text(v))
	if bare == "" && v.scalar() {
		r.fault(v, "must be an expression, found an empty text", `write one, as params.region == "cn", or remove the key`)
	}
	return bare
}

// list reads a list of texts; a single text is a list of one.
func (r *reader) list(v value) []string {
	if v.scalar() {
		return []string{r.text(v)}
	}
	if !v.list() {
		r.fault(v, fmt.Sprintf("must be a list, found %s", v.kind()), "write [a, b]")
		return nil
	}
	var all []string
	for _, item := range v.items() {
		if item.null() {
			r.fault(item, "must be a text, found nothing", "remove it from the list")
			continue
		}
		all = append(all, r.text(item))
	}
	return all
}

// pairs reads a mapping of texts.
func (r *reader) pairs(v value) map[string]string {
	if !v.mapping() {
		r.fault(v, fmt.Sprintf("must be a mapping of names to texts, found %s", v.kind()), "write {NAME: text}")
		return nil
	}
	var all map[string]string
	for _, e := range r.entries(v) {
		if all == nil {
			all = map[string]string{}
		}
		all[e.key] = r.text(e.value)
	}
	return all
}

// boolean reads true or false, and nothing that only looks like it.
func (r *reader) boolean(v value) bool {
	if v.scalar() && v.node.Tag == "!!bool" {
		return strings.EqualFold(v.node.Value, "true")
	}
	hint := "write true or false"
	if v.scalar() {
		switch strings.ToLower(v.node.Value) {
		case "yes", "on", "y", "1", "true":
			hint = "write true, without quotes"
		case "no", "off", "n", "0", "false":
			hint = "write false, without quotes"
		}
	}
	r.fault(v, fmt.Sprintf("must be true or false, found %s", v.kind()), hint)
	return false
}

// integer reads a whole number between two bounds.
func (r *reader) integer(v value, low, high int) int {
	n, hint := int64(0), "write a whole number"
	if v.scalar() && v.node.Tag == "!!int" {
		var err string
		if n, err = plainInt(v.node.Value); err == "" && n >= int64(low) && n <= int64(high) {
			return int(n)
		}
		hint = fmt.Sprintf("write a number from %d to %d", low, high)
		if err != "" {
			hint = err
		}
	} else if v.scalar() {
		if _, err := strconv.Atoi(v.node.Value); err == nil {
			hint = "write it without quotes"
		}
	}
	r.fault(v, fmt.Sprintf("must be a whole number from %d to %d, found %s", low, high, v.kind()), hint)
	return low
}

// number reads a number between two bounds.
func (r *reader) number(v value, low, high float64) float64 {
	if v.scalar() && (v.node.Tag == "!!int" || v.node.Tag == "!!float") {
		if f, err := strconv.ParseFloat(v.node.Value, 64); err == nil && f >= low && f <= high {
			return f + 0 // -0 is 0
		}
	}
	r.fault(v, fmt.Sprintf("must be a number from %g to %g, found %s", low, high, v.kind()), "write a number in that range, without quotes")
	return low
}

// choice reads one of a few words.
func (r *reader) choice(v value, words []string) string {
	if v.scalar() && slices.Contains(words, v.node.Value) {
		return v.node.Value
	}
	hint := "write one of " + strings.Join(words, ", ")
	if v.scalar() {
		if near := didYouMean(v.node.Value, words); near != "" {
			hint = near
		} else if word := synonyms[strings.ToLower(v.node.Value)]; slices.Contains(words, word) {
			hint = fmt.Sprintf("did you mean %q?", word)
		}
	}
	r.fault(v, fmt.Sprintf("must be one of %s, found %s", strings.Join(words, ", "), v.kind()), hint)
	return words[0]
}

// synonyms are the words that other systems have for ours.
var synonyms = map[string]string{
	"integer": "int", "number": "float", "double": "float", "boolean": "bool", "str": "string", "text": "string",
	"array": "list", "object": "map", "dict": "map", "mapping": "map", "json": "map",
	"stop": "end", "abort": "end", "kill": "fail", "error": "fail", "log": "warn", "alert": "warn",
	"retry": "rerun", "restart": "rerun", "wait": "hold", "pause": "hold",
	"all": "all_succeeded", "all_success": "all_succeeded", "always": "all_done", "any_failure": "any_failed", "one_failed": "any_failed",
}

// duration reads a length of time.
func (r *reader) duration(v value) time.Duration {
	if !v.scalar() {
		r.fault(v, fmt.Sprintf("must be a length of time, found %s", v.kind()), "write one as 30s, 10m, 1h30m or 2d")
		return 0
	}
	d, message, hint := parseDuration(v.node.Value)
	if message != "" {
		r.fault(v, message, hint)
	}
	return d
}

// durationMax bounds a length of time, as flow.Validate does.
const durationMax = 366 * 24 * time.Hour

// parseDuration reads Go's notation, with days.
func parseDuration(text string) (d time.Duration, message, hint string) {
	rest := text
	if days, after, ok := strings.Cut(text, "d"); ok {
		f, err := strconv.ParseFloat(days, 64)
		if err != nil || !decimal.MatchString(days) {
			return 0, fmt.Sprintf("%s is no length of time", quote(text)), "write one as 30s, 10m, 1h30m or 2d"
		}
		if f > float64(durationMax/(24*time.Hour)) {
			return 0, fmt.Sprintf("%s is longer than a year", quote(text)), "write a shorter time"
		}
		d, rest = time.Duration(math.Round(f*24*float64(time.Hour))), after
	}
	if rest != "" || text == "" {
		more, err := time.ParseDuration(rest)
		switch {
		case decimal.MatchString(text) && text != "0":
			return 0, fmt.Sprintf("%s has no unit", quote(text)), fmt.Sprintf("write %ss for seconds", text)
		case err != nil || strings.HasPrefix(rest, "+") || rest != text && strings.HasPrefix(rest, "-"):
			return 0, fmt.Sprintf("%s is no length of time", quote(text)), "write one as 30s, 10m, 1h30m or 2d"
		case more < 0:
			return 0, fmt.Sprintf("%s is negative", quote(text)), "write " + strings.TrimPrefix(text, "-")
		}
		d += more
	}
	if d < 0 || d > durationMax {
		return 0, fmt.Sprintf("%s is longer than a year", quote(text)), "write a shorter time"
	}
	return d, "", ""
}

var (
	decimal   = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	plainInts = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$|^0x[0-9a-fA-F]+$|^0o[0-7]+$`)
)

// plainInt reads a whole number that means the same to everybody. 0755 does
// not, nor does 1_000.
func plainInt(text string) (n int64, hint string) {
	if !plainInts.MatchString(text) {
		return 0, fmt.Sprintf("write %q in quotes for a text, or a number in plain decimal digits", text)
	}
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return 0, fmt.Sprintf("write a number from %d to %d, or put it in quotes", math.MinInt64, math.MaxInt64)
	}
	return n, ""
}

// any reads a value of any type, as parameters know them.
func (r *reader) any(v value) any {
	switch {
	case v.mapping():
		all := map[string]any{}
		for _, e := range r.entries(v) {
			all[e.key] = r.any(e.value)
		}
		return all
	case v.list():
		all := []any{}
		for _, item := range v.items() {
			all = append(all, r.any(item))
		}
		return all
	case v.null():
		r.fault(v, "has no value", `write one, "" for an empty text`)
		return ""
	}
	return r.scalarAny(v)
}

func (r *reader) scalarAny(v value) any {
	text := v.node.Value
	switch v.node.Tag {
	case "!!bool":
		return strings.EqualFold(text, "true")
	case "!!int":
		n, hint := plainInt(text)
		if hint != "" {
			r.fault(v, fmt.Sprintf("%s is a different number to different readers", text), hint)
		}
		return n
	case "!!float":
		f, err := strconv.ParseFloat(text, 64)
		switch {
		case wholes.MatchString(text):
			r.fault(v, fmt.Sprintf("%s does not fit in 64 bits", text), fmt.Sprintf("write %q in quotes for a text, or a smaller number", text))
		case err != nil || math.IsNaN(f) || math.IsInf(f, 0):
			r.fault(v, fmt.Sprintf("%s is no number to calculate with", text), fmt.Sprintf("write %q in quotes for a text", text))
		case !floats.MatchString(text):
			r.fault(v, fmt.Sprintf("%s is a different number to different readers", text), fmt.Sprintf("write %q in quotes for a text, or a number in plain decimal digits", text))
		default:
			return f + 0 // -0 is 0
		}
		return 0.0
	}
	if v.node.Style == 0 && yesNo[strings.ToLower(text)] != "" {
		r.fault(v, fmt.Sprintf("%s is a bool to some readers and a text to others", text),
			fmt.Sprintf("write %s, or %q in quotes", yesNo[strings.ToLower(text)], text))
	}
	return text
}

var (
	floats = regexp.MustCompile(`^[-+]?((0|[1-9][0-9]*)?\.[0-9]*|(0|[1-9][0-9]*)[eE])[-+eE0-9]*$`)
	wholes = regexp.MustCompile(`^[-+]?[1-9][0-9]*$`)
	yesNo  = map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}
)

// didYouMean is the hint for a word that is nearly a known one.
func didYouMean(word string, known []string) string {
	if near, ok := param.Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
