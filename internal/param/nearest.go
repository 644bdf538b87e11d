package param

import "strings"

// Nearest returns the known name that somebody who wrote name most likely
// meant. False: none is near enough to be worth asking.
func Nearest(name string, known []string) (string, bool) {
	const runesMax = 64 // the cost is quadratic; longer names are nobody's typing
	want := []rune(strings.ToLower(name))
	if len(want) == 0 || len(want) > runesMax {
		return "", false
	}
	best, found := "", false
	bound := max(1, len(want)/3) // typos tolerated, grows with the name
	for _, k := range known {
		have := []rune(strings.ToLower(k))
		if k == name || len(have) == 0 || len(have) > runesMax {
			continue
		}
		d := distance(want, have)
		if d >= len(want) {
			continue // no letter is left of what was written: one letter is near to every other
		}
		if d > bound || found && (d == bound && k >= best) {
			continue
		}
		best, bound, found = k, d, true
	}
	return best, found
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour, to get from a to b.
func distance(a, b []rune) int {
	previous, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], previous[j-2]+1)
			}
		}
		previous, row, next = row, next, previous
	}
	return row[len(b)]
}

// didYouMean returns ": did you mean "x"?", or what there is, or nothing.
func didYouMean(name string, known []string, what string) string {
	if near, ok := Nearest(name, known); ok {
		return ": did you mean " + quoted(near) + "?"
	}
	if len(known) == 0 {
		return ""
	}
	const namesMax = 12
	shown := known
	if len(shown) > namesMax {
		shown = append(append([]string{}, shown[:namesMax]...), "...")
	}
	return ": " + what + " " + strings.Join(shown, ", ")
}
