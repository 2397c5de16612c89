--#EVENT device2 event
-- A device that has no socket reports over HTTP: POST /api/devices/NAME.
local report = event.payload
if type(report) ~= "table" or type(report.temperature) ~= "number" then
  return {error = 'expected {"temperature": number}'}
end
feed.report(event.identity, report.temperature)
return {told = feed.tell{device = event.identity, temperature = report.temperature}}
