package crash

import (
	"fmt"
	"os"
	"strings"
)

// The witness is a file outside Semel's reach, to which every task appends one
// line when it starts and one when it ends, each by a single write. Beside it
// every task run takes a lock of its own for as long as it lives: a second
// attempt that finds it taken has proven an overlap, whatever any clock says.

// tasks are in layers, each task needing two of the layer before it.
const (
	layerWidth = 10
	layers     = 30
)

// workflow writes the definition of a run of 300 tasks.
func workflow(witness, locks string) string {
	var b strings.Builder
	b.WriteString("name: crash\ntasks:\n")
	for layer := range layers {
		for i := range layerWidth {
			fmt.Fprintf(&b, "  t%02d_%d:\n", layer, i)
			if layer > 0 {
				fmt.Fprintf(&b, "    needs: [t%02d_%d, t%02d_%d]\n", layer-1, i, layer-1, (i+3)%layerWidth)
			}
			fmt.Fprintf(&b, "    run: |\n")
			fmt.Fprintf(&b, "      exec 9>>%q/$SEMEL_RUN_ID.$SEMEL_TASK\n", locks)
			fmt.Fprintf(&b, "      flock -n 9 || echo \"OVERLAP $SEMEL_RUN_ID $SEMEL_TASK $SEMEL_ATTEMPT\" >> %q\n", witness)
			fmt.Fprintf(&b, "      echo \"START $SEMEL_RUN_ID $SEMEL_TASK $SEMEL_ATTEMPT\" >> %q\n", witness)
			fmt.Fprintf(&b, "      sleep 0.0%d\n", 3+(i*7+layer)%6)
			fmt.Fprintf(&b, "      echo \"END $SEMEL_RUN_ID $SEMEL_TASK $SEMEL_ATTEMPT\" >> %q\n", witness)
		}
	}
	return b.String()
}

// seen is what the witness says of one task run.
type seen struct {
	starts []string // attempt numbers, in order
	ends   []string
}

// testimony is the witness, read.
type testimony struct {
	by       map[string]*seen // run and task
	overlaps []string
	lines    int
}

func read(witness string) (*testimony, error) {
	data, err := os.ReadFile(witness)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	t := &testimony{by: map[string]*seen{}}
	for line := range strings.Lines(string(data)) {
		t.lines++
		words := strings.Fields(line)
		if len(words) != 4 {
			return nil, fmt.Errorf("line %d of the witness is torn: %q", t.lines, line)
		}
		key := words[1] + " " + words[2]
		s := t.by[key]
		if s == nil {
			s = &seen{}
			t.by[key] = s
		}
		switch words[0] {
		case "START":
			s.starts = append(s.starts, words[3])
		case "END":
			s.ends = append(s.ends, words[3])
		case "OVERLAP":
			t.overlaps = append(t.overlaps, strings.TrimSpace(line))
		default:
			return nil, fmt.Errorf("line %d of the witness: %q", t.lines, line)
		}
	}
	return t, nil
}
