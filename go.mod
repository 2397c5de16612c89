module github.com/wsgateway/gateway

go 1.26

require (
	github.com/Shopify/go-lua v0.0.0-20250718183320-1e37f32ad7d0
	github.com/coder/websocket v1.8.15
)
