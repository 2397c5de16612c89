module github.com/wsgateway/gateway/examples

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/fsnotify/fsnotify v1.10.1
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/wsgateway/gateway v0.0.0
)

require (
	github.com/Shopify/go-lua v0.0.0-20250718183320-1e37f32ad7d0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/wsgateway/gateway => ../
