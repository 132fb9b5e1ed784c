--- A slow reader of PNGs for the specs: 8 bits, grey, rgb or rgba, not interlaced. It shares no code with the library.
local M = {}

--- What a zlib stream holds (RFC 1950, RFC 1951), as an array of bytes; checksums are not looked at.
local function inflate(data)
  local at, bits, count, out = 3, 0, 0, {}
  local function take(n)
    while count < n do
      bits, at, count = bits | data:byte(at) << count, at + 1, count + 8
    end
    local value = bits & ((1 << n) - 1)
    bits, count = bits >> n, count - n
    return value
  end
  local function code_of(lengths) -- canonical: {[length]= {[code]= symbol}}
    local code, table_of = 0, {}
    for length = 1, 15 do
      table_of[length] = {}
      for symbol = 0, 319 do
        if lengths[symbol] == length then
          table_of[length][code] = symbol
          code = code + 1
        end
      end
      code = code << 1
    end
    return table_of
  end
  local function symbol(codes)
    local code = 0
    for length = 1, 15 do
      code = code << 1 | take(1)
      if codes[length][code] then return codes[length][code] end
    end
    error "no such code"
  end
  local function read_codes()
    local literals, distances, lengths = take(5) + 257, take(5) + 1, {}
    local order <const> = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 }
    for i = 1, take(4) + 4 do lengths[order[i]] = take(3) end
    local codes, all, n = code_of(lengths), {}, 0
    while n < literals + distances do
      local s = symbol(codes)
      local value, times = s, 1
      if s == 16 then value, times = all[n - 1], 3 + take(2) end
      if s == 17 then value, times = 0, 3 + take(3) end
      if s == 18 then value, times = 0, 11 + take(7) end
      for _ = 1, times do all[n], n = value, n + 1 end
    end
    local far = {}
    for i = 0, distances - 1 do far[i], all[literals + i] = all[literals + i], nil end
    return code_of(all), code_of(far)
  end
  local function fixed_codes()
    local near, far = {}, {}
    for i = 0, 287 do near[i] = i < 144 and 8 or i < 256 and 9 or i < 280 and 7 or 8 end
    for i = 0, 29 do far[i] = 5 end
    return code_of(near), code_of(far)
  end
  local function copy(s, far)
    local extra = s < 265 and 0 or s == 285 and 0 or (s - 261) // 4
    local length = s < 265 and s - 254 or s == 285 and 258 or (4 + (s - 265) % 4 << extra) + 3 + take(extra)
    local d = symbol(far)
    local more = d < 4 and 0 or d // 2 - 1
    local distance = d < 4 and d + 1 or (2 + d % 2 << more) + 1 + take(more)
    for _ = 1, length do out[#out + 1] = out[#out + 1 - distance] end
  end
  local last
  repeat
    last = take(1)
    local kind = take(2)
    if kind == 0 then
      bits, count = 0, 0
      local size = ("<I2"):unpack(data, at)
      for i = at + 4, at + 3 + size do out[#out + 1] = data:byte(i) end
      at = at + 4 + size
    else
      local near, far = (kind == 1 and fixed_codes or read_codes)()
      local s = symbol(near)
      while s ~= 256 do
        if s < 256 then out[#out + 1] = s else copy(s, far) end
        s = symbol(near)
      end
    end
  until last == 1
  return out
end

--- What a filter of a row expects of a byte, from its left, upper and upper left neighbours.
local expected <const> = {
  [0] = function() return 0 end, function(a) return a end, function(_, b) return b end,
  function(a, b) return (a + b) // 2 end,
  function(a, b, c)
    local p = a + b - c
    local da, db, dc = math.abs(p - a), math.abs(p - b), math.abs(p - c)
    return da <= db and da <= dc and a or db <= dc and b or c
  end,
}

--- The rows of a picture, from 0, each an array of bytes.
local function rows_of(bytes, width, height, channels)
  local at, parts = 9, {}
  while at < #bytes do
    local size, name = (">I4c4"):unpack(bytes, at)
    if name == "IDAT" then parts[#parts + 1] = bytes:sub(at + 8, at + 7 + size) end
    at = at + 12 + size
  end
  local raw, stride = inflate(table.concat(parts)), width * channels
  local rows = { [-1] = {} }
  for y = 0, height - 1 do
    local row, start, above = {}, y * (stride + 1) + 1, rows[y - 1]
    local expect = expected[raw[start]]
    for i = 1, stride do
      row[i] = (raw[start + i] + expect(row[i - channels] or 0, above[i] or 0, above[i - channels] or 0)) & 255
    end
    rows[y] = row
  end
  return rows
end

--- A picture, which is decoded when it is first looked at.
--- @return function(x, y) → the colour of a pixel, from 0: "#rrggbb"
--- @return integer width
--- @return integer height
function M.read(bytes)
  local width, height, depth, kind = (">I4I4I1I1"):unpack(bytes, 17)
  local channels, rows = ({ [0] = 1, [2] = 3, [6] = 4 })[kind], nil
  assert(depth == 8 and channels, "a kind of PNG that is not read here")
  return function(x, y)
    rows = rows or rows_of(bytes, width, height, channels)
    local row, first = rows[y], x * channels
    local last = channels < 3 and 0 or 1
    return ("#%02x%02x%02x"):format(row[first + 1], row[first + 1 + last], row[first + 1 + 2 * last])
  end, width, height
end

return M
