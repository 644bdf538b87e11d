package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// build makes the program, once per benchmark.
func build(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "semel")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", path, "github.com/semel-dev/semel/cmd/semel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v: %s", err, out)
	}
	return path
}

// BenchmarkStartUp is `semel run` of one task in a process of its own: from
// exec to the start of the task, and to the end of the program.
func BenchmarkStartUp(b *testing.B) {
	program := build(b)
	file := filepath.Join(b.TempDir(), "one.yaml")
	if err := os.WriteFile(file, []byte("name: one\ntasks:\n  t: {run: 'true'}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var first, whole time.Duration
	for b.Loop() {
		from := time.Now()
		out, err := exec.CommandContext(b.Context(), program, "run", file, "--json").Output()
		whole += time.Since(from)
		if err != nil {
			b.Fatal(err)
		}
		var shown struct {
			Tasks []struct {
				Attempts []struct {
					StartedAt time.Time `json:"started_at"`
				}
			}
		}
		if err := json.Unmarshal(out, &shown); err != nil {
			b.Fatal(err)
		}
		first += shown.Tasks[0].Attempts[0].StartedAt.Sub(from)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(first.Seconds()*1e3/float64(b.N), "first-task-ms")
	b.ReportMetric(whole.Seconds()*1e3/float64(b.N), "whole-ms")
}

// BenchmarkIdle is a standalone server that has nothing to do: resident memory
// and the share of one core it takes, server and runner together.
func BenchmarkIdle(b *testing.B) {
	const window = 10 * time.Second
	server := exec.CommandContext(b.Context(), build(b), "standalone", "--data", filepath.Join(b.TempDir(), "data"), "--listen", "127.0.0.1:0")
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	for lines := bufio.NewScanner(stdout); lines.Scan() && !strings.Contains(lines.Text(), "listening on"); {
	}
	var cpu time.Duration
	var resident int64
	for b.Loop() {
		time.Sleep(time.Second) // what start-up left to do
		from := cpuOf(b, server.Process.Pid)
		time.Sleep(window)
		cpu += cpuOf(b, server.Process.Pid) - from
		resident = residentOf(b, server.Process.Pid)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(resident)/1024, "server-MiB")
	b.ReportMetric(100*cpu.Seconds()/(float64(b.N)*window.Seconds()), "%-of-a-core")
}

// cpuOf is the processor time a process has had.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// residentOf is the resident memory of a process in KiB.
func residentOf(b *testing.B, pid int) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
