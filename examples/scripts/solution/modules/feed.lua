-- Those who follow the devices. A run's globals end with it, so who follows, and what
-- the devices have said, is kept in the Keystore.
feed = {}

-- Locals at the top of a module are known to all scripts: this one is the name of a
-- timer, and of the group of those who wait for what it brings.
local averages = "averages"

local function followers(command, ...)
  return Keystore.command{key = "followers", command = command, args = {...}}.value
end

function feed.follow(id)
  followers("sadd", id)
end

function feed.leave(id)
  followers("srem", id)
end

-- tell sends a message to all who follow and returns how many they are.
function feed.tell(message)
  local text, count = to_json(message), 0
  for _, id in ipairs(followers("smembers")) do
    local failure = Websocket.send{socket_id = id, message = text}
    if failure and failure.type == "not_found" then
      feed.leave(id)
    else
      count = count + 1
    end
  end
  return count
end

function feed.report(device, temperature)
  Keystore.command{key = "temperatures", command = "hset", args = {device, temperature}}
end

function feed.forget(device)
  Keystore.command{key = "temperatures", command = "hdel", args = {device}}
end

function feed.temperatures()
  return Keystore.command{key = "temperatures", command = "hgetall"}.value
end
