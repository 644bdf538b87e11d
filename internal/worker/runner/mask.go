package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

const (
	maskText  = "***"
	secretMin = 3 // a shorter value would black out half of every log
)

// masker replaces secrets in a stream, wherever the stream is cut into
// writes. It holds back only what may be the beginning of a secret.
type masker struct {
	secrets [][]byte // longest first
	held    []byte
}

// newMasker returns nil if there is nothing to mask. Of a value of several
// lines each line is a secret, since a log may show them one by one. Beside the
// value as it is, its usual encodings are masked.
func newMasker(values []string) *masker {
	var all []string
	for _, value := range values {
		for line := range strings.Lines(value) {
			line = strings.TrimRight(line, "\r\n")
			if len(line) >= secretMin {
				all = append(all, line)
				all = append(all, encodings(line)...)
			}
		}
		if strings.Contains(value, "\n") {
			all = append(all, base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m := &masker{}
	for _, s := range slices.Compact(all) {
		m.secrets = append(m.secrets, []byte(s))
	}
	return m
}

func encodings(s string) []string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return []string{
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		url.QueryEscape(s), url.PathEscape(s), string(quoted[1 : len(quoted)-1]),
	}
}

// mask takes the next piece of the stream and returns what may be shown of it.
// The result is valid until the next call.
func (m *masker) mask(p []byte) []byte {
	m.held = append(m.held, p...)
	out, rest := m.replace(m.held, false)
	m.held = append(m.held[:0:0], rest...)
	return out
}

// flush returns what was held back: the stream has ended.
func (m *masker) flush() []byte {
	out, _ := m.replace(m.held, true)
	m.held = nil
	return out
}

// text masks a whole text.
func (m *masker) text(s string) string {
	if m == nil || s == "" {
		return s
	}
	out, _ := m.replace([]byte(s), true)
	return string(out)
}

// replace masks b. Unless it is the end of the stream, it stops where a secret
// may have begun, and returns the rest from there.
func (m *masker) replace(b []byte, end bool) (out, rest []byte) {
	for {
		stop := len(b)
		if !end {
			stop = m.mayBegin(b)
		}
		at, length := m.first(b)
		if at < 0 || at >= stop {
			return append(out, b[:stop]...), b[stop:]
		}
		out = append(append(out, b[:at]...), maskText...)
		b = b[at+length:]
	}
}

// first finds the earliest secret in b, the longest of those that begin there.
func (m *masker) first(b []byte) (at, length int) {
	at = -1
	for _, s := range m.secrets {
		within := b
		if at >= 0 { // only what begins earlier is of interest now
			within = b[:min(len(b), at+len(s)-1)]
		}
		if i := bytes.Index(within, s); i >= 0 {
			at, length = i, len(s)
		}
	}
	return at, length
}

// mayBegin returns the first position from which on b could be the beginning
// of a secret, or its length.
func (m *masker) mayBegin(b []byte) int {
	from := max(0, len(b)-len(m.secrets[0])+1)
	for at := from; at < len(b); at++ {
		for _, s := range m.secrets {
			if len(s) > len(b)-at && bytes.HasPrefix(s, b[at:]) {
				return at
			}
		}
	}
	return len(b)
}
