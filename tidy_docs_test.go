package semel_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// prose calls visit for every line of a markdown file that is not code.
func (f *source) prose(visit func(n int, line string)) {
	n, code := 0, false
	for line := range strings.Lines(f.text) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			continue
		}
		if !code {
			visit(n, strings.TrimRight(line, "\n"))
		}
	}
}

func isMarkdown(f *source) bool { return strings.HasSuffix(f.path, ".md") }

func checkTitles(files []*source) (faults []string) {
	for _, f := range files {
		if !isMarkdown(f) {
			continue
		}
		titles := 0
		f.prose(func(_ int, line string) {
			if strings.HasPrefix(line, "# ") {
				titles++
			}
		})
		if titles != 1 {
			faults = append(faults, f.line(1, "%d titles, want one", titles))
		}
	}
	return faults
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// checkLinks follows the links between the files of the tree, and to the
// headings in them.
func checkLinks(files []*source) (faults []string) {
	anchors := map[string]map[string]bool{}
	for _, f := range files {
		if isMarkdown(f) {
			anchors[f.path] = headings(f)
		}
	}
	for _, f := range files {
		if !isMarkdown(f) {
			continue
		}
		f.prose(func(n int, line string) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				file, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(file, ":") {
					continue // of another place
				}
				target := f.path
				if file != "" {
					target = path.Join(f.dir, file)
				}
				if _, err := os.Stat(target); err != nil && anchors[target] == nil {
					faults = append(faults, f.line(n, "link to %s: there is no %s", m[1], target))
				} else if anchor != "" && anchors[target] != nil && !anchors[target][anchor] {
					faults = append(faults, f.line(n, "link to %s: %s has no such heading", m[1], target))
				}
			}
		})
	}
	return faults
}

// headings returns the anchors of a file, as they are made on the usual sites:
// lower case, blanks to hyphens, no punctuation.
func headings(f *source) map[string]bool {
	all := map[string]bool{}
	f.prose(func(_ int, line string) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			return
		}
		all[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))] = true
	})
	return all
}
