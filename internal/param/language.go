package param

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
)

// The bounds of an expression. Whoever may write a workflow may write any
// expression, and it is evaluated in the master: none may take it down.
const (
	costMax       = 100_000 // CEL's own measure; about 10 ms of work
	memoryMax     = 1 << 17 // likewise: items, or tens of bytes, of any one value
	nodesMax      = 2_000   // of the syntax tree, expanded
	recursionMax  = 32      // of the syntax
	recoveriesMax = 1       // after an error of syntax: only the first is reported
)

// language is what expressions are written in: CEL without messages, and
// without what grows faster than its cost is counted. It is made at start: that
// takes some 0.3 ms, and it is never changed afterwards.
var language = mustLanguage()

// programOptions bound each evaluation.
var programOptions = append([]cel.ProgramOption{
	cel.CostLimit(costMax),
	cel.MemoryLimit(memoryMax),
}, functionCosts()...)

func mustLanguage() *cel.Env {
	registry, err := types.NewRegistry()
	if err != nil {
		panic(fmt.Sprintf("param: the registry of CEL's own types: %v", err))
	}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().AddExcludedFunctions(
			excluded()...))),
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(facts{registry}),
		cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("tasks", cel.MapType(cel.StringType, cel.ObjectType(typeUpstream))),
		cel.Variable("run", cel.ObjectType(typeRun)),
		cel.Variable("task", cel.ObjectType(typeTask)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(recursionMax),
		cel.ParserErrorRecoveryLimit(recoveriesMax),
		cel.ParserExpressionSizeLimit(expressionBytesMax),
		cel.ExpressionNodeLimit(nodesMax),
	}
	e, err := cel.NewCustomEnv(append(options, functionOptions()...)...)
	if err != nil {
		panic(fmt.Sprintf("param: the language of expressions: %v", err))
	}
	return e
}

// excluded are the functions of CEL's standard library that are left out.
func excluded() []*env.Function {
	names := []string{
		"matches", // compiles any pattern; ours bounds it
		// What takes the name of a time zone reads files. Time in expressions is
		// that of the business calendar, which is not built yet.
		"timestamp", "duration", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours",
		"getMilliseconds", "getMinutes", "getMonth", "getSeconds",
	}
	functions := make([]*env.Function, len(names))
	for i, name := range names {
		functions[i] = env.NewFunction(name)
	}
	return functions
}
