package runner

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/flow"
)

func TestMask(t *testing.T) {
	const pem = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\r\nxy\n-----END KEY-----\n"
	for name, c := range map[string]struct {
		secrets  []string
		in, want string
	}{
		"Plain":       {[]string{"hunter2"}, "the password is hunter2.\n", "the password is ***.\n"},
		"Twice":       {[]string{"hunter2"}, "hunter2hunter2", "******"},
		"Short":       {[]string{"ab", ""}, "abracadabra", "abracadabra"},
		"Longest":     {[]string{"abc", "abcdef"}, "abcdef abc abcde", "*** *** ***de"},
		"Overlapping": {[]string{"abcd", "cdef"}, "abcdef", "***ef"},
		"Lines":       {[]string{pem}, "x MIIEpAIBAAKCAQEA y\nxy\n-----END KEY-----", "x *** y\nxy\n***"},
		"Base64":      {[]string{"hunter2"}, base64.StdEncoding.EncodeToString([]byte("hunter2")), "***"},
		"URL":         {[]string{"a/b c?d"}, "k=a%2Fb+c%3Fd&l=a%2Fb%20c%3Fd", "k=***&l=***"},
		"JSON":        {[]string{`say "hi"`}, `{"k":"say \"hi\""}`, `{"k":"***"}`},
		"None":        {nil, "text", "text"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newMasker(c.secrets).text(c.in); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestMask_DoesNotDependOnHowTheStreamIsCut is the property that counts: a
// secret that is split over two writes is masked all the same.
func TestMask_DoesNotDependOnHowTheStreamIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 3, 6, -1)
		secrets := rapid.SliceOfN(letters, 1, 4).Draw(t, "secrets")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abc.")), 0, 60, -1).Draw(t, "text")
		whole := newMasker(secrets).text(text)
		m := newMasker(secrets)
		var got []byte
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			got = append(got, m.mask([]byte(rest[:n]))...)
			rest = rest[n:]
		}
		got = append(got, m.flush()...)
		if string(got) != whole {
			t.Errorf("in pieces %q, whole %q", got, whole)
		}
		for _, s := range secrets {
			if strings.Contains(string(got), s) {
				t.Errorf("secret %q is shown in %q", s, got)
			}
		}
	})
}

func TestLog_MasksSecretsInOutputAndReason(t *testing.T) {
	w := newWorker(t, Config{})
	ref := w.dispatch(flow.Work{
		Secrets: []string{"hunter2"}, Env: []string{"TOKEN=hunter2"},
		Config: script(`printf hun; sleep 0.01; printf 'ter2\n'; echo "stderr $TOKEN" >&2; echo "$TOKEN" >>"$SEMEL_OUTPUT"`),
	})
	o := w.outcome(ref)
	if o.Result != flow.Failed || o.Reason != `outputs, line 1: "***" is not an output; write it as name=value` {
		t.Errorf("%+v", o)
	}
	if got, want := w.log(ref), "***\nstderr ***\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestLog_IsLimitedAndKeepsItsEnd(t *testing.T) {
	const limit = 1 << 20
	w := newWorker(t, Config{LogLimit: limit})
	ref := w.dispatch(flow.Work{Config: script("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the end")})
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Fatalf("%+v", o)
	}
	log := w.log(ref)
	if len(log) > limit+1000 || len(log) < limit-1000 {
		t.Errorf("the log takes %d bytes under a limit of %d", len(log), limit)
	}
	if !strings.HasPrefix(log, "xxxx") || !strings.HasSuffix(log, "x\nthe end\n") {
		t.Errorf("it begins with %.20q and ends with %q", log, log[len(log)-20:])
	}
	want := fmt.Sprintf("[semel: %d bytes were dropped here]\n", 50_000_009-(limit-tailSize)-tailSize)
	if !strings.Contains(log, want) {
		t.Errorf("it does not say %q", want)
	}
}

func TestLog_KeepsTheEndWhateverTheWrites(t *testing.T) {
	for size := range 40 {
		l := &logFile{path: filepath.Join(t.TempDir(), "x.log"), limit: tailSize + 1000}
		r := rand.New(rand.NewPCG(1, uint64(size)))
		all := make([]byte, r.IntN(4*tailSize))
		for i := range all {
			all[i] = byte('a' + i%26)
		}
		for rest := all; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(tailSize+tailSize/2))
			_, _ = l.Write(rest[:n])
			rest = rest[n:]
		}
		l.close()
		got, err := os.ReadFile(l.path)
		if err != nil && len(all) > 0 {
			t.Fatal(err)
		}
		end := all[max(min(len(all), 1000), len(all)-tailSize):]
		if len(all) > 0 && (!bytes.HasPrefix(got, all[:min(len(all), 1000)]) || !bytes.HasSuffix(got, end)) {
			t.Errorf("of %d bytes, the beginning or the end is missing", len(all))
		}
	}
}

func TestLog_OfBinaryOutputIsAsItWas(t *testing.T) {
	w := newWorker(t, Config{})
	ref := w.dispatch(flow.Work{Config: script(`printf '\000\377\376\033[31m\n\n'`)})
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Fatalf("%+v", o)
	}
	if got, want := w.log(ref), "\x00\xff\xfe\x1b[31m\n\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestLog_CannotBeWrittenAndTheTaskGoesOn(t *testing.T) {
	w := newWorker(t, Config{})
	if err := os.WriteFile(filepath.Join(w.dir, "logs", string(testRun)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := w.shell("head -c 1000000 /dev/zero"); o.Result != flow.Succeeded {
		t.Errorf("%+v", o)
	}
}
