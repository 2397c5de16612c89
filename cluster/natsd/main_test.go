package natsd_test

import (
	"testing"

	"github.com/wsgateway/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
