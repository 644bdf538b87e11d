package e2e

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// traced leaves a line when it runs.
const traced = `
name: traced
params: {region: cn}
tasks:
  a: {run: "echo $PARAM_REGION >> DIR/ran"}
`

func TestUnknownParameter_NothingIsStarted(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(traced)
	want := []string{`unknown parameter "regoin"`, `did you mean "region"?`}
	w.refused(2, want, "run", file, "-p", "regoin=eu")
	w.refused(2, want, "run", file, "-p", "regoin=eu", "--data", w.Data)
	w.up()
	w.refused(2, want, "start", file, "-p", "regoin=eu", "--server", w.server.URL)
	if r := w.client("list"); r.Err == "" || r.Out != "" {
		t.Errorf("there is a run: %s", r.Out)
	}
	w.wait(w.start(file, "-p", "region=eu"), "succeeded")
	if got := w.lines("ran"); len(got) != 1 || got[0] != "eu" {
		t.Errorf("the task left %q, want only eu", got)
	}
}

func TestPortInUse_Refused(t *testing.T) {
	w := newWorld(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	w.refused(2, []string{address + " is in use", "--listen"}, "standalone", "--data", w.Data, "--listen", address)
	w.up() // nothing is left behind that is in the way
}

// A directory that cannot be written is refused by whatever would write to it,
// also for root, whom permissions do not stop.
func TestUnwritableDirectory_Refused(t *testing.T) {
	readOnly := disk(t, "size=1m")
	if err := unix.Mount("", readOnly, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "")
	file := w.file(traced)
	for _, test := range []struct{ data, named string }{
		{filepath.Join(readOnly, "data"), readOnly}, // cannot be made
		{readOnly, readOnly},                        // is there, and cannot be written
		{file, file},                                // is a file
		{filepath.Join(file, "data"), file},         // is below a file
	} {
		w.refused(2, []string{test.named}, "run", file, "--data", test.data)
		w.refused(2, []string{test.named}, "standalone", "--data", test.data, "--listen", "127.0.0.1:0")
	}
	if got := w.lines("ran"); len(got) != 0 {
		t.Errorf("a task ran: %q", got)
	}
}

func TestReadOnlyStore_RefusedAndKept(t *testing.T) {
	mounted := disk(t, "size=16m")
	w := newWorld(t, filepath.Join(mounted, "data"))
	if r := w.run("run", w.file(traced), "--data", w.Data, "-q"); r.Code != 0 {
		t.Fatal(r.Err)
	}
	if err := unix.Mount("", mounted, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	want := []string{w.Data, "read-only"}
	w.refused(2, want, "standalone", "--data", w.Data, "--listen", "127.0.0.1:0")
	w.refused(2, want, "run", w.path("workflow.yaml"), "--data", w.Data)
	w.refused(2, want, "run", "--resume", "last", "--data", w.Data)
	if err := unix.Mount("", mounted, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	w.up()
	if s := w.show("last"); s.Run.State != "succeeded" {
		t.Errorf("the run is %s, want succeeded", s.Run.State)
	}
	w.verify()
}

func TestDamagedStore_RefusedAndLeftAsItIs(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"header": func(b []byte) []byte { return append(bytes.Repeat([]byte{0xa5}, 100), b[100:]...) },
		"half":   func(b []byte) []byte { return b[:len(b)/2] },
		"other":  func([]byte) []byte { return bytes.Repeat([]byte("this is not a store\n"), 500) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			if r := w.run("run", w.file(traced), "--data", w.Data, "-q"); r.Code != 0 {
				t.Fatal(r.Err)
			}
			path := filepath.Join(w.Data, "semel.db")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(whole)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			want := []string{path, "corrupt", "backup"}
			w.refused(2, want, "standalone", "--data", w.Data, "--listen", "127.0.0.1:0")
			w.refused(2, want, "run", w.path("workflow.yaml"), "--data", w.Data)
			w.refused(2, want, "verify", "--data", w.Data)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the damaged file was changed: %d bytes of %d, %v", len(now), len(damaged), err)
			}
			if got := w.lines("ran"); len(got) != 1 {
				t.Errorf("the task ran %d times, want once, before the damage", len(got))
			}
		})
	}
}

func TestSecondProcess_RefusedWhileTheFirstServes(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(traced)
	w.up()
	w.refused(2, []string{w.Data, "in use"}, "standalone", "--data", w.Data, "--listen", "127.0.0.1:0")
	w.refused(2, []string{w.Data, "in use"}, "run", file, "--data", w.Data)
	w.refused(2, []string{w.Data, "a server uses"}, "verify", "--data", w.Data)
	w.wait(w.start(file), "succeeded")
	w.verify()
	w.server.Kill() // the lock goes with its process, however that ends
	w.up()
	w.wait(w.start(file), "succeeded")
}
