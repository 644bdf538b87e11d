package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/flow"
)

// update rewrites the golden files. Read the diff: each message is something
// that a person has to act on.
var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// TestGood reads files that are right and compares the workflows.
func TestGood(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w := mustParse(t, filepath.Base(file), read(t, file))
			text, err := json.MarshalIndent(w, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".json", append(text, '\n'))
			checkFormat(t, w)
		})
	}
}

// TestBroken reads files that are wrong and compares the messages.
func TestBroken(t *testing.T) {
	all := files(t, "testdata/broken/*.yaml")
	if len(all) < 60 {
		t.Errorf("%d broken files, want at least 60", len(all))
	}
	for _, file := range all {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w, err := Parse(filepath.Base(file), read(t, file))
			if err == nil {
				t.Fatalf("parsed: %+v", w)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(err.Error()+"\n"))
		})
	}
}

// checkFormat is the law of Format: what it writes is read back as the same
// workflow, and written again as the same text.
func checkFormat(t *testing.T, w *flow.Workflow) {
	t.Helper()
	text, err := Format(w)
	if err != nil {
		t.Fatalf("format: %v", err)
	}
	again, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("what Format wrote does not parse: %v\n%s", err, text)
	}
	if diff := cmp.Diff(w, again); diff != "" {
		t.Fatalf("what Format wrote is another workflow (-before +after):\n%s\n%s", diff, text)
	}
	if Digest(w) != Digest(again) {
		t.Fatal("equal workflows have different digests")
	}
	twice, err := Format(again)
	if err != nil || !bytes.Equal(text, twice) {
		t.Fatalf("the second text differs from the first (%v):\n%s", err, cmp.Diff(string(text), string(twice)))
	}
}

func mustParse(t *testing.T, file string, src []byte) *flow.Workflow {
	t.Helper()
	w, err := Parse(file, src)
	if err != nil {
		t.Fatalf("\n%v", err)
	}
	return w
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(all), err)
	}
	return all
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// golden compares a result with the file that holds what it should be.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(read(t, file)), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
