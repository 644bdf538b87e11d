package spec

import "github.com/semel-dev/semel/internal/task"

var httpTable = &table[task.HTTP]{
	what:    "http",
	example: `http: "https://..."`,
	fields: []field[task.HTTP]{
		{
			key: "method", doc: "Method. Default GET, or POST with a body.", schema: textSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.Method = r.text(v) },
		},
		{
			key: "url", doc: "Where the request goes.", schema: textSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.URL = r.text(v) },
		},
		{
			key: "headers", doc: "Headers of the request.", schema: envSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.Headers = r.pairs(v) },
		},
		{
			key: "body", doc: "Body of the request, a text.", schema: textSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.Body = r.text(v) },
		},
		{
			key: "expect", doc: "The statuses that are a success: 200, \"2xx\", \"200-204\", or a list. Default 2xx.", schema: textsSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.Expect = r.list(v) },
		},
		{
			key: "timeout", doc: "How long the request may take. Default 60s.", schema: templateOr(durationSchema()),
			read: func(r *reader, v value, h *task.HTTP) {
				if v.scalar() && hasExpression(v.node.Value) {
					h.Timeout = r.text(v)
					return
				}
				h.Timeout = formatDuration(r.duration(v))
			},
		},
		{
			key: "outputs", doc: "Outputs of the task: a name, and status, body, header:NAME or json:PATH.", schema: envSchema(),
			read: func(r *reader, v value, h *task.HTTP) { h.Outputs = r.pairs(v) },
		},
	},
	elsewhere: map[string]string{
		"uri": `did you mean "url"?`, "header": `did you mean "headers"?`, "data": `did you mean "body"?`, "json": `did you mean "body"?`,
		"status": `did you mean "expect"?`, "retry": "write retry: in the task, beside http",
	},
}

// http reads a request: its URL, or a mapping.
func (r *reader) http(v value) any {
	var h task.HTTP
	if v.scalar() {
		h.URL = r.text(v)
		return h
	}
	known := fill(r, v, httpTable, &h)
	if v.mapping() && !said(known, "url") {
		r.faultAtKey(v, "the request has no url", `write url: "https://..."`)
	}
	return h
}
