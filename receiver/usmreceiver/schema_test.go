package usmreceiver

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProblemsAreThoseOfUsmReceiver(t *testing.T) {
	text, err := os.ReadFile("testdata/validation.json")
	require.NoError(t, err)
	var corpus []struct {
		Config   any      `json:"config"`
		Problems []string `json:"problems"`
	}
	require.NoError(t, json.Unmarshal(text, &corpus))
	require.Greater(t, len(corpus), 1000)
	good := 0
	for _, entry := range corpus {
		block, _ := entry.Config.(map[string]any)
		_, problems := check(block)
		if len(entry.Problems) == 0 {
			good++
			assert.Empty(t, problems, "%v", entry.Config)
			continue
		}
		assert.Equal(t, entry.Problems, problems, "%v", entry.Config)
	}
	assert.Greater(t, good, 100)
}
