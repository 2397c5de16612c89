--#ENDPOINT WEBSOCKET /bytes
-- Says what it got, and sends bytes back, the last first.
if websocketInfo.type ~= "data" then
  return
end

local bytes, text = websocketInfo.message, true
if websocketInfo.message_type == "data-binary" then
  bytes, text = base64.decode(websocketInfo.message), false
end

local sum = 0
for i = 1, #bytes do
  sum = (sum + bytes:byte(i)) % 256
end
websocketInfo.send{bytes = #bytes, sum = sum, text = text}

if not text then
  Websocket.send{
    socket_id = websocketInfo.socket_id,
    message = base64.encode(bytes:reverse()),
    type = "data-binary",
  }
end
