package api

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/semel-dev/semel/internal/flow"
)

// logDir is a directory that runners write logs to:
// DIR/<run>/<task>.<number>.log.
type logDir struct{ path string }

var _ Logs = logDir{}

// LogDir gives out the logs below a directory. The directory may appear later.
func LogDir(path string) Logs { return logDir{path} }

// Open opens a log. No name leads out of the directory: neither one that is
// given here, nor a link that a task has put there.
func (d logDir) Open(run flow.RunID, task string, number int) (io.ReadSeekCloser, error) {
	if err := checkRunID(run); err != nil {
		return nil, err
	}
	if task == "" || number < 1 || strings.ContainsAny(task, "/\\\x00") || !filepath.IsLocal(task) {
		return nil, fmt.Errorf("log %d of task %q: %w", number, task, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	defer root.Close() // the file stays open
	file, err := root.Open(filepath.Join(string(run), fmt.Sprintf("%s.%d.log", task, number)))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("log %d of task %q is not a file: %w", number, task, fs.ErrNotExist)
	}
	if err != nil {
		_ = file.Close() // it was only read
		return nil, err
	}
	return file, nil
}
