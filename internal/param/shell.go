package param

import "strings"

// mark stands for an expression in a script while its quotes are followed. A
// script cannot hold a NUL, so that it is nothing else.
const mark = 0

// shellDepthMax bounds what is open within each other in a script.
const shellDepthMax = 100

// shell follows the quotes of a script for a POSIX shell, bash or zsh, as far
// as it must be known where an expression stands. If it is mistaken about a
// script, that script may see the name of a variable instead of its value; no
// value becomes code, since none is ever in the script.
type shell struct {
	text       string
	at         int
	places     []place // of each mark, in order
	heredocs   []heredoc
	arithmetic int // how many $(( )) are open
	depth      int
	tooDeep    bool
}

// heredoc is announced on a line; its body starts with the next line.
type heredoc struct {
	delimiter string
	quoted    bool // nothing is expanded in it
	tabs      bool // <<-: its delimiter may be indented by tabs
}

// places returns where each mark of the text stands, in order. False: too much
// is open within each other to tell.
func places(text string) ([]place, bool) {
	s := &shell{text: text}
	s.commands(-1)
	return s.places, !s.tooDeep
}

// next returns the byte n after this one, or -1 behind the end.
func (s *shell) next(n int) int {
	if s.at+n < len(s.text) {
		return int(s.text[s.at+n])
	}
	return -1
}

func (s *shell) has(prefix string) bool { return strings.HasPrefix(s.text[s.at:], prefix) }

// note takes a mark.
func (s *shell) note(p place) {
	if p == inWords && s.arithmetic > 0 {
		p = inArithmetic
	}
	s.places = append(s.places, p)
	s.at++
}

// enter reports whether something more may be open.
func (s *shell) enter() bool {
	s.depth++
	if s.depth > shellDepthMax {
		s.tooDeep = true
		s.at = len(s.text)
	}
	return !s.tooDeep
}

func (s *shell) leave() { s.depth-- }

// commands takes commands up to the byte that ends them, and that byte.
func (s *shell) commands(end int) {
	if !s.enter() {
		return
	}
	defer s.leave()
	word, first := false, true // within a word; where a command's name may stand
	cases := 0                 // open case ... esac: their patterns end with a ) of their own
	for s.at < len(s.text) {
		c := s.next(0)
		if c == end && (c != ')' || cases == 0) {
			s.at++
			return
		}
		switch c {
		case '\n':
			s.at++
			s.bodies()
			word, first = false, true
			continue
		case ' ', '\t':
			s.at++
			word = false
			continue
		case ';', '&', '|', ')':
			s.at++
			word, first = false, true
			continue
		case '#':
			if !word {
				s.comment(end)
				continue
			}
			s.at++
		case '(':
			if !word && s.next(1) == '(' {
				s.at += 2
				s.sum()
				continue
			}
			s.at++
			s.commands(')')
			word, first = false, true
			continue
		case '<', '>':
			s.redirection()
			word = false
			continue
		case '\'':
			s.at++
			s.single()
		default:
			if !word && first {
				name := s.word()
				cases += caseOf(name)
				first = wordsBefore[name]
				if name != "" {
					s.at += len(name)
					word = true
					continue
				}
			}
			s.expansion(false)
		}
		word, first = true, false
	}
}

// wordsBefore are followed by the name of a command.
var wordsBefore = map[string]bool{
	"if": true, "then": true, "else": true, "elif": true, "while": true, "until": true, "do": true, "{": true, "!": true,
}

func caseOf(word string) int {
	switch word {
	case "case":
		return 1
	case "esac":
		return -1
	}
	return 0
}

// word returns the plain word that starts here, if it ends plainly too.
func (s *shell) word() string {
	rest := s.text[s.at:]
	n := strings.IndexFunc(rest, func(r rune) bool { return (r < 'a' || r > 'z') && r != '{' && r != '!' })
	if n < 0 {
		n = len(rest)
	}
	if n < len(rest) && !strings.ContainsRune(" \t\n;&|()", rune(rest[n])) {
		return ""
	}
	return rest[:n]
}

// expansion takes what is special outside of single quotes, or one byte.
// Between double quotes a ' is an ordinary byte.
func (s *shell) expansion(inDouble bool) {
	switch c := s.next(0); {
	case c == mark:
		s.note(inWords)
	case c == '\\':
		s.at++
		s.escaped()
	case c == '"':
		s.at++
		s.double()
	case c == '`':
		s.at++
		s.commands('`')
	case s.has("$(("):
		s.at += 3
		s.sum()
	case s.has("$("):
		s.at += 2
		s.commands(')')
	case s.has("${"):
		s.at += 2
		s.braces(inDouble)
	case s.has("$'") && !inDouble:
		s.at += 2
		s.ansi()
	default:
		s.at++
	}
}

// escaped takes the byte behind a backslash.
func (s *shell) escaped() {
	if s.next(0) == mark {
		s.note(afterBackslash)
		return
	}
	s.at++
}

// comment goes to the end of the line; that of a command in backquotes ends
// with them.
func (s *shell) comment(end int) {
	for s.at < len(s.text) {
		switch c := s.next(0); {
		case c == mark:
			s.note(inComment)
		case c == '\n' || c == '`' && end == '`':
			return
		default:
			s.at++
		}
	}
}

func (s *shell) single() {
	for s.at < len(s.text) {
		switch s.next(0) {
		case mark:
			s.note(inSingleQuotes)
		case '\'':
			s.at++
			return
		default:
			s.at++
		}
	}
}

func (s *shell) ansi() {
	for s.at < len(s.text) {
		switch s.next(0) {
		case mark:
			s.note(inANSIQuotes)
		case '\\':
			s.at++
			s.escaped()
		case '\'':
			s.at++
			return
		default:
			s.at++
		}
	}
}

func (s *shell) double() {
	if !s.enter() {
		return
	}
	defer s.leave()
	for s.at < len(s.text) {
		if s.next(0) == '"' {
			s.at++
			return
		}
		s.expansion(true)
	}
}

// braces takes the rest of ${...}. Between double quotes a ' is an ordinary
// byte in ${x:-word}, but a quote in the pattern of ${x#pattern}.
func (s *shell) braces(inDouble bool) {
	if !s.enter() {
		return
	}
	defer s.leave()
	rest := strings.TrimLeft(strings.TrimPrefix(s.text[s.at:], "#"), nameBytes)
	inDouble = inDouble && (rest == "" || !strings.ContainsRune("#%/^,", rune(rest[0])))
	for s.at < len(s.text) {
		switch c := s.next(0); {
		case c == '}':
			s.at++
			return
		case c == '\'' && !inDouble:
			s.at++
			s.single()
		default:
			s.expansion(inDouble)
		}
	}
}

// nameBytes are those of a variable's name.
const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"

// sum takes the rest of $((...)).
func (s *shell) sum() {
	if !s.enter() {
		return
	}
	defer s.leave()
	s.arithmetic++
	defer func() { s.arithmetic-- }()
	open := 0
	for s.at < len(s.text) {
		switch c := s.next(0); {
		case c == '(':
			open++
			s.at++
		case c == ')' && open > 0:
			open--
			s.at++
		case c == ')':
			s.at++
			if s.next(0) == ')' {
				s.at++
			}
			return
		default:
			s.expansion(true)
		}
	}
}

// redirection takes <, >, <(, >(, <<< and the announcement of a here-document.
func (s *shell) redirection() {
	switch {
	case s.has("<<<"):
		s.at += 3
	case s.has("<<"):
		s.at += 2
		s.announce()
	case s.has("<(") || s.has(">("):
		s.at += 2
		s.commands(')')
	default:
		s.at++
	}
}

// announce takes what follows <<: - and the delimiter.
func (s *shell) announce() {
	var h heredoc
	if s.next(0) == '-' {
		h.tabs = true
		s.at++
	}
	for s.next(0) == ' ' || s.next(0) == '\t' {
		s.at++
	}
	var word strings.Builder
	quote := -1
	for ; s.at < len(s.text); s.at++ {
		c := s.next(0)
		switch {
		case c == mark:
			s.places = append(s.places, inDelimiter)
		case c == quote:
			quote = -1
		case quote >= 0:
			word.WriteByte(byte(c))
		case c == '\'' || c == '"':
			quote, h.quoted = c, true
		case c == '\\':
			h.quoted = true
		case strings.IndexByte(" \t\n;&|()<>", byte(c)) >= 0:
			h.delimiter = word.String()
			s.heredocs = append(s.heredocs, h)
			return
		default:
			word.WriteByte(byte(c))
		}
	}
}

// bodies takes the here-documents that the line before announced.
func (s *shell) bodies() {
	announced := s.heredocs
	s.heredocs = nil
	for _, h := range announced {
		for s.at < len(s.text) && !s.endOf(h) {
			s.bodyLine(h)
		}
	}
}

// endOf takes the line that ends a here-document, if this is it.
func (s *shell) endOf(h heredoc) bool {
	line, _, _ := strings.Cut(s.text[s.at:], "\n")
	bare := line
	if h.tabs {
		bare = strings.TrimLeft(line, "\t")
	}
	if bare != h.delimiter {
		return false
	}
	s.at = min(s.at+len(line)+1, len(s.text))
	return true
}

func (s *shell) bodyLine(h heredoc) {
	for s.at < len(s.text) {
		switch c := s.next(0); {
		case c == '\n':
			s.at++
			return
		case h.quoted && c == mark:
			s.note(inQuotedHeredoc)
		case h.quoted || c == '"':
			s.at++
		default:
			s.expansion(true)
		}
	}
}
