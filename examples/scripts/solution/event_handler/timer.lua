--#EVENT timer timer
-- How warm it is on average, for as long as somebody wants to know.
if event.timer_id == averages then
  local sum, count = 0, 0
  for _, temperature in pairs(feed.temperatures()) do
    sum, count = sum + tonumber(temperature), count + 1
  end
  local message = to_json{devices = count, average = count > 0 and sum / count or nil}
  if Websocket.send{group = averages, message = message} == 0 then
    Timer.cancel{timer_id = averages}
  end
end
