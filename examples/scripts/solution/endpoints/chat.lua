--#ENDPOINT WEBSOCKET /chat/{room}
-- What one member of a room says goes to all of them.
local room, name = websocketInfo.parameters.room, rooms.nameOf(websocketInfo)

if websocketInfo.type == "open" then
  print(name .. " came into " .. room)
  rooms.tell(room, {type = "joined", name = name})

elseif websocketInfo.type == "data" then
  if websocketInfo.message_type ~= "data-text" or #websocketInfo.message > 500 then
    return {type = "refused", error = "rooms are for text, up to 500 bytes"}
  end
  rooms.tell(room, {type = "said", name = name, text = websocketInfo.message})

elseif websocketInfo.type == "close" then
  print(name .. " left " .. room)
  rooms.tell(room, {type = "left", name = name})
end
