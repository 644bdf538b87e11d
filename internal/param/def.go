package param

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of parameters. Each travels as one environment variable, for
// which Linux takes 128 KiB, and all of them in one environment.
const (
	nameBytesMax   = 128
	valueBytesMax  = 64 << 10  // also what an expression takes as one value
	valuesBytesMax = 512 << 10 // all parameters of a run together
	valueDepthMax  = 32        // lists and maps within each other
)

// typesAll lists what Type can be, in the order people read them.
var typesAll = []Type{String, Int, Float, Bool, List, Map}

// Valid reports whether t is one of the types.
func (t Type) Valid() bool { return slices.Contains(typesAll, t) }

// CheckDef names all that is wrong with a declaration, in a fixed order.
func CheckDef(d Def) []string {
	var problems []string
	if message := checkName(d.Name); message != "" {
		problems = append(problems, message)
	}
	if !d.Type.Valid() {
		return append(problems, fmt.Sprintf("unknown type %q: use one of %s", d.Type, list(typesAll)))
	}
	if d.Required && d.Default != nil {
		problems = append(problems, "a required parameter cannot have a default: remove one of the two")
	}
	var enum []any
	for i, v := range d.Enum {
		normal, err := Normal(d.Type, v)
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("enum value %d: %v", i+1, err))
		case containsValue(enum, normal):
			problems = append(problems, fmt.Sprintf("enum value %d: %s is there twice", i+1, quoted(normal)))
		default:
			enum = append(enum, normal)
		}
	}
	if d.Default == nil {
		return problems
	}
	normal, err := Normal(d.Type, d.Default)
	if err != nil {
		return append(problems, fmt.Sprintf("default: %v", err))
	}
	if len(d.Enum) > 0 && !containsValue(enum, normal) {
		problems = append(problems, fmt.Sprintf("default: %s is not in enum: use one of %s", quoted(normal), choices(enum)))
	}
	return problems
}

// checkName says what is wrong with the name of a parameter, or nothing. Names
// are what expressions can write after "params." without quotes.
func checkName(name string) string {
	const rule = "use a letter or _, then letters, digits and _"
	switch {
	case name == "":
		return "a parameter has no name: " + rule
	case len(name) > nameBytesMax:
		return fmt.Sprintf("the name is %d bytes long: at most %d", len(name), nameBytesMax)
	}
	for i, c := range []byte(name) {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return fmt.Sprintf("bad name %q: %s", name, rule)
		}
	}
	if slices.Contains(wordsReserved, name) {
		return fmt.Sprintf("bad name %q: the word is taken by the language of expressions", name)
	}
	return ""
}

// wordsReserved cannot stand after "params." in CEL.
var wordsReserved = []string{"false", "in", "null", "true"}

// Normal returns v as a value of type t in the form that Values holds. It takes
// what YAML and JSON decode to, without guessing across types: the text "5" is
// not an int here, see Parse.
func Normal(t Type, v any) (any, error) {
	n, err := canonical(v, 0)
	if err != nil {
		return nil, err
	}
	if size := sizeOf(n); size > valueBytesMax {
		return nil, fmt.Errorf("the value is %d bytes long, at most %d are allowed: put it in a file and pass its path", size, valueBytesMax)
	}
	if !t.Valid() {
		return nil, fmt.Errorf("unknown type %q: use one of %s", t, list(typesAll))
	}
	switch value := n.(type) {
	case string:
		if t == String {
			return value, nil
		}
	case int64:
		if t == Int {
			return value, nil
		}
		if t == Float {
			return float64(value), nil
		}
	case float64:
		if t == Float {
			return value, nil
		}
		if t == Int && value == math.Trunc(value) && math.Abs(value) <= 1<<53 {
			return int64(value), nil
		}
	case bool:
		if t == Bool {
			return value, nil
		}
	case []any:
		if t == List {
			return value, nil
		}
	case map[string]any:
		if t == Map {
			return value, nil
		}
	}
	return nil, fmt.Errorf("expected %s, got %s", article(t), describe(n))
}

// Parse reads text, as it comes from a command line or a form, as a value of
// type t. Lists and maps are JSON.
func Parse(t Type, text string) (any, error) {
	switch t {
	case String:
		return Normal(t, text)
	case Int:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%s does not fit in 64 bits", quoted(text))
		}
		if err != nil {
			return nil, fmt.Errorf("expected an int, got %s", quoted(text))
		}
		return n, nil
	case Float:
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("expected a float, got %s", quoted(text))
		}
		return f, nil
	case Bool:
		switch strings.TrimSpace(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("expected true or false, got %s", quoted(text))
	case List, Map:
		v, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("expected %s written as JSON, got %s", article(t), quoted(text))
		}
		return Normal(t, v)
	}
	return nil, fmt.Errorf("unknown type %q: use one of %s", t, list(typesAll))
}

// decode reads one JSON value, keeping whole numbers whole.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// canonical returns v with the few types that Values allows.
func canonical(v any, depth int) (any, error) {
	if depth > valueDepthMax {
		return nil, fmt.Errorf("lists and maps are nested deeper than %d", valueDepthMax)
	}
	switch value := v.(type) {
	case nil, bool, int64:
		return value, nil
	case string:
		return value, checkText(value)
	case float64:
		if math.IsInf(value, 0) || math.IsNaN(value) {
			return nil, errors.New("the number is not finite")
		}
		return value, nil
	case json.Number:
		if n, err := value.Int64(); err == nil {
			return n, nil
		}
		f, err := value.Float64()
		if err != nil {
			return nil, fmt.Errorf("the number %s does not fit in 64 bits", value)
		}
		return f, nil
	}
	return canonicalKind(reflect.ValueOf(v), depth)
}

// canonicalKind covers the decoders' other choices: int, uint64, []string,
// map[string]string, map[any]any and the like.
func canonicalKind(v reflect.Value, depth int) (any, error) {
	switch {
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint():
		if v.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%d does not fit in 64 bits with a sign", v.Uint())
		}
		return int64(v.Uint()), nil
	case v.CanFloat():
		return canonical(v.Float(), depth)
	case v.Kind() == reflect.Bool:
		return v.Bool(), nil
	case v.Kind() == reflect.String:
		return canonical(v.String(), depth)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		list := make([]any, v.Len())
		for i := range list {
			item, err := canonical(v.Index(i).Interface(), depth+1)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			list[i] = item
		}
		return list, nil
	case v.Kind() == reflect.Map:
		return canonicalMap(v, depth)
	}
	return nil, fmt.Errorf("a value of Go type %T cannot be a parameter", v.Interface())
}

func canonicalMap(v reflect.Value, depth int) (any, error) {
	m := make(map[string]any, v.Len())
	problems := map[string]error{}
	for _, k := range v.MapKeys() {
		key, ok := k.Interface().(string)
		if !ok {
			return nil, errors.New("the keys of a map must be text")
		}
		value, err := canonical(v.MapIndex(k).Interface(), depth+1)
		if err == nil {
			err = checkText(key)
		}
		if err != nil {
			problems[key] = err
		}
		m[key] = value
	}
	for _, key := range sorted(problems) {
		return nil, fmt.Errorf("key %s: %w", quoted(key), problems[key])
	}
	return m, nil
}

// checkText refuses what no environment variable and no script can carry.
func checkText(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return errors.New("the text contains a NUL byte")
	}
	if !utf8.ValidString(s) {
		return errors.New("the text is not UTF-8")
	}
	return nil
}

// sizeOf returns about how many bytes Format would make of a canonical value.
func sizeOf(v any) int {
	const scalar = 8
	switch value := v.(type) {
	case string:
		return len(value)
	case []any:
		n := 2
		for _, item := range value {
			n += sizeOf(item) + 1
		}
		return n
	case map[string]any:
		n := 2
		for key, item := range value {
			n += len(key) + sizeOf(item) + 4
		}
		return n
	}
	return scalar
}

// containsValue compares canonical values.
func containsValue(values []any, v any) bool {
	return slices.ContainsFunc(values, func(other any) bool { return reflect.DeepEqual(other, v) })
}

// article names a type the way a sentence does.
func article(t Type) string {
	switch t {
	case Int:
		return "an int"
	case Bool:
		return "true or false"
	case String, Float, List, Map:
		return "a " + string(t)
	}
	return string(t)
}

// describe says what a canonical value is, in the words of the types.
func describe(v any) string {
	switch value := v.(type) {
	case nil:
		return "nothing"
	case string:
		return "the string " + quoted(value)
	case int64:
		return "the int " + Format(value)
	case float64:
		return "the float " + Format(value)
	case bool:
		return Format(value)
	case []any:
		return "a list"
	}
	return "a map"
}

// quoted shows a value in a message: short, and on one line.
func quoted(v any) string {
	const runesMax = 60
	text := Format(v)
	if r := []rune(text); len(r) > runesMax {
		text = string(r[:runesMax]) + "..."
	}
	if _, ok := v.(string); !ok {
		return text
	}
	return strconv.Quote(text)
}

func choices(values []any) string {
	var b bytes.Buffer
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(v))
	}
	return b.String()
}

func list[T ~string](items []T) string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = string(item)
	}
	return strings.Join(names, ", ")
}
