package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/wire"
)

// killWithin bounds a certification: what survives a kill for longer is not
// proven dead.
const killWithin = 10 * time.Second

// ErrUnproven says that processes of a node may still run, for all that can be
// seen from here. Its lease will end all the same: after that a master fences
// it, and nothing more needs to be proven.
var ErrUnproven = errors.New("it is not proven that nothing of it runs")

// Certificate says that a node has ended, what is known of its attempts, and
// how all that is known.
type Certificate struct {
	Node     fence.NodeID  `json:"node"`
	Finished []wire.Report `json:"finished,omitempty"` // exit records that were on disk
	Lost     []wire.Ref    `json:"lost,omitempty"`     // accepted or running, without one
	At       fence.Instant `json:"at"`
	Proof    string        `json:"proof"`
	// Torn says that the machine was restarted since, so that the end of the
	// journal may never have reached the disk: an attempt that is named nowhere
	// here may have run all the same.
	Torn bool `json:"torn,omitempty"`
}

// Certify ends whatever still runs of the dead runner of a data directory,
// proves that nothing does, and reads its journal. It returns nil if there is
// no former runner, and fails with ErrAlive while one lives, and with
// ErrUnproven rather than guess.
//
// A runner that ended in order has left its certificate, and nothing needs to
// be proven. A certificate is kept, and given again, until Discard: the caller
// may crash before it has made use of it.
func Certify(ctx context.Context, cfg Config) (*Certificate, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, nodeFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := takeLock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer lock.close()
	dead, err := readHello(cfg.Dir)
	if err != nil || dead == nil {
		return nil, err
	}
	var former Certificate
	found, err := readJSON(filepath.Join(cfg.Dir, certificateFile), &former)
	if err == nil && found && former.Node == dead.Node {
		return &former, nil
	}
	here, err := newHello("", time.Now().UTC())
	if err != nil {
		return nil, err
	}
	c, err := certify(ctx, cfg.Dir, *dead, here)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", dead.Node, err)
	}
	if err := writeJSON(filepath.Join(cfg.Dir, certificateFile), c); err != nil {
		return nil, fmt.Errorf("keep the certificate of node %s: %w", dead.Node, err)
	}
	return c, nil
}

func certify(ctx context.Context, dir string, dead, here Hello) (*Certificate, error) {
	proof, err := proveDead(ctx, dead, here)
	if err != nil {
		return nil, err
	}
	restarted := dead.BootID != here.BootID
	records, err := readJournal(filepath.Join(dir, journalFile), restarted)
	if err != nil {
		return nil, err
	}
	c := newCertificate(dead.Node, agent.Replay(records), proof)
	c.Torn = restarted
	return c, nil
}

// newCertificate accounts for everything that m knows.
func newCertificate(node fence.NodeID, m *agent.Machine, proof string) *Certificate {
	c := &Certificate{Node: node, At: Now(), Proof: proof}
	for _, report := range m.Pending() {
		if report.Phase == wire.Finished {
			c.Finished = append(c.Finished, report)
		}
	}
	for _, d := range m.Unfinished() {
		c.Lost = append(c.Lost, d.Ref())
	}
	return c
}

// proveDead ends whatever runs of a node whose runner has ended (the caller
// holds its lock), and says how it is known that nothing is left.
func proveDead(ctx context.Context, dead, here Hello) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if proof, err := proveCgroupEmpty(dead, here); proof != "" || err != nil {
		return proof, err
	}
	switch {
	case dead.MachineID != here.MachineID:
		return "", fmt.Errorf("it ran on another machine (machine id %s; this is %s): %w", dead.MachineID, here.MachineID, ErrUnproven)
	case dead.BootID != here.BootID && dead.MachineID == "":
		return "", fmt.Errorf("this machine has no machine id, so it may be another one than the one it ran on: %w", ErrUnproven)
	case dead.BootID != here.BootID:
		return "the machine was restarted since", nil
	case dead.Namespace != here.Namespace:
		return "", fmt.Errorf("its processes belong to another PID namespace (%s; this is %s), of another container perhaps: %w", dead.Namespace, here.Namespace, ErrUnproven)
	}
	if err := sweepAll(nodeTag(dead.Node)); err != nil {
		return "", err
	}
	switch Containment(dead.Containment) {
	case Cgroup:
		return "its runner holds no lock any more, and its cgroup " + dead.Cgroup + " is gone", nil
	case Pidns:
		return "its runner holds no lock any more, and of its PID namespaces no first process is left", nil
	case Weak, Auto:
	}
	return "its runner holds no lock any more, and no process carries its SEMEL_NODE (containment is weak: one that changed its environment would not be seen)", nil
}

// proveCgroupEmpty ends whatever is in the cgroup of a dead node, if that can
// be seen from here. No other node has one of this name, and a boot has one
// kernel: so it is proof from any container of the machine, whatever its PID
// namespace and its machine id. It returns no proof where there is nothing to
// see: another container may be shown other cgroups.
func proveCgroupEmpty(dead, here Hello) (string, error) {
	if dead.Cgroup == "" || dead.BootID != here.BootID {
		return "", nil
	}
	if _, err := os.Stat(filepath.Join(dead.Cgroup, "cgroup.events")); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := emptyCgroup(dead.Cgroup, killWithin); err != nil {
		return "", fmt.Errorf("empty its cgroup %s: %w", dead.Cgroup, errors.Join(ErrUnproven, err))
	}
	// What has left the cgroup, as root can, is not left alone if it is seen.
	if err := sweepAll(nodeTag(dead.Node)); err != nil {
		return "", err
	}
	_ = removeCgroup(dead.Cgroup)
	return "its runner holds no lock any more, and its cgroup " + dead.Cgroup + " is empty", nil
}

// Discard says that what follows from a certificate is recorded: the journal
// is of no more use, and the next runner of the directory may begin.
func Discard(dir string, c *Certificate) error {
	lock, err := takeLock(dir)
	if err != nil {
		return err
	}
	defer lock.close()
	dead, err := readHello(dir)
	if err != nil {
		return err
	}
	if dead == nil || dead.Node != c.Node {
		return nil // it was discarded before
	}
	// The identity goes last: as long as it is there, nothing is forgotten.
	for _, name := range []string{certificateFile, journalFile, nodeFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("discard what node %s has left: %w", c.Node, err)
		}
	}
	return nil
}

// KillNode ends every process of a node at once, without asking its runner,
// which may be frozen or dead. It does not wait for their death: see
// Populated.
func KillNode(h Hello) error {
	if h.Cgroup != "" {
		if err := killCgroup(h.Cgroup); err != nil {
			return fmt.Errorf("kill node %s: %w", h.Node, err)
		}
		return nil
	}
	if _, err := sweep(nodeTag(h.Node)); err != nil {
		return fmt.Errorf("kill node %s: %w", h.Node, err)
	}
	return nil
}

// Populated reports whether processes of a node's attempts can be seen.
func Populated(h Hello) (bool, error) {
	if h.Cgroup == "" {
		return tagged(nodeTag(h.Node))
	}
	f, err := os.Open(filepath.Join(h.Cgroup, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for processes of node %s: %w", h.Node, err)
	}
	defer f.Close()
	return readPopulated(int(f.Fd()))
}
