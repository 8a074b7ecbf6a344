package usmreceiver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
)

// load has the Collector read a block.
func load(t *testing.T, block string) *Config {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"yaml:" + block},
		ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(context.Background())
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(cfg))
	return cfg
}

func TestABlockIsSplitIntoWhatIsForWhom(t *testing.T) {
	cfg := load(t, `
collector:
  mode: supervise
  max_recv_msg_size_mib: 8
  startup_timeout: 1m30s
  socket:
  restart: {multiplier: 1.5}
sampling: {ratio: 0.5}
filter: {include: [{local_ports: [80, "8000-8999"]}]}`)
	require.NoError(t, cfg.Validate())
	expected := createDefaultConfig().(*Config).Collector
	expected.Mode = modeSupervise
	expected.MaxRecvMsgSizeMiB = 8
	expected.StartupTimeout = 90 * time.Second
	expected.Restart.Multiplier = 1.5
	assert.Equal(t, expected, cfg.Collector)
	assert.Equal(t, map[string]any{
		"sampling": map[string]any{"ratio": 0.5},
		"filter":   map[string]any{"include": []any{map[string]any{"local_ports": []any{80.0, "8000-8999"}}}},
	}, cfg.Capture)
}

func TestAnEmptyBlockHasTheDefaultsOfTheSchema(t *testing.T) {
	assert.Equal(t, createDefaultConfig().(*Config).Collector, load(t, "{}").Collector)
	complete, _ := check(map[string]any{})
	defaults, _ := complete["collector"].(map[string]any)
	var fromSchema CollectorConfig
	require.NoError(t, confmap.NewFromStringMap(defaults).Unmarshal(&fromSchema))
	assert.Equal(t, fromSchema, createDefaultConfig().(*Config).Collector)
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	cfg := load(t, `
sampling: {ratio: 3}
redactoin: {}
collector: {socket: collector.sock}`)
	err := cfg.Validate()
	require.ErrorContains(t, err, "sampling::ratio: must be between 0 and 1, found 3")
	require.ErrorContains(t, err, `redactoin (did you mean "redaction"?)`)
	require.ErrorContains(t, err, "collector::socket: expected an absolute path of at most 107 bytes")
}

func TestAReferenceIsTheTextThatItWasWhereATextIsWanted(t *testing.T) {
	t.Setenv("MODE", "0660")
	t.Setenv("NUMBER", "7")
	t.Setenv("NOTHING", "")
	const registration = "thread_context: {enabled: true, registration: {endpoint: /run/a.sock, mode: "
	for block, problems := range map[string][]string{
		registration + "'${env:MODE}'}}":                                nil,
		registration + "'${MODE}'}}":                                    nil,
		registration + "0660}}":                                         {`'thread_context::registration::mode' expected type 'string', got unconvertible type 'int', value: 432; write it in quotes: "432"`},
		"sampling: {ratio: '${env:NUMBER}'}":                            {"sampling::ratio: must be between 0 and 1, found 7"},
		"redaction: {query_keys: ['${env:NUMBER}', b]}":                 nil,
		"redaction: {query_keys: [7, b]}":                               {`'redaction::query_keys::0' expected type 'string', got unconvertible type 'int', value: 7; write it in quotes: "7"`},
		"redaction: {query_keys: [7, '${env:NUMBER}']}":                 {`'redaction::query_keys::0' expected type 'string', got unconvertible type 'int', value: 7; write it in quotes: "7"`},
		"filter: {exclude: [{executables: ['${env:NUMBER}']}]}":         {`filter::exclude::0::executables::0: expected an absolute path such as /usr/sbin/nginx, found "7"`},
		"collection_interval: '${env:NUMBER}'":                          {`collection_interval: expected a duration such as 200ms, 5s or 1m30s, found "7"`},
		"collection_interval: 7":                                        {`collection_interval: expected a duration such as 200ms, 5s or 1m30s, found 7 without a unit (did you mean "7s" or "7ms"?)`},
		"collector: {socket: '${env:NOTHING}'}":                         nil,
		"collector: {socket: }":                                         nil,
		"overload: {enabled: '${env:NUMBER}'}":                          {"'overload::enabled' expected type 'bool', got unconvertible type 'int', value: 7"},
		"metrics: {http.server.request.duration: {enabled: '${MODE}'}}": {"'metrics::http.server.request.duration::enabled' expected type 'bool', got unconvertible type 'int', value: 432"},
	} {
		assert.Equal(t, problems, load(t, block).problems, block)
	}
}
