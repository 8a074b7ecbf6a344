//go:build linux

package usmreceiver

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

func TestComponentFactoryType(t *testing.T) {
	cm, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	assert.Equal(t, cm.Get("type"), NewFactory().Type().String())
	assert.Equal(t, metadata.Type, NewFactory().Type())
}

func TestComponentStabilityIsThatOfMetadata(t *testing.T) {
	cm, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"development": []any{"traces", "metrics"}}, cm.Get("status::stability"))
	assert.Equal(t, component.StabilityLevelDevelopment, NewFactory().TracesStability())
	assert.Equal(t, component.StabilityLevelDevelopment, NewFactory().MetricsStability())
	assert.Equal(t, component.StabilityLevelUndefined, NewFactory().LogsStability())
}

func TestComponentConfigStruct(t *testing.T) {
	require.NoError(t, componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()))
}

func TestComponentLifecycle(t *testing.T) {
	factory := NewFactory()
	cm, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	cfg := factory.CreateDefaultConfig()
	sub, err := cm.Sub("tests::config")
	require.NoError(t, err)
	require.NoError(t, sub.Unmarshal(cfg))

	for name, create := range map[string]func(context.Context, receiver.Settings, component.Config) (component.Component, error){
		"metrics": func(ctx context.Context, set receiver.Settings, cfg component.Config) (component.Component, error) {
			return factory.CreateMetrics(ctx, set, cfg, consumertest.NewNop())
		},
		"traces": func(ctx context.Context, set receiver.Settings, cfg component.Config) (component.Component, error) {
			return factory.CreateTraces(ctx, set, cfg, consumertest.NewNop())
		},
	} {
		t.Run(name+"-shutdown", func(t *testing.T) {
			c, err := create(context.Background(), receivertest.NewNopSettings(metadata.Type), cfg)
			require.NoError(t, err)
			require.NoError(t, c.Shutdown(context.Background()))
		})
		t.Run(name+"-lifecycle", func(t *testing.T) {
			for range 2 {
				c, err := create(context.Background(), receivertest.NewNopSettings(metadata.Type), cfg)
				require.NoError(t, err)
				require.NoError(t, c.Start(context.Background(), componenttest.NewNopHost()))
				require.NoError(t, c.Shutdown(context.Background()))
			}
		})
	}
}
