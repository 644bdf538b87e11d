package param

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

const (
	patternBytesMax = 256     // of a regular expression
	patternStepsMax = 1_000   // of its program
	matchStepsMax   = 4 << 20 // of its program times bytes of text: at most some 0.1 s
	partsMax        = 1_000   // of a split
)

// function is one of ours, called on a string. CEL counts the cost of a call
// when it is over, so that each must be bounded by itself: none takes or makes
// more than valueBytesMax.
type function struct {
	name   string
	args   []*cel.Type // after the string
	result *cel.Type
	call   func(text string, args []ref.Val) (ref.Val, error)
}

var functions = []function{
	{"lower", nil, cel.StringType, func(text string, _ []ref.Val) (ref.Val, error) {
		return types.String(strings.ToLower(text)), nil
	}},
	{"upper", nil, cel.StringType, func(text string, _ []ref.Val) (ref.Val, error) {
		return types.String(strings.ToUpper(text)), nil
	}},
	{"trim", nil, cel.StringType, func(text string, _ []ref.Val) (ref.Val, error) {
		return types.String(strings.TrimSpace(text)), nil
	}},
	{"split", []*cel.Type{cel.StringType}, cel.ListType(cel.StringType), split},
	{"replace", []*cel.Type{cel.StringType, cel.StringType}, cel.StringType, replace},
	{"substring", []*cel.Type{cel.IntType}, cel.StringType, substring},
	{"substring", []*cel.Type{cel.IntType, cel.IntType}, cel.StringType, substring},
	{"matches", []*cel.Type{cel.StringType}, cel.BoolType, matches},
}

// functionNames are those an author may think of, for messages.
var functionNames = []string{
	"int", "double", "string", "bool", "size", "contains", "startsWith", "endsWith", "matches", "lower", "upper", "trim",
	"split", "join", "replace", "substring", "has", "all", "exists", "exists_one", "filter", "map", "type", "uint", "bytes", "dyn",
}

func functionOptions() []cel.EnvOption {
	options := []cel.EnvOption{
		cel.Function("join", cel.MemberOverload("semel_join", []*cel.Type{cel.ListType(cel.StringType), cel.StringType}, cel.StringType,
			cel.BinaryBinding(func(list, separator ref.Val) ref.Val { return orError(join(list.(traits.Lister), separator)) }))),
	}
	for _, f := range functions {
		args := append([]*cel.Type{cel.StringType}, f.args...)
		options = append(options, cel.Function(f.name, cel.MemberOverload(f.overload(), args, f.result,
			cel.FunctionBinding(func(values ...ref.Val) ref.Val {
				text, ok := values[0].(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(values[0])
				}
				for _, v := range values {
					if s, ok := v.(types.String); ok && len(s) > valueBytesMax {
						return types.NewErr("%s() takes strings of at most %d bytes", f.name, valueBytesMax)
					}
				}
				return orError(f.call(string(text), values[1:]))
			}))))
	}
	return options
}

func (f function) overload() string { return fmt.Sprintf("semel_%s_%d", f.name, len(f.args)) }

// functionCosts makes CEL count what ours read and make, as it counts its own:
// a tenth per byte.
func functionCosts() []cel.ProgramOption {
	plain := func(args []ref.Val, result ref.Val) *uint64 {
		n := sizeOfVal(result)
		for _, arg := range args {
			n += sizeOfVal(arg)
		}
		n = 1 + n/10
		return &n
	}
	trackers := []cost.TrackerOption{cost.OverloadTracker("semel_join", plain)}
	for _, f := range functions {
		tracker := plain
		if f.name == "matches" {
			tracker = matchCost
		}
		trackers = append(trackers, cost.OverloadTracker(f.overload(), tracker))
	}
	return []cel.ProgramOption{cel.CostTrackerOptions(trackers...)}
}

// matchCost is that of making the program and of running it, if it is run.
func matchCost(args []ref.Val, _ ref.Val) *uint64 {
	text, _ := args[0].(types.String)
	pattern, _ := args[1].(types.String)
	n := uint64(10 + len(pattern))
	if steps, err := matchable(string(text), string(pattern)); err == nil {
		n += uint64(steps) * uint64(10+len(text)/50)
	}
	return &n
}

// sizeOfVal is the length of a string, or of the strings in a list.
func sizeOfVal(v ref.Val) uint64 {
	switch value := v.(type) {
	case types.String:
		return uint64(len(value))
	case traits.Lister:
		n := uint64(0)
		for it := value.Iterator(); it.HasNext() == types.True; {
			if s, ok := it.Next().(types.String); ok {
				n += uint64(len(s))
			}
			n += 10
		}
		return n
	}
	return 1
}

func orError(v ref.Val, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	return v
}

func split(text string, args []ref.Val) (ref.Val, error) {
	parts := strings.SplitN(text, string(args[0].(types.String)), partsMax+1)
	if len(parts) > partsMax {
		return nil, fmt.Errorf("split() yields more than %d parts", partsMax)
	}
	return types.NewStringList(types.DefaultTypeAdapter, parts), nil
}

func replace(text string, args []ref.Val) (ref.Val, error) {
	from, to := string(args[0].(types.String)), string(args[1].(types.String))
	if size := len(text) + strings.Count(text, from)*(len(to)-len(from)); size > valueBytesMax {
		return nil, fmt.Errorf("replace() would yield %d bytes, at most %d are allowed", size, valueBytesMax)
	}
	return types.String(strings.ReplaceAll(text, from, to)), nil
}

// substring counts in characters: from the first, to before the second.
func substring(text string, args []ref.Val) (ref.Val, error) {
	length := int64(utf8.RuneCountInString(text))
	from, to := int64(args[0].(types.Int)), length
	if len(args) == 2 {
		to = int64(args[1].(types.Int))
	}
	if from < 0 || to < from || to > length {
		return nil, fmt.Errorf("substring() from %d to %d is outside of a string of %d characters", from, to, length)
	}
	return types.String(text[byteOffset(text, int(from)):byteOffset(text, int(to))]), nil
}

func matches(text string, args []ref.Val) (ref.Val, error) {
	pattern := string(args[0].(types.String))
	if _, err := matchable(text, pattern); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("bad regular expression: %w", err)
	}
	return types.Bool(re.MatchString(text)), nil
}

// matchable bounds a match before it begins, and returns the length of its
// program. Go's regular expressions take time in proportion to their program
// and the text, never more; but {1000} makes a large program of a short
// pattern.
func matchable(text, pattern string) (steps int, err error) {
	if len(pattern) > patternBytesMax {
		return 0, fmt.Errorf("the regular expression is %d bytes long, at most %d are allowed", len(pattern), patternBytesMax)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("bad regular expression: %w", err)
	}
	steps = treeSteps(tree)
	if steps > patternStepsMax || steps*len(text) > matchStepsMax {
		return 0, fmt.Errorf("the regular expression is too complex for a text of %d bytes: use smaller repeat counts", len(text))
	}
	return steps, nil
}

func treeSteps(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n += treeSteps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1) + 1
	}
	return min(n, 1<<20) // nested counts multiply
}

func join(list traits.Lister, separator ref.Val) (ref.Val, error) {
	between, ok := separator.(types.String)
	if !ok {
		return nil, fmt.Errorf("no such overload")
	}
	var b strings.Builder
	for it, first := list.Iterator(), true; it.HasNext() == types.True; first = false {
		part, ok := it.Next().(types.String)
		if !ok {
			return nil, fmt.Errorf("join() takes a list of strings: convert its items with string()")
		}
		if !first {
			b.WriteString(string(between))
		}
		if b.Len()+len(part)+len(between) > valueBytesMax {
			return nil, fmt.Errorf("join() would yield more than %d bytes", valueBytesMax)
		}
		b.WriteString(string(part))
	}
	return types.String(b.String()), nil
}
