-- Rooms of the chat. Who is in one is what the open sockets say.
rooms = {}

function rooms.nameOf(info)
  local name = info.parameters.name
  if type(name) ~= "string" or name == "" then
    return "somebody"
  end
  return name:sub(1, 40)
end

-- members returns the sockets in a room: an array of {id =, name =}.
function rooms.members(room)
  local members = {}
  for _, id in ipairs(Websocket.list()) do
    local info = Websocket.info{socket_id = id} -- an error object if it has gone meanwhile
    if info.route == "/chat/{room}" and info.parameters.room == room then
      members[#members + 1] = {id = id, name = rooms.nameOf(info)}
    end
  end
  return members
end

-- tell sends a message to everybody in a room, with the names of those in it.
function rooms.tell(room, message)
  local members, names = rooms.members(room), {}
  for i, member in ipairs(members) do
    names[i] = member.name
  end
  table.sort(names)
  message.here = json.array(names)
  local text = to_json(message)
  for _, member in ipairs(members) do
    Websocket.send{socket_id = member.id, message = text}
  end
end
