-- Those who follow the devices. A run's globals end with it, so who follows is
-- kept in the Keystore.
feed = {}

local function followers(command, ...)
  return Keystore.command{key = "followers", command = command, args = {...}}.value
end

function feed.follow(id)
  followers("sadd", id)
end

function feed.leave(id)
  followers("srem", id)
end

function feed.tell(message)
  local text = to_json(message)
  for _, id in ipairs(followers("smembers")) do
    local failure = Websocket.send{socket_id = id, message = text}
    if failure and failure.type == "not_found" then
      feed.leave(id)
    end
  end
end
