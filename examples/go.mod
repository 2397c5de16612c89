module github.com/wsgateway/gateway/examples

go 1.26

require github.com/wsgateway/gateway v0.0.0

require github.com/coder/websocket v1.8.15 // indirect

replace github.com/wsgateway/gateway => ../
