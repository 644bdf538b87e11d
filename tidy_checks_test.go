package semel_test

import "strings"

// ours is an import of one of our rooms, in a file of its own.
func ours(pkg, imported string) string {
	return "package " + pkg + "\n\nimport _ \"" + module + "/" + imported + "\"\n"
}

// one is a tree of one file.
func one(name, text string) map[string]string { return map[string]string{name: text} }

// checks are all the rules, each with what breaks it and what does not.
var checks = []check{
	{
		name: "Imports", run: checkImports,
		bad: []broken{
			{one("internal/fence/x.go", ours("fence", "internal/flow")), "room internal/fence may not import internal/flow"},
			{one("internal/api/x.go", ours("api", "internal/master")), "room internal/api may not import internal/master"},
			{one("internal/flow/x_test.go", ours("flow", "internal/master")), "room internal/flow may not import internal/master"},
			{one("internal/master/x_test.go", ours("master", "cmd/semel")), "room internal/master may not import cmd/semel"},
			{one("internal/attic/x.go", "package attic\n"), "room internal/attic is not in the table: add it to rooms in tidy_rooms_test.go"},
			{one("internal/flow/x.go", "package flow\n\nimport _ \"sync\"\n"), "pure room internal/flow may not import sync: a machine has one owner"},
			{one("internal/flow/x.go", "package flow\n\nimport _ \"golang.org/x/sys/unix\"\n"), "pure room internal/flow may not import golang.org/x/sys/unix"},
		},
		good: map[string]string{
			"internal/flow/x.go":         ours("flow", "internal/fence"),
			"internal/flow/x_test.go":    ours("flow", "internal/wire"),
			"internal/flow/y_test.go":    "package flow\n\nimport _ \"os\"\n",
			"internal/fence/x_test.go":   ours("fence_test", "internal/fence"),
			"internal/param/x.go":        "package param\n\nimport _ \"cel.dev/cel-go/cel\"\n",
			"internal/master/x_test.go":  ours("master", "internal/store/memory"),
			"internal/master/x.go":       "package master\n\nimport _ \"sync\"\n",
			"internal/store/memory/x.go": ours("memory", "internal/store"),
			"cmd/semel/x.go":             ours("main", "internal/master"),
		},
	},
	{
		name: "PureRooms", run: checkPure,
		bad: []broken{
			{one("internal/flow/x.go", "package flow\n\nimport clock \"time\"\n\nvar now = clock.Now\n"), "time.Now in a pure room"},
			{one("internal/agent/x.go", "package agent\n\nfunc f() { go f() }\n"), "go statement in a pure room"},
			{one("internal/ledger/x.go", "package ledger\n\nfunc f() {\n\tselect {}\n}\n"), "select in a pure room"},
		},
		good: map[string]string{
			"internal/flow/x.go":      "package flow\n\nimport \"time\"\n\nvar second = time.Second\n",
			"internal/flow/x_test.go": "package flow\n\nimport \"time\"\n\nvar now = time.Now\n",
			"internal/master/x.go":    "package master\n\nfunc f() { go f() }\n",
		},
	},
	{
		name: "DotImports", run: checkDotImports,
		bad:  []broken{{one("internal/flow/x.go", "package flow\n\nimport . \"time\"\n\nvar now = Now\n"), "dot import"}},
		good: one("internal/flow/x.go", "package flow\n\nimport _ \"time\"\n"),
	},
	{
		name: "FileLength", run: checkFileLength,
		bad:  []broken{{one("a/x.go", "package a\n"+strings.Repeat("// line\n", fileLinesMax)), "a/x.go:1001: 1001 lines, more than 1000"}},
		good: one("a/x.go", "package a\n"+strings.Repeat("// line\n", fileLinesMax-1)),
	},
	{
		name: "FunctionLength", run: checkFunctionLength,
		bad: []broken{
			{one("a/x.go", "package a\n\nfunc f() {\n"+strings.Repeat("\tf()\n", functionLinesMax-1)+"}\n"), "a/x.go:3: function f has 71 lines, more than 70"},
			{one("a/x.go", "package a\n\nfunc f() {\n\t_ = []int{\n"+strings.Repeat("\t\t1,\n", functionLinesMax)+"\t}\n}\n"), "function f has 74 lines"},
			{one("a/x.go", "package a\n\nfunc g(n int) {\n\tswitch n {\n"+strings.Repeat("\tcase 1:\n\t\tf()\n\t\tf()\n", functionLinesMax)+"\t}\n}\n"), "function g has 214 lines"},
		},
		good: map[string]string{
			"a/x.go":      "package a\n\nfunc f() {\n" + strings.Repeat("\tf()\n", functionLinesMax-2) + "}\n",
			"a/switch.go": "package a\n\nfunc g(n int) {\n\tswitch n {\n" + strings.Repeat("\tcase 1:\n\t\tf()\n", functionLinesMax) + "\t}\n}\n",
			"a/x_test.go": "package a\n\nfunc h() {\n\t_ = []int{\n" + strings.Repeat("\t\t1,\n", functionLinesMax) + "\t}\n}\n",
		},
	},
	{
		name: "PackageNames", run: checkPackageNames,
		bad: []broken{
			{one("internal/helpers/x.go", "package helpers\n"), "package helpers: name it after what it does"},
			{one("internal/types/x.go", "package types\n"), "package types: name it after what it does"},
		},
		good: one("internal/flow/x.go", "package flow\n"),
	},
	{
		name: "PackageComments", run: checkPackageComments,
		bad: []broken{
			{map[string]string{"a/x.go": "package a\n", "a/a_test.go": "package a\n"}, "package a has 0 package comments, want one"},
			{map[string]string{"a/x.go": "// Package a.\npackage a\n", "a/y.go": "// Package a.\npackage a\n"}, "package a has 2 package comments, want one: a/x.go a/y.go"},
		},
		good: map[string]string{"a/x.go": "// Package a is first.\npackage a\n", "a/y.go": "package a\n", "b/b_test.go": "package b\n"},
	},
	{
		name: "Leftovers", run: checkLeftovers,
		bad:  []broken{{one("docs/x.md", "# x\n\nFIX"+"ME: say more\n"), "docs/x.md:3: FIX" + "ME"}},
		good: one("docs/x.md", "# x\n\nDone.\n"),
	},
	{
		name: "MachinePaths", run: checkMachinePaths,
		bad: []broken{
			{one("docs/x.md", "# x\n\ncd /ho"+"me/me/semel\n"), "docs/x.md:3: a path of somebody's own machine"},
			{one("a/x.go", "package a\n\nconst dir = \"/ro"+"ot/semel\"\n"), "a/x.go:3: a path of somebody's own machine"},
		},
		good: one("docs/x.md", "# x\n\nsee docs/work/x and https://example.org/home/x\n"),
	},
	{
		name: "Skips", run: checkSkips,
		bad: []broken{
			{one("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Skip(\"not today\") }\n"), "a/a_test.go:5: Skip: a test that is skipped shows nothing"},
			{one("a/a.go", "package a\n\nimport \"testing\"\n\nfunc Run(t *testing.T) { t.SkipNow() }\n"), "a/a.go:5: SkipNow"},
		},
		good: one("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Log(\"today\") }\n"),
	},
	{
		name: "Titles", run: checkTitles,
		bad: []broken{
			{one("docs/x.md", "# one\n\n# two\n"), "docs/x.md:1: 2 titles, want one"},
			{one("docs/x.md", "## one\n"), "docs/x.md:1: 0 titles, want one"},
		},
		good: one("docs/x.md", "# one\n\n```\n# a comment\n```\n\n## two\n"),
	},
	{
		name: "Links", run: checkLinks,
		bad: []broken{
			{one("docs/x.md", "# x\n\n[y](y.md)\n"), "docs/x.md:3: link to y.md: there is no docs/y.md"},
			{one("docs/x.md", "# x\n\n[y](#y)\n"), "docs/x.md:3: link to #y: docs/x.md has no such heading"},
		},
		good: map[string]string{
			"y.md":      "# Y\n\n## What it is, exactly\n\n## 状态\n",
			"docs/x.md": "# x\n\n[a](../y.md#what-it-is-exactly) [b](../y.md#状态) [c](https://example.org/b.md) [d](#x)\n\n```\n[z](z.md)\n```\n",
		},
	},
}
