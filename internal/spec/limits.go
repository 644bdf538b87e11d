package spec

// The limits of a workflow file. They keep a hostile file from costing more
// than its size; each is far above what anybody writes.
const (
	sourceMax     = 32 << 20  // bytes of a file: 100,000 tasks of 300 bytes
	separatorsMax = 2_500_000 // line ends, commas and the like: what a file can make a parser allocate goes by these, not by bytes
	depthMax      = 50        // nested lists and mappings
	aliasNodesMax = 10_000    // values that all aliases together stand for
	textMax       = 1 << 20   // bytes of one text; a longer script belongs in a file
	tasksMax      = 100_000   // tasks of a workflow
	paramsMax     = 1_000     // parameters of a workflow
	pathMax       = 4096      // bytes of a working directory or an interpreter's arguments; defaults repeat them in every task
	quoteMax      = 60        // characters of a text repeated in a message
)
