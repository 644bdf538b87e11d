//go:build !faults

package fault

// Point is a place where a test build can crash.
func Point(string) {}
