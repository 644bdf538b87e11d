package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fill takes all space of the disk that dir is on, to the last byte.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "junk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// The disk with the store and the worker fills up while a task runs. The task
// goes on, what is refused is not there, and what was accepted is done, once.
func TestFullDisk_NothingIsLost(t *testing.T) {
	mounted := disk(t, "size=16m")
	w := newWorld(t, filepath.Join(mounted, "data"))
	file := w.file(`
name: long
tasks:
  a:
    run: |
      echo a$SEMEL_ATTEMPT >> DIR/ran
      until [ -e DIR/go ]; do sleep 0.02; done
      echo a-end >> DIR/ran
  b: {needs: a, run: "echo b$SEMEL_ATTEMPT >> DIR/ran"}
`)
	w.up()
	run := w.start(file)
	w.until("a runs", func() bool { return len(w.lines("ran")) == 1 })

	free := fill(t, mounted)
	other := w.path("other.yaml")
	if err := os.WriteFile(other, []byte("{name: other, tasks: {x: {run: \"echo $SEMEL_RUN_ID >> "+w.path("others")+"\"}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var accepted []string
	refusedKey := ""
	for i := 0; refusedKey == ""; i++ {
		key := fmt.Sprintf("key-%d", i)
		r := w.client("start", other, "--key", key)
		switch {
		case r.Code == 0:
			accepted = append(accepted, strings.TrimSpace(r.Out)) // a few bytes were left after all
		case r.Code == 1 && strings.Contains(r.Err, "no space is left"):
			refusedKey = key
		default:
			t.Fatalf("start on a full disk: exit code %d: %s", r.Code, r.Err)
		}
	}
	if s := w.show(run); s.Run.State != "running" {
		t.Errorf("the run is %s, want running", s.Run.State)
	}
	w.touch("go")
	w.until("the server sees that its store is full", func() bool {
		return strings.Contains(w.server.Log.String(), "does not take a commit")
	})
	w.until("a ends on the full disk", func() bool { return slices.Contains(w.lines("ran"), "a-end") })
	if got := w.lines("ran"); len(got) != 2 {
		t.Errorf("b ran although the end of a could not be committed: %q", got)
	}

	free()
	for _, s := range w.wait(run, "succeeded").Tasks {
		if len(s.Attempts) != 1 {
			t.Errorf("task %s had %d attempts, want 1", s.Name, len(s.Attempts))
		}
	}
	if got, want := w.lines("ran"), []string{"a1", "a-end", "b1"}; !slices.Equal(got, want) {
		t.Errorf("the tasks left %q, want %q", got, want)
	}
	accepted = append(accepted, w.start(other, "--key", refusedKey))
	for _, run := range accepted {
		w.wait(run, "succeeded")
	}
	got := w.lines("others")
	slices.Sort(got)
	slices.Sort(accepted)
	if !slices.Equal(got, accepted) {
		t.Errorf("the runs %q left a line, want those that were accepted, each once: %q", got, accepted)
	}
	w.verify()
}

// A server that is started on a full disk says so and changes nothing.
func TestFullDiskAtTheStart_RefusedAndKept(t *testing.T) {
	mounted := disk(t, "size=16m")
	w := newWorld(t, filepath.Join(mounted, "data"))
	if r := w.run("run", w.file(traced), "--data", w.Data, "-q"); r.Code != 0 {
		t.Fatal(r.Err)
	}
	free := fill(t, mounted)
	fresh := filepath.Join(mounted, "fresh")
	w.refused(2, []string{"no space"}, "run", w.path("workflow.yaml"), "--data", fresh)
	w.refused(2, []string{"no space"}, "standalone", "--data", fresh, "--listen", "127.0.0.1:0")
	free()
	w.up()
	if s := w.show("last"); s.Run.State != "succeeded" {
		t.Errorf("the run is %s, want succeeded", s.Run.State)
	}
	w.verify()
}
