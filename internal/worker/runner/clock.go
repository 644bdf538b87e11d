package runner

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/fence"
)

// Now reads both clocks of this machine. Go's own timers use CLOCK_MONOTONIC,
// which stops while the machine is suspended; a lease does not.
func Now() fence.Instant {
	return fence.Instant{Wall: time.Now().UTC().Round(0), Boot: bootNow()}
}

func bootNow() fence.Boot {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("runner: this kernel has no CLOCK_BOOTTIME: %v", err))
	}
	return fence.Boot(t.Nano())
}

// alarm waits for a reading of CLOCK_BOOTTIME.
type alarm struct{ f *os.File }

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a timer on CLOCK_BOOTTIME: %w", err)
	}
	return &alarm{os.NewFile(uintptr(fd), "timer")}, nil
}

// set moves the alarm to at.
func (a *alarm) set(at fence.Boot) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(at, 1)))} // zero would switch it off
	raw, err := a.f.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil)
	}); err != nil {
		return err
	}
	return set
}

// wait blocks until the alarm goes off; it fails when the alarm is closed.
func (a *alarm) wait() error {
	var count [8]byte
	_, err := a.f.Read(count[:])
	return err
}

func (a *alarm) close() { a.f.Close() }
