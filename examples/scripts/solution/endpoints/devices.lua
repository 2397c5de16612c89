-- Devices report to one endpoint, and whoever follows the other sees all of them.

--#ENDPOINT WEBSOCKET /devices/{id}
local id = websocketInfo.parameters.id

if websocketInfo.type == "data" then
  local report, problem = from_json(websocketInfo.message)
  if type(report) ~= "table" or type(report.temperature) ~= "number" then
    log.warn("device " .. id .. ": " .. (problem or "no temperature"))
    return {error = 'expected {"temperature": number}'}
  end
  Keystore.command{key = "temperatures", command = "hset", args = {id, report.temperature}}
  feed.tell{device = id, temperature = report.temperature}
  return {reports = Keystore.increment{key = "reports:" .. id}.value}

elseif websocketInfo.type == "close" then
  Keystore.command{key = "temperatures", command = "hdel", args = {id}}
  Keystore.delete{key = "reports:" .. id}
  feed.tell{device = id, gone = true}
end

--#ENDPOINT WEBSOCKET /feed
if websocketInfo.type == "open" then
  feed.follow(websocketInfo.socket_id)
  local latest = Keystore.command{key = "temperatures", command = "hgetall"}.value
  for id, temperature in pairs(latest) do
    websocketInfo.send{device = id, temperature = tonumber(temperature)}
  end

elseif websocketInfo.type == "close" then
  feed.leave(websocketInfo.socket_id)
end
