package api

import (
	"testing"

	"github.com/semel-dev/semel/internal/store"
)

func TestPlansAreBounded(t *testing.T) {
	p := newReader(nil).plans
	for version := range 10 * plansMax {
		p.keep(planID{"w", version}, &compiled{definition: store.Definition{Version: version}})
		p.keep(planID{"w", version}, &compiled{})
	}
	if len(p.byID) != plansMax || len(p.used) != plansMax {
		t.Errorf("%d plans and %d names are kept, want %d", len(p.byID), len(p.used), plansMax)
	}
	newest := 10*plansMax - 1
	if kept := p.find(planID{"w", newest}); kept == nil || kept.definition.Version != newest {
		t.Errorf("the newest plan is %+v", kept)
	}
}

func TestConfigThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing":             {},
		"no logs":             {Store: store.Store(nil)},
		"negative partitions": {Logs: LogDir("x"), Partitions: -1},
	} {
		if c.check() == nil {
			t.Errorf("%s: a Config that cannot be used is accepted", name)
		}
	}
}
