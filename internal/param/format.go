package param

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Format returns a value as text, as scripts see it: a string is itself, lists
// and maps are JSON with sorted keys. Parse takes it back.
func Format(v any) string {
	switch value := v.(type) {
	case string:
		return value
	case float64:
		return formatFloat(value)
	}
	return string(appendJSON(nil, v))
}

// formatFloat avoids exponents where people would.
func formatFloat(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e15) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func appendJSON(to []byte, v any) []byte {
	switch value := v.(type) {
	case nil:
		return append(to, "null"...)
	case bool:
		return strconv.AppendBool(to, value)
	case int64:
		return strconv.AppendInt(to, value, 10)
	case float64:
		return append(to, formatFloat(value)...)
	case string:
		return appendString(to, value)
	case []any:
		to = append(to, '[')
		for i, item := range value {
			if i > 0 {
				to = append(to, ',')
			}
			to = appendJSON(to, item)
		}
		return append(to, ']')
	case map[string]any:
		to = append(to, '{')
		for i, key := range sorted(value) {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(appendString(to, key), ':')
			to = appendJSON(to, value[key])
		}
		return append(to, '}')
	}
	panic(fmt.Sprintf("param: no parameter holds a %T: %v", v, v))
}

// appendString writes a JSON string without the escapes that are for HTML.
func appendString(to []byte, s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(fmt.Sprintf("param: a string is always JSON: %v", err))
	}
	return append(to, strings.TrimSuffix(b.String(), "\n")...)
}

// EnvName returns the environment variable in which scripts find a parameter.
func EnvName(name string) string {
	return "PARAM_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// sorted returns the keys of a map in order: no map decides an order here.
func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
