-- Devices report to one endpoint, and whoever follows the other sees all of them.

--#ENDPOINT WEBSOCKET /devices/{id}
local id = websocketInfo.parameters.id

if websocketInfo.type == "data" then
  local report, problem = from_json(websocketInfo.message)
  if type(report) ~= "table" or type(report.temperature) ~= "number" then
    log.warn("device " .. id .. ": " .. (problem or "no temperature"))
    return {error = 'expected {"temperature": number}'}
  end
  feed.report(id, report.temperature)
  feed.tell{device = id, temperature = report.temperature}
  return {reports = Keystore.increment{key = "reports:" .. id}.value}

elseif websocketInfo.type == "close" then
  feed.forget(id)
  Keystore.delete{key = "reports:" .. id}
  feed.tell{device = id, gone = true}
end

--#ENDPOINT WEBSOCKET /feed
if websocketInfo.type == "open" then
  feed.follow(websocketInfo.socket_id)
  for id, temperature in pairs(feed.temperatures()) do
    websocketInfo.send{device = id, temperature = tonumber(temperature)}
  end

elseif websocketInfo.type == "close" then
  feed.leave(websocketInfo.socket_id)
end

--#ENDPOINT WEBSOCKET /feed/average
-- What the timer brings goes to a group; the first who joins it sets the timer.
if websocketInfo.type == "open" then
  Websocket.join{socket_id = websocketInfo.socket_id, group = averages}
  Timer.sendInterval{timer_id = averages, duration = 1000}
end
