package natsd_test

import (
	"testing"

	"github.com/wsgateway/gateway/internal/mdtest"
)

// TestPageCompiles builds the Go code of the page about clusters; only this module has all
// that it needs.
func TestPageCompiles(t *testing.T) {
	mdtest.Build(t, ".", "../../docs/cluster.md", 5, mdtest.Program)
}
