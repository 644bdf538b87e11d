package main

import (
	"context"

	embedded "github.com/semel-dev/semel/internal/engine"
)

// The engine that `run` embeds and `standalone` serves.
type (
	engine       = embedded.Engine
	engineConfig = embedded.Config
)

func openEngine(ctx context.Context, cfg engineConfig) (*engine, error) {
	return embedded.Open(ctx, cfg)
}
