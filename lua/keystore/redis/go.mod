module github.com/wsgateway/gateway/lua/keystore/redis

go 1.26.0

require (
	github.com/redis/go-redis/v9 v9.23.0
	github.com/wsgateway/gateway v0.0.0
)

require (
	github.com/Shopify/go-lua v0.0.0-20250718183320-1e37f32ad7d0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
