--- Malformed files of tensors, data sets and pictures: IDX, gzipped IDX, npy, npz, safetensors, PNG. Each is {kind=,
--- name=(what is wrong with it), ending=, bytes=}; the same list every time.
local here = arg[0]:match "^(.*)/[^/]*$" or "."
local M = {}

--- A text with some bytes in the place of others.
local function replaced(text, first, bytes)
  return text:sub(1, first - 1) .. bytes .. text:sub(first + #bytes)
end

--- Adds what is made of a good file without knowing what it is: cut at every byte of its front and at some behind it,
--- every byte of the front set to 0, 255, one more and one less, and something at its end.
--- @param step integer|nil every byte of the front, or each of so many
local function add_damaged(add, name, good, front, step)
  add(name .. " as it is", good)
  for last = 0, front, step or 1 do add(("%s cut after %d bytes"):format(name, last), good:sub(1, last)) end
  for _, last in ipairs { front + 1, (front + #good) // 2, #good - 1 } do
    add(("%s cut after %d bytes"):format(name, last), good:sub(1, last))
  end
  for at = 1, math.min(front, #good), step or 1 do
    local byte = good:byte(at)
    for _, other in ipairs { 0, 255, (byte + 1) % 256, (byte - 1) % 256 } do
      if other ~= byte then
        add(("%s with byte %d as %d"):format(name, at, other), replaced(good, at, string.char(other)))
      end
    end
  end
  for what, rest in pairs { ["a NUL"] = "\0", rubbish = "rubbish", itself = good } do
    add(("%s and %s"):format(name, what), good .. rest)
  end
end

local function idx(code, sizes, data)
  local parts = { ("BBBB"):pack(0, 0, code, #sizes) }
  for _, size in ipairs(sizes) do parts[#parts + 1] = (">I4"):pack(size) end
  return table.concat(parts) .. data
end

local sizes <const> = {
  { 0 }, { 0, 0 }, { 0, 0xffffffff }, { 0xffffffff }, { 0xffffffff, 0xffffffff }, { 0x80000000 }, { 0x7fffffff, 2 },
  { 0x10000, 0x10000, 0x10000, 0x10000 }, { 0x02000000, 0x03000000 }, { 0, 0xffffffff, 0xffffffff, 0xffffffff },
  { 1, 1, 1, 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, { 0xffffffff, 0 },
}

local function add_idx(add)
  local good = idx(8, { 2, 3 }, "\0\1\2\3\4\5")
  add_damaged(add, "bytes", good, 12)
  add_damaged(add, "doubles", idx(0xe, { 2 }, (">dd"):pack(1, 0 / 0)), 8)
  for code = 0, 15 do add("a type of " .. code, idx(code, { 2 }, "12345678")) end
  for _, list in ipairs(sizes) do
    for _, code in ipairs { 8, 9, 0xe } do
      add(("sizes of %s, type %d"):format(table.concat(list, "x"), code), idx(code, list, "12345678"))
    end
  end
  add("sizes in the other order", ("BBBB<I4<I4"):pack(0, 0, 8, 2, 2, 3) .. "\0\1\2\3\4\5")
  add("a double that is no float", idx(0xe, { 1 }, (">d"):pack(1e300)))
end

local function gzip(bytes, scratch, options)
  local plain, packed = scratch .. "/plain", scratch .. "/packed.gz"
  local file <close> = assert(io.open(plain, "wb"))
  file:write(bytes)
  file:close()
  assert(os.execute(("gzip -nc %s '%s' > '%s'"):format(options or "", plain, packed)))
  local result <close> = assert(io.open(packed, "rb"))
  return result:read "a"
end

local function add_gzip(add, scratch)
  local good = idx(8, { 2, 3 }, "\0\1\2\3\4\5")
  local packed = gzip(good, scratch)
  add_damaged(add, "gzip", packed, #packed)
  local first, second = gzip(good:sub(1, 7), scratch), gzip(good:sub(8), scratch)
  add("two members", first .. second)
  add("two members and a NUL between", first .. "\0" .. second)
  add("a second member cut short", first .. second:sub(1, -6))
  add("a hundred empty members", gzip("", scratch):rep(100) .. packed)
  add("a member within a member", gzip(packed, scratch))
  add("a member that has another length", packed:sub(1, -5) .. ("<I4"):pack(7))
  add("a member of another sum", packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4))
  add("sizes that no such file holds", gzip(idx(8, { 0xffffffff, 0xffff }, "123"), scratch))
  add("zeros behind the sizes", gzip(good .. ("\0"):rep(1 << 20), scratch))
end

local function npy(header, data, version)
  local format = (version or 1) == 1 and "<I2" or "<I4"
  return "\x93NUMPY" .. string.char(version or 1, 0) .. format:pack(#header) .. header .. (data or "")
end

local headers <const> = {
  "", "{}", "{", "}", "x", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
  "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "{'a': 1}", "{1: 2}", "\0", "{\0}",
  ("{"):rep(10000), ("("):rep(10000), "{'" .. ("x"):rep(10000) .. "': 1}", "{'descr': \27[31m}", "{'\xE2\x80\xAE': 1}",
}

local descriptions <const> = {
  "f4", "<f9", "|f4", "<c8", "|O", "|S5", "<U3", "|V8", "<M8[ns]", "<", "", "\27[31m", "\xff", "\xE2\x80\xAE",
  ("f"):rep(1000), "<f4\\0", "=i8", "<u8", "<i3",
}

local shapes <const> = {
  "()", "(,)", "(2)", "(2,", "2", "[2]", "(-2,)", "(1e3,)", "(0x2,)", "(2.0,)", "(None,)", "(9223372036854775807,)",
  "(9223372036854775808,)", "(18446744073709551616,)", "(99999999999999999999999999,)", "(4294967296, 4294967296)",
  "(0, 9223372036854775807)", "(9223372036854775807, 0, 2)", "(1,1,1,1,1,1,1,1)", "(1,1,1,1,1,1,1,1,1)", "(2L,)",
  "(2,,)", "(2, 2)",
}

local function add_npy(add)
  local usual <const> = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n"
  local good = npy(usual:format("<f4", "False", "(2,)"), ("<ff"):pack(1, 2))
  add_damaged(add, "floats", good, 66)
  for i, header in ipairs(headers) do add("header " .. i, npy(header, "12345678")) end
  for i, text in ipairs(descriptions) do
    add("element type " .. i, npy(usual:format(text, "False", "(2,)"), "12345678"))
  end
  for _, shape in ipairs(shapes) do
    for _, order in ipairs { "True", "False" } do
      add(("shape %s, order %s"):format(shape, order), npy(usual:format("<f4", order, shape), "12345678"))
    end
  end
  for _, order in ipairs { "true", "1", "None", "'True'", "" } do
    add("order " .. order, npy(usual:format("<f4", order, "(2,)"), "12345678"))
  end
  for version = 0, 4 do add("version " .. version, npy(usual:format("<f4", "False", "(2,)"), "12345678", version)) end
  add("a header of 4 GB", "\x93NUMPY\2\0\xff\xff\xff\xff{}")
  add("a header of 60 KB", npy((" "):rep(60000), "12345678"))
end

--- A member of a ZIP archive that is stored, and its entry in the directory; `given` may say otherwise than it is.
local function member(at, name, bytes, given)
  given = given or {}
  local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, given.flags or 0, given.method or 0, 0, 33, given.sum or 0,
    given.packed or #bytes, given.bytes or #bytes, #name, 0)
  return "PK\3\4" .. common .. name .. bytes, "PK\1\2" .. ("<I2"):pack(20) .. common
    .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, given.at or at) .. name
end

local function archive(members, given)
  given = given or {}
  local front, directory = "", ""
  for _, m in ipairs(members) do
    local bytes, entry = member(#front, m[1], m[2], m[3])
    front, directory = front .. bytes, directory .. entry
  end
  return front .. directory .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, given.disk or 0, given.here or #members,
    given.count or #members, given.size or #directory, given.first or #front, 0)
end

local function add_npz(add)
  local one <const> = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n", "12")
  local sum <const> = 0x8F30CDEA -- of `one`
  local good = archive { { "a.npy", one, { sum = sum } } }
  add_damaged(add, "an archive", good, #good, 3)
  for i, given in ipairs { { sum = 1 }, { packed = 0 }, { packed = 1000 }, { packed = 0xffffffff }, { bytes = 1 },
    { bytes = 0xffffffff }, { bytes = 0xfffffffe }, { method = 8 }, { method = 9 }, { method = 8, bytes = 0x7fffffff },
    { flags = 1 }, { at = 1 }, { at = 0xffffffff }, { at = 0x7fffffff } } do
    add("a member " .. i, archive { { "a.npy", one, given } })
  end
  for i, name in ipairs { "", ".npy", "a", "a.txt", "\0.npy", "\27[31m.npy", "\xff.npy", "../a.npy",
    ("n"):rep(60000) .. ".npy", "\xE2\x80\xAE.npy" } do
    add("a name " .. i, archive { { name, one, { sum = sum } } })
  end
  add("a name twice", archive { { "a.npy", one, { sum = sum } }, { "a.npy", one, { sum = sum } } })
  add("members in the same place", archive { { "a.npy", one, { sum = sum } }, { "b.npy", one, { sum = sum, at = 0 } } })
  for i, given in ipairs { { count = 2, here = 2 }, { count = 0, here = 0 }, { count = 0xffff, here = 0xffff },
    { disk = 1 }, { here = 0 }, { size = 0 }, { size = 0xffffffff }, { first = 0 }, { first = 0xffffffff } } do
    add("an end " .. i, archive({ { "a.npy", one, { sum = sum } } }, given))
  end
end

local function safetensors(header, data, length)
  return ("<I8"):pack(length or #header) .. header .. (data or "")
end

local function entry(dtype, shape, offsets)
  return ('{"w":{"dtype":%s,"shape":%s,"data_offsets":%s}}'):format(dtype, shape, offsets)
end

local words <const> = {
  "", "{", "}", "null", "[]", "1", '"x"', "{}", "{} x", "{}\0", "\0{}", "\xEF\xBB\xBF{}", '{"w":null}', '{"w":1}',
  '{"w":{}}', '{"w":[]}', '{"__metadata__":null}', '{"__metadata__":{"a":1}}', '{"__metadata__":["a"]}',
  '{"__metadata__":{"smrun.crc32":"zzzzzzzz"}}', '{"__metadata__":{"smrun.crc32":""}}', '{"a":1,"a":1}',
  '{"\xff":1}', '{"\\ud800":1}', '{"\\u0000":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "{" .. ("["):rep(200),
  '{"w":' .. ("["):rep(100000), '{"' .. ("n"):rep(1000000) .. '":1}', '{"\27[31m":1}', '{"\\u001b[31m":1}',
  '{"\\u202e":1}', '{"\\u202e":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', ("{}"):rep(5),
  '{"w":{"dtype":"F32"}}',
  '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
  '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[3,8]}}',
  '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
}

local function add_safetensors(add)
  add_damaged(add, "floats", safetensors(entry('"F32"', "[2]", "[0,8]"), ("<ff"):pack(1, 2)), 64)
  for i, header in ipairs(words) do add("header " .. i, safetensors(header, "12345678")) end
  for _, length in ipairs { 0, 1, 7, 9, 1 << 16, 16000001, 60000000, 1 << 32, math.maxinteger, -1, math.mininteger } do
    add("a header of " .. length, safetensors("{}      ", "12345678", length))
  end
  for i, dtype in ipairs { '"f32"', '"F33"', '""', "1", "null", "[]", '"F8_E4M3"', '"C64"', '"\27[31m"', '"\\u202e"',
    '"' .. ("F"):rep(100000) .. '"', '"BOOL"', '"F64"', '"U64"', '"I8"' } do
    add("element type " .. i, safetensors(entry(dtype, "[2]", "[0,8]"), "\255\255\255\255\255\255\255\255"))
  end
  for i, shape in ipairs { "[]", "[-2]", "[1.5]", '["2"]', "[null]", "{}", "2", "null", "[9223372036854775807]",
    "[1e1]", "[9223372036854775808]", "[4294967296,4294967296]", "[0,9223372036854775807]", "[0]", "[2,[]]",
    "[1,1,1,1,1,1,1,1,2]",
    "[" .. ("1,"):rep(10000) .. "2]", "[2,2]" } do
    add("shape " .. i, safetensors(entry('"F32"', shape, "[0,8]"), "12345678"))
  end
  for i, offsets in ipairs { "[]", "[0]", "[0,8,8]", "[8,0]", "[0,7]", "[0,9]", "[-1,7]", "[0,-1]", "[0.0,8.0]",
    "[0,8e0]", "{}", "null", "[0,9223372036854775807]", "[9223372036854775807,9223372036854775807]",
    "[0,18446744073709551616]",
    '["0","8"]', "[4,8]" } do
    add("offsets " .. i, safetensors(entry('"F32"', "[2]", offsets), "12345678"))
  end
end

local function add_png(add)
  local function read(name)
    local file <close> = assert(io.open(here .. "/seeds/png/" .. name, "rb"))
    return file:read "a"
  end
  for _, name in ipairs { "palette", "alpha16", "deflated" } do add_damaged(add, name, read(name), 80, 3) end
end

--- @param scratch string a directory for what is made on the way
function M.cases(scratch)
  local cases = {}
  local function adder(kind, ending)
    return function(name, bytes)
      cases[#cases + 1] = { kind = kind, name = name, ending = ending, bytes = bytes }
    end
  end
  add_idx(adder("idx", "idx"))
  add_gzip(adder("gzip", "gz"), scratch)
  add_npy(adder("npy", "npy"))
  add_npz(adder("npz", "npz"))
  add_safetensors(adder("safetensors", "safetensors"))
  add_png(adder("png", "png"))
  table.sort(cases, function(a, b)
    if a.kind ~= b.kind then return a.kind < b.kind end
    return a.name < b.name
  end)
  return cases
end

return M
