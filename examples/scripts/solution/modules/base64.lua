-- Bytes come to scripts, and leave them, as base64.
base64 = {}

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local digits = {}
for i = 1, #alphabet do
  digits[alphabet:byte(i)] = i - 1
end

function base64.decode(text)
  local bytes, sum, bits = {}, 0, 0
  for i = 1, #text do
    local digit = digits[text:byte(i)]
    if digit then
      sum, bits = sum * 64 + digit, bits + 6
      if bits >= 8 then
        bits = bits - 8
        local byte = math.floor(sum / 2 ^ bits)
        bytes[#bytes + 1] = string.char(byte)
        sum = sum - byte * 2 ^ bits
      end
    end
  end
  return table.concat(bytes)
end

function base64.encode(bytes)
  local text = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local sum = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 3, 0, -1 do
      local digit = math.floor(sum / 64 ^ place) % 64
      text[#text + 1] = alphabet:sub(digit + 1, digit + 1)
    end
    if not b then
      text[#text - 1], text[#text] = "=", "="
    elseif not c then
      text[#text] = "="
    end
  end
  return table.concat(text)
end

return base64
