package spec

import (
	"fmt"
	"slices"
	"strings"
)

// field is a key of the language: how it is read, what the JSON Schema says of
// it, and what its documentation begins with. One table per mapping is all
// there is; reader, schema and suggestions come from it.
type field[T any] struct {
	key    string
	doc    string
	schema schema
	read   func(r *reader, v value, into *T)
	empty  bool // may stand without a value
}

// table are the keys that a mapping may have.
type table[T any] struct {
	what      string // as "a task"
	example   string // of the shortest one
	fields    []field[T]
	elsewhere map[string]string // keys that people write instead, and what to do about it
}

func (t *table[T]) find(key string) *field[T] {
	for i := range t.fields {
		if t.fields[i].key == key {
			return &t.fields[i]
		}
	}
	return nil
}

func (t *table[T]) keys() []string {
	keys := make([]string, len(t.fields))
	for i, f := range t.fields {
		keys[i] = f.key
	}
	return keys
}

// fill reads a mapping into a struct and returns its entries.
func fill[T any](r *reader, v value, t *table[T], into *T) []entry {
	if !v.mapping() {
		r.fault(v, fmt.Sprintf("%s must be a mapping, found %s", t.what, v.kind()), "write "+t.example)
		return nil
	}
	all := r.entries(v)
	for i := range all {
		e := &all[i]
		f := t.find(e.key)
		switch {
		case f == nil:
			e.unread, e.meant = true, r.unknown(*e, t.what, t.keys(), t.elsewhere)
		case e.null() && !f.empty:
			e.unread = true
			r.faultAtKey(e.value, "has no value", "write one, or remove the key")
		default:
			f.read(r, e.value, into)
		}
	}
	return all
}

// unknown is the fault of a key that does not exist. It returns the key that
// was probably meant, if there is one.
func (r *reader) unknown(e entry, what string, keys []string, elsewhere map[string]string) (meant string) {
	message := fmt.Sprintf("unknown key %s in %s", quote(e.key), what)
	hint, ok := elsewhere[strings.ToLower(e.key)]
	if !ok {
		hint = didYouMean(e.key, keys)
	}
	if hint == "" {
		hint = "it may have " + strings.Join(keys, ", ")
	}
	r.faultAtKey(e.value, message, hint)
	if rest, ok := strings.CutPrefix(hint, `did you mean "`); ok {
		meant, _, _ = strings.Cut(rest, `"`)
	}
	return meant
}

// said reports whether a key was there, even misspelt or without a value: then
// that is the fault to mend.
func said(entries []entry, key string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.key == key || e.meant == key })
}

// lift makes a field of a part a field of the whole.
func lift[P, W any](fields []field[P], part func(*W) *P) []field[W] {
	all := make([]field[W], len(fields))
	for i, f := range fields {
		all[i] = field[W]{key: f.key, doc: f.doc, schema: f.schema, empty: f.empty, read: func(r *reader, v value, into *W) {
			f.read(r, v, part(into))
		}}
	}
	return all
}
