package flow

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/param"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts plays the files of testdata: what happened on lines of its
// own, and below each, indented, all that was decided. The comment of a file
// says what to look for.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s differs; run with -update and read the diff. Got:\n%s", file, got)
			}
		})
	}
}

// script is a transcript while it is played.
type script struct {
	t        *testing.T
	workflow Workflow
	run      Run
	world    *world
	out      strings.Builder
}

func play(t *testing.T, text string) string {
	s := &script{t: t}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "    ") {
			continue
		}
		s.out.WriteString(line + "\n")
		if words := split(t, line); len(words) > 0 && !strings.HasPrefix(line, "#") {
			s.line(words)
		}
	}
	return s.out.String()
}

// split cuts a line at spaces outside of double quotes.
func split(t *testing.T, line string) []string {
	var words []string
	var word strings.Builder
	quoted := false
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	if quoted {
		t.Fatalf("a quote is not closed: %s", line)
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, "    "+format+"\n", args...) }

func (s *script) line(words []string) {
	if done := s.declare(words); done {
		return
	}
	if s.world == nil {
		s.world = newWorld(s.t, &s.workflow, s.run)
	}
	v := s.world
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "explain":
		s.explain()
	case "crash":
		s.show(v.crash())
	case "refused":
		s.say("%s", orNothing(v.m.Refusal(command(s.t, words[1:]))))
	case "+":
		v.now = v.now.Add(s.duration(arg(1)))
		s.show(v.apply(Tick{}))
	case "place":
		node := fence.NodeID("n1")
		if arg(2) != "" {
			node = fence.NodeID(arg(2))
		}
		s.show(v.apply(Place{Task: v.index(arg(1)), Node: node, Epoch: 1}))
	case "started":
		s.show(v.apply(Started{Task: arg(1), Generation: s.generation(arg(1), arg(2)), At: v.instant()}))
	case "finished":
		s.show(v.apply(s.finished(words)))
	case "lost":
		s.show(v.apply(Lost{Task: arg(1), Generation: s.generation(arg(1), arg(2)), Reason: "its node was switched off", At: v.instant()}))
	case "buried":
		s.show(v.apply(Buried{Task: arg(1), Generation: s.generation(arg(1), arg(2))}))
	default:
		s.show(v.apply(command(s.t, words)))
	}
}

// declare takes the lines that make the workflow and the run.
func (s *script) declare(words []string) bool {
	switch words[0] {
	case "workflow":
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "on_failure":
				s.workflow.OnFailure = Strategy(value)
			case "parallel":
				s.workflow.Parallel = s.number(value)
			default:
				s.t.Fatalf("workflow: %s", word)
			}
		}
	case "param":
		s.workflow.Params = append(s.workflow.Params, param.Def{Name: words[1], Type: param.String})
		if s.run.Params == nil {
			s.run.Params = param.Values{}
		}
		s.run.Params[words[1]] = words[2]
	case "select":
		s.run.Select = selection(words[1:])
	case "task":
		s.task(words[1:])
	default:
		return false
	}
	return true
}

func (s *script) task(words []string) {
	t := Task{Name: words[0], Type: "noop", Config: json.RawMessage(`{}`)}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "needs":
			t.Needs = strings.Split(value, ",")
		case "join":
			t.Join = Join(value)
		case "when":
			t.When = value
		case "retry":
			t.Retry.Limit = s.number(value)
		case "retry_delay":
			t.Retry.Delay = s.duration(value)
		case "backoff":
			t.Retry.Backoff = float64(s.number(value))
		case "delay_max":
			t.Retry.DelayMax = s.duration(value)
		case "delay":
			t.Delay = s.duration(value)
		case "timeout":
			t.Timeout.After = s.duration(value)
		case "action":
			t.Timeout.Action = TimeoutAction(value)
		case "on_lost":
			t.OnLost = OnLost(value)
		case "priority":
			t.Priority = s.number(value)
		case "disabled":
			t.Disabled = true
		case "allow_failure":
			t.AllowFailure = true
		default:
			s.t.Fatalf("task: %s", word)
		}
	}
	s.workflow.Tasks = append(s.workflow.Tasks, t)
}

func command(t *testing.T, words []string) Input {
	switch words[0] {
	case "begin":
		return Begin{}
	case "stop":
		return Stop{Reason: strings.Join(words[1:], " ")}
	case "pause":
		return Pause{}
	case "resume":
		return Resume{Tasks: words[1:]}
	case "rerun":
		in := Rerun{}
		if len(words) > 1 && words[1] == "failed" {
			in.Failed, words = true, words[1:]
		}
		in.Select = selection(words[1:])
		return in
	case "tick":
		return Tick{}
	}
	t.Fatalf("unknown line: %s", strings.Join(words, " "))
	return nil
}

func selection(words []string) Select {
	var sel Select
	for _, word := range words {
		switch word {
		case "+ancestors":
			sel.Ancestors = true
		case "+descendants":
			sel.Descendants = true
		default:
			sel.Tasks = append(sel.Tasks, word)
		}
	}
	return sel
}

// finished reads: finished TASK [RESULT] [#GENERATION] [KEY=OUTPUT...]
func (s *script) finished(words []string) Input {
	in := Finished{Task: words[1], Generation: s.generation(words[1], ""), Node: s.world.node(words[1]), Outcome: Outcome{Result: Succeeded, Finished: s.world.instant()}}
	for _, word := range words[2:] {
		key, value, output := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "#"):
			in.Generation = s.generation(words[1], word)
		case output:
			if in.Outcome.Outputs == nil {
				in.Outcome.Outputs = Outputs{}
			}
			in.Outcome.Outputs[key] = value
		default:
			in.Outcome.Result = Result(word)
			if in.Outcome.Result == Failed {
				code := 3
				in.Outcome.ExitCode = &code
			}
		}
	}
	return in
}

func (s *script) generation(task, given string) Generation {
	if given == "" {
		return s.world.generation(task)
	}
	return Generation(s.number(strings.TrimPrefix(given, "#")))
}

func (s *script) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *script) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// show writes down all that was decided.
func (s *script) show(out Out) {
	before := s.out.Len()
	if r := out.Run; r != nil {
		s.say("run %s%s%s", r.State, note("round", r.Round), because(r.Reason))
	}
	for _, r := range out.TaskRuns {
		s.say("row %s: %s%s%s%s%s%s%s", r.Task, r.State, note("cause", string(r.Cause)), note("generation", int(r.Generation)),
			note("retries", r.Retries), note("lost", r.Lost), note("wake", moment(r.WakeAt)), because(r.Reason))
	}
	for _, a := range out.Attempts {
		s.say("attempt %s #%d: %s on %s%s%s%s", a.Task, a.Generation, a.State, a.Node, note("retries", a.Retries), note("lost", a.Lost), because(a.Reason))
	}
	for _, i := range out.Ready {
		s.say("ready %s", s.world.m.name(int32(i)))
	}
	if out.Work != nil {
		s.say("work %s #%d", out.Work.Task, out.Work.Generation)
	}
	for _, k := range out.Kill {
		s.say("kill %s #%d on %s%s", k.Task, k.Generation, k.Node, because(k.Reason))
	}
	for _, w := range out.Warn {
		s.say("warn %s: %s", w.Task, w.Message)
	}
	for _, r := range out.Forget {
		s.say("forget %s #%d on %s", r.Task, r.Generation, orNothing(string(r.Node)))
	}
	if s.out.Len() == before {
		s.say("nothing")
	}
	if next := s.world.m.Next(); !next.IsZero() {
		s.say("next timer %s", moment(next))
	}
}

func (s *script) explain() {
	s.say("run %s%s", s.world.m.Run().State, because(s.world.m.Run().Reason))
	for _, view := range s.world.m.Views() {
		sentence, ok := s.world.m.Explain(view.Name)
		if !ok {
			s.t.Fatal(errors.New("no explanation for " + view.Name))
		}
		s.say("%s is %s: %s", view.Name, view.State, sentence)
		for _, key := range slices.Sorted(maps.Keys(view.Outputs)) {
			s.say("    output %s=%s", key, view.Outputs[key])
		}
	}
}

func note[T comparable](name string, value T) string {
	var zero T
	if value == zero {
		return ""
	}
	return fmt.Sprintf(", %s %v", name, value)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("15:04:05")
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
