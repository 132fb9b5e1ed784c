local lfs = require "lfs"
local sm = require "sm"
local ordered = require "sm.ordered"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"

local real = runtime.real
local directory

local function path(name)
  return directory .. "/" .. name
end

local function write(name, content)
  helpers.write(path(name), content)
end

local function read(name)
  return helpers.read(path(name))
end

local function entries()
  local names = {}
  for name in lfs.dir(directory) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Expects an error that begins with a line of this file and contains every part.
local function fails(f, ...)
  local ok, message = pcall(f)
  assert.is_false(ok, "expected an error")
  assert.matches("files_spec%.lua:%d+: ", message)
  for _, part in ipairs { ... } do
    assert.is_truthy(message:find(part, 1, true), ("%q is not in %q"):format(part, message))
  end
end

--- Writes a safetensors file with this header and so many bytes of data, and expects its reading to fail.
local function refuses(header, data_bytes, ...)
  write("bad.safetensors", string.pack("<s8", header) .. ("\0"):rep(data_bytes))
  fails(function() sm.load(path "bad.safetensors") end, path "bad.safetensors", ...)
end

describe("files", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
  end)

  after_each(function()
    for _, name in ipairs(entries()) do os.remove(path(name)) end
    assert(lfs.rmdir(directory))
  end)

  it("keep one tensor in .npy", function()
    for _, dtype in ipairs { real, "uint8", "int32" } do
      for _, shape in ipairs { {}, { 3 }, { 2, 3 }, { 2, 0, 4 }, { 1, 2, 3, 4 } } do
        local x = sm.full(shape, 7, dtype)
        sm.save(path "x.npy", x)
        local y, more = sm.load(path "x.npy")
        assert.is_nil(more)
        assert.equal(dtype, y.dtype)
        assert.same(shape, y.shape)
        assert.same(x:totable(), y:totable())
      end
    end
    assert.same({ "x.npy" }, entries())
  end)

  it("write .npy as NumPy does", function()
    sm.save(path "x.npy", sm.tensor({ { 1, 2, 3 }, { 4, 5, 255 } }, "uint8"))
    local header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"
    assert.equal("\x93NUMPY\1\0" .. string.pack("<s2", header .. (" "):rep(128 - 10 - 1 - #header) .. "\n")
      .. "\1\2\3\4\5\255", read "x.npy")
  end)

  it("keep named tensors and metadata in .safetensors", function()
    local given = {
      b = sm.randn(2, 3), ["a.weight"] = sm.tensor({ 1, -2 }, "int32"), empty = sm.zeros({ 0, 2 }, "uint8"),
      scalar = sm.tensor(3), ["π \"x\"\\ {[]}"] = sm.tensor({ 9 }, "uint8"),
    }
    local metadata = { text = "first\nsecond \"quoted\" \\ {}[] é\0\1", empty = "" }
    sm.save(path "x.safetensors", given, metadata)
    local loaded, loaded_metadata = sm.load(path "x.safetensors")
    assert.same(metadata, loaded_metadata)
    for name, x in pairs(given) do
      assert.same(x.shape, loaded[name].shape)
      assert.equal(x.dtype, loaded[name].dtype)
      assert.same(x:totable(), loaded[name]:totable())
      loaded[name] = nil
    end
    assert.is_nil(next(loaded))
    assert.same({ "x.safetensors" }, entries())
  end)

  it("write .safetensors byte for byte", function()
    local tensors = { b = sm.tensor({ 5 }, "uint8"), a = sm.tensor({ { 1, 2 } }, "int32") }
    sm.save(path "x.safetensors", tensors, { k = "v" })
    local header = '{"__metadata__":{"k":"v"},"a":{"dtype":"I32","shape":[1,2],"data_offsets":[0,8]},'
      .. '"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}'
    header = header .. (" "):rep(-#header % 8)
    assert.equal(string.pack("<s8", header) .. string.pack("<i4i4B", 1, 2, 5), read "x.safetensors")
  end)

  it("keep named tensors in .npz", function()
    local given = ordered.new()
    for name, x in pairs { ["a.weight"] = sm.randn(2, 3), ["π/x"] = sm.tensor({ 1, -2 }, "int32"), s = sm.tensor(3) } do
      ordered.set(given, name, x)
    end
    ordered.set(given, "empty", sm.zeros({ 0, 2 }, "uint8"))
    sm.save(path "x.npz", given)
    local loaded, metadata, unread = sm.load(path "x.npz")
    assert.same({ {}, {} }, { metadata, unread })
    for name, x in pairs(given) do
      assert.same({ x.shape, x.dtype, x:totable() }, { loaded[name].shape, loaded[name].dtype, loaded[name]:totable() })
      loaded[name] = nil
    end
    assert.is_nil(next(loaded))
    sm.save(path "x.npz", {})
    assert.is_nil(next((sm.load(path "x.npz"))))
    assert.same({ "x.npz" }, entries())
    fails(function() sm.save(path "x.npz", { a = 1 }) end, "'a' must be a tensor, got number 1")
    fails(function() sm.save(path "x.npz", sm.ones(2)) end, "an .npz file holds a table of named tensors, got tensor")
    fails(function() sm.save(path "x.npz", { a = sm.ones(2) }, {}) end, "only a .safetensors file has room for")
    fails(function() sm.save(path "x.npz", { ["a\nb"] = sm.ones(2) }) end, "without control characters")
  end)

  --- A ZIP archive of one member, stored or deflated.
  --- @param claimed integer|nil what it says that it becomes
  local function zip(name, bytes, deflated, claimed)
    local packed = bytes
    if deflated then
      write("plain", bytes)
      assert(os.execute(("gzip -nc %s > %s"):format(helpers.quote(path "plain"), helpers.quote(path "packed"))))
      packed = read "packed":sub(11, -9) -- RFC 1951 between the front and the end of RFC 1952
    end
    local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, deflated and 8 or 0, 0, 33,
      tonumber(runtime.io.checksum(bytes), 16), #packed, claimed or #bytes, #name, 0)
    local front = "PK\3\4" .. common .. name .. packed
    local ending = "PK\1\2\20\0" .. common .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, 0) .. name
    return front .. ending .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, 1, 1, #ending, #front, 0)
  end

  it("read .npz as NumPy writes it", function()
    local x = sm.arange(300):reshape(3, 100)
    sm.save(path "x.npy", x)
    for _, deflated in ipairs { false, true } do
      write("x.npz", zip("a.npy", read "x.npy", deflated))
      assert.same(x:totable(), sm.load(path "x.npz").a:totable())
    end
    write("x.npz", zip("a.npy", (read "x.npy":gsub("<f%d", "|O8", 1))))
    local tensors, _, unread = sm.load(path "x.npz")
    assert.is_truthy(unread.a:find("x.npz: 'a.npy': the element type is '|O8'", 1, true), unread.a)
    fails(function() return tensors.a end, "the element type is '|O8'")
    write("x.npz", zip("a.txt", "text"))
    fails(function() sm.load(path "x.npz") end, "the member 'a.txt' is no .npy file")
    local good = zip("a.npy", read "x.npy", true)
    write("x.npz", good:sub(1, 60) .. string.char(good:byte(61) ~ 1) .. good:sub(62))
    fails(function() sm.load(path "x.npz") end, "x.npz: 'a.npy': its data, ", "are damaged: ")
    local noise = {}
    for i = 1, 400000 do noise[i] = string.char(i * i // 7 * 2654435761 >> 13 & 255) end
    noise = table.concat(noise)
    write("x.npz", zip("a.npy", noise, true, (1 << 28) + 1))
    fails(function() sm.load(path "x.npz") end, "x.npz: 'a.npy': ", "268435457")
    write("x.npz", good:sub(1, -2))
    fails(function() sm.load(path "x.npz") end, "x.npz: no NPZ file: it has no end of a ZIP archive")
  end)

  it("are NPZ files to NumPy", function()
    local python
    for _, candidate in ipairs { "/usr/bin/python3", "python3" } do
      python = python or os.execute(candidate .. " -c 'import numpy' 2>/dev/null") and candidate
    end
    if not python then return pending "python3-numpy is not installed" end
    sm.save(path "x.npz", { a = sm.arange(6):reshape(2, 3), ["é.b"] = sm.tensor({ 7 }, "uint8") })
    local script <const> = "import sys, numpy as n; z = n.load(sys.argv[1]); a = z['a']; b = z['é.b']; "
      .. "n.savez_compressed(sys.argv[1], a=a * 2, b=b.astype('>i8'), z=n.zeros((50, 50)), f=n.asfortranarray(a))"
    assert(os.execute(("%s -c %s %s"):format(python, helpers.quote(script), helpers.quote(path "x.npz"))))
    local t = sm.load(path "x.npz")
    assert.same({ { 0, 2, 4 }, { 6, 8, 10 } }, t.a:totable())
    assert.same({ { 0, 1, 2 }, { 3, 4, 5 } }, t.f:totable())
    assert.same({ 7 }, t.b:totable())
    assert.equal(0, t.z:sum():item())
  end)

  it("keep the shape of what is empty", function()
    for _, shape in ipairs { { 0 }, { 0, 1 << 60 }, { 1 << 60, 0 }, { 1 << 30, 0, 1 << 30 } } do
      for _, name in ipairs { "empty.safetensors", "empty.npy" } do
        local file, x = path(name), sm.zeros(shape, "int32")
        sm.save(file, name:find "npy" and x or { x = x })
        local y = sm.load(file)
        assert.same(shape, (name:find "npy" and y or y.x).shape)
      end
    end
  end)

  it("keep the order of an ordered map", function()
    local map = ordered.new()
    for _, name in ipairs { "z", "a", "m" } do ordered.set(map, name, sm.tensor({ 1 }, "uint8")) end
    sm.save(path "x.safetensors", map)
    assert.is_truthy(read "x.safetensors":find('"z".*"a".*"m"'))
    sm.save(path "x.safetensors", {})
    local tensors, metadata = sm.load(path "x.safetensors")
    assert.same({}, tensors)
    assert.same({}, metadata)
  end)

  it("convert the types of other programs", function()
    local header = '{"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},'
      .. '"f":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},'
      .. '"l":{"shape":[1],"dtype":"I64","data_offsets":[20,28]}}'
    write("x.safetensors", string.pack("<s8ddfi8", header, 0.5, -3, 2.25, -7))
    local x = sm.load(path "x.safetensors")
    assert.same({ 0.5, -3 }, x.d:totable())
    assert.same({ 2.25 }, x.f:totable())
    assert.same({ -7 }, x.l:totable())
    assert.equal("int32", x.l.dtype)
  end)

  it("refuse what cannot be saved, and leave nothing behind", function()
    local x = sm.zeros(2)
    fails(function() sm.save(path "x.txt", x) end, "save: " .. path "x.txt", ".npy (one tensor)",
      ".safetensors")
    fails(function() sm.save(path "npy", x) end, "the name should end in")
    fails(function() sm.save(3, x) end, "save: the path must be a string, got number 3")
    fails(function() sm.save(path "x.npy", { x }) end, "a .npy file holds one tensor, got table")
    fails(function() sm.save(path "x.npy", x, {}) end, "only a .safetensors file has room for metadata")
    fails(function() sm.save(path "x.safetensors", x) end, "a table of named tensors, got tensor {2}")
    fails(function() sm.save(path "x.safetensors", { a = 3 }) end, "'a' must be a tensor, got number 3")
    fails(function() sm.save(path "x.safetensors", { x }) end, "names of tensors must be strings", "number 1")
    fails(function() sm.save(path "x.safetensors", { ["\xff"] = x }) end, "must be strings of UTF-8")
    fails(function() sm.save(path "x.safetensors", { __metadata__ = x }) end, "no tensor may be called")
    fails(function() sm.save(path "x.safetensors", {}, { a = 3 }) end, "metadata 'a' must be a string of UTF-8",
      "number 3")
    fails(function() sm.save(path "x.safetensors", {}, { a = "\xff" }) end, "metadata 'a' must be a string")
    fails(function() sm.save(path "no/x.npy", x) end, path "no/x.npy" .. ": cannot create", "No such file")
    assert.same({}, entries())
  end)

  it("are the old ones until the new one is whole", function()
    sm.save(path "x.npy", sm.tensor { 1 })
    local writer = runtime.io.create(path "x.npy")
    writer:write(sm.tensor { 2 })
    assert.equal(2, #entries())
    assert.matches("^%.x%.npy%.tmp%-%d+$", entries()[1])
    assert.same({ 1 }, sm.load(path "x.npy"):totable())
    writer:abandon()
    writer:abandon()
    assert.same({ "x.npy" }, entries())
    fails(function() writer:write(sm.tensor { 2 }) end, "this file is closed")
    fails(function() writer:commit() end, "this file is closed")
    runtime.io.write_durably(path "t", "text\0")
    assert.equal("text\0", read "t")
  end)

  it("refuse a damaged .npy, naming it", function()
    write("x.npy", "\x93NUMPY")
    fails(function() sm.load(path "x.npy") end, path "x.npy", "byte 0", "no NPY file")
    fails(function() sm.load(path "none.npy") end, path "none.npy", "cannot open: No such file or directory")
    fails(function() runtime.io.read_npy "a\0b" end, "must be a path")
  end)

  it("refuse a damaged frame of .safetensors", function()
    local function load() sm.load(path "bad.safetensors") end
    write("bad.safetensors", "1234")
    fails(load, path "bad.safetensors", "expected 8 bytes of header length")
    write("bad.safetensors", string.pack("<i8", 101 * 1000 * 1000) .. "{}")
    fails(load, "a header of 101000000 bytes, where the file has 10")
    write("bad.safetensors", string.pack("<i8", -1) .. "{}")
    fails(load, "a header of 18446744073709551615 bytes")
  end)

  it("refuse a damaged header of .safetensors", function()
    refuses("", 0, "byte 8", "does not begin with '{'")
    refuses(" {}", 0, "does not begin with '{'")
    refuses("{", 0, "the header is not JSON")
    refuses('{"a":' .. ("["):rep(100000), 0, "the header is not JSON")
    refuses('{"a":NaN}', 0, "the header is not JSON")
    refuses('{"a":3}', 0, "'a' is not an object")
    refuses('{"a":null}', 0, "'a' is not an object")
    refuses('{"a":{}}', 0, "tensor 'a' should have a dtype, a shape and two data_offsets")
    refuses('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":{"x":1},"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-1,3]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e300]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', 4, "tensor 'a' has an unknown type, 'F33'")
    refuses('{"a":{"dtype":"F32\\u0000x","shape":[1],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,4]}}', 4, "shape {2} does not fit its 4 bytes")
    refuses('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4, "shape {2} does not fit its 4 bytes")
    refuses('{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}', 4, "does not fit")
    refuses('{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}}', 4, "tensor 'a' should have")
    refuses('{"a":[1]}', 0, "'a' is not an object")
    refuses('{"__metadata__":[]}', 0, "__metadata__ is not an object")
    refuses('{"__metadata__":3}', 0, "__metadata__ is not an object")
    refuses('{"__metadata__":{"a":3}}', 0, "should hold strings alone; 'a' is none")
  end)

  it("refuse a header of .safetensors that is not JSON by the letter", function()
    local entry = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
    refuses('{"a":{"dtype":"I32",' .. entry .. "}}", 4, "byte 28: the header has 'dtype' twice")
    refuses('{"a":{' .. entry .. ',"shape":[2]}}', 4, "the header has 'shape' twice")
    refuses('{"a":{' .. entry .. ',"data_offset\\u0073":[4,8]}}', 8, "the header has 'data_offsets' twice")
    refuses('{"__metadata__":{"k":"1","k":"2"}}', 0, "the header has 'k' twice")
    refuses('{"__metadata__":{},"__metadata__":{}}', 0, "the header has '__metadata__' twice")
    refuses("{}\0garbage", 0, "byte 10: the header is not JSON: expected its end")
    refuses("{} {}", 0, "the header is not JSON: expected its end")
    refuses('{"\xff":{' .. entry .. "}}", 4, "byte 10: the header is not UTF-8")
    refuses('{"\xed\xa0\x80":{' .. entry .. "}}", 4, "the header is not UTF-8")
    refuses('{"__metadata__":{"k":"\xe9"}}', 0, "the header is not UTF-8")
    refuses('{"\\ud800":{' .. entry .. "}}", 4, "expected a pair of surrogates")
    refuses('{"a\1":{' .. entry .. "}}", 4, "expected no control character in a string")
    refuses('{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', 4, "the header is not JSON: expected a value")
    refuses('{"a":{"dtype":"F32","shape":[0x1],"data_offsets":[0,4]}}', 4, "expected a comma or ']'")
    refuses('{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}', 4, "expected a value")
    refuses('{"a":{' .. entry .. "},}", 4, "expected a key in quotation marks")
    refuses('{/* */"a":{' .. entry .. "}}", 4, "expected a key in quotation marks")
    refuses("{'a':{" .. entry .. "}}", 4, "expected a key in quotation marks")
    refuses('{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,4]}}', 4, "expected a value")
  end)

  it("keep the exact sizes of a header of .safetensors", function()
    write("x.safetensors", string.pack("<s8",
      '{"a":{"dtype":"F32","shape":[0,9007199254740993],"data_offsets":[0,0]}}'))
    assert.same({ 0, 9007199254740993 }, sm.load(path "x.safetensors").a.shape)
  end)

  it("give of .safetensors what can be read, and say what cannot", function()
    local header = '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
      .. '"half":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},'
      .. '"brain":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},'
      .. '"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[14,17]},'
      .. '"small":{"dtype":"I8","shape":[1],"data_offsets":[17,18]},'
      .. '"eight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[18,20]},'
      .. '"large":{"dtype":"I64","shape":[2],"data_offsets":[20,36]},'
      .. '"deep":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[36,37]}}'
    write("x.safetensors", string.pack("<s8ffI2I2I2BBBbBBi8i8B", header, 1, -2, 0x3c00, 0xc000, 0x3fc0, 1, 0, 1, -3,
      9, 9, 1, 2 ^ 31 | 0, 7))
    local x, metadata, unread = sm.load(path "x.safetensors")
    assert.same({ 1, -2 }, x.a:totable())
    assert.same({ 1, -2 }, x.half:totable())
    assert.same({ real, real, "int32", "int32" }, { x.half.dtype, x.brain.dtype, x.mask.dtype, x.small.dtype })
    assert.same({ 1.5, -3 }, { x.brain:item(), x.small[1]:item() })
    assert.same({ 1, 0, 1 }, x.mask:totable())
    assert.same({ k = "v" }, metadata)
    local names, reasons = {}, {}
    for name in pairs(x) do names[#names + 1] = name end
    for name in pairs(unread) do reasons[#reasons + 1] = name end
    table.sort(names)
    table.sort(reasons)
    assert.same({ "a", "brain", "half", "mask", "small" }, names)
    assert.same({ "deep", "eight", "large" }, reasons)
    assert.equal(path "x.safetensors" .. ": tensor 'eight' is F8_E4M3, which cannot be read", unread.eight)
    fails(function() return x.eight end, "tensor 'eight' is F8_E4M3, which cannot be read")
    fails(function() return x.large end, "tensor 'large': element 2 is 2147483648, which int32 cannot hold")
    fails(function() return x.deep end, "tensor 'deep' has 9 axes; at most 8 can be read")
    assert.is_nil(x.absent)
    fails(function() sm.save(path "y.safetensors", x) end, "this table was read without '", "which would be lost")
    x.own = sm.ones(1)
    assert.same({ 1 }, x.own:totable())
    sm.save(path "y.safetensors", { a = x.a })
    assert.same({}, (select(3, sm.load(path "y.safetensors"))))
  end)

  it("refuse an .npy whose numbers do not fit, naming the first", function()
    local header = "{'descr': '>u8', 'fortran_order': False, 'shape': (2,), }"
    write("x.npy", "\x93NUMPY\1\0" .. string.pack("<s2", header) .. string.pack(">I8I8", 3, 4294967296))
    fails(function() sm.load(path "x.npy") end, "x.npy: element 2 is 4294967296, which int32 cannot hold")
  end)

  it("are written where a link leads, and into what is no plain file", function()
    sm.save(path "x.npy", sm.ones(1))
    assert(lfs.link("x.npy", path "link.npy", true))
    sm.save(path "link.npy", sm.tensor { 5 })
    assert.equal("link", lfs.symlinkattributes(path "link.npy", "mode"))
    assert.same({ 5 }, sm.load(path "x.npy"):totable())
    assert(lfs.link("/dev/full", path "full.npy", true))
    fails(function() sm.save(path "full.npy", sm.ones(1)) end, "full.npy: cannot write: No space left on device")
    assert(lfs.link("/dev/null", path "null.npy", true))
    sm.save(path "null.npy", sm.ones(1))
    assert.equal("char device", lfs.attributes("/dev/null", "mode"))
    assert.same({ "full.npy", "link.npy", "null.npy", "x.npy" }, entries())
    assert(lfs.mkdir(path "d.npy"))
    fails(function() sm.save(path "d.npy", sm.ones(1)) end, "d.npy: expected the name of a file", "a directory")
    assert(lfs.rmdir(path "d.npy"))
    fails(function() sm.save(path "a\0.npy", sm.ones(1)) end, "must be a path")
    local long = ("n"):rep(251) .. ".npy"
    sm.save(path(long), sm.ones(1))
    sm.save(path(long), sm.ones(2))
    assert.same({ 2 }, sm.load(path(long)).shape)
  end)

  it("refuse a damaged layout of .safetensors", function()
    local function entry(name, first, last)
      local text = '"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}'
      return text:format(name, last - first, first, last)
    end
    local function header(...) return "{" .. table.concat({ ... }, ",") .. "}" end
    refuses(header(entry("a", 0, 4), entry("a", 0, 4)), 4, "has 'a' twice")
    refuses(header(entry("a", 0, 4), entry("\\u0061", 4, 8)), 8, "has 'a' twice")
    refuses(header(entry("a", 0, 4), entry("b", 5, 8)), 8, "tensor 'b' lies at 5 to 8", "should begin at 4")
    refuses(header(entry("a", 0, 4), entry("b", 3, 8)), 8, "tensor 'b' lies at 3 to 8", "holes or overlaps")
    refuses(header(entry("a", 1, 4)), 4, "tensor 'a' lies at 1 to 4", "it should begin at 0")
    refuses(header(entry("a", 0, 4)), 5, "the tensors take 4 bytes of data, and the file has 5")
    refuses(header(entry("a", 0, 4)), 3, "the tensors take 4 bytes of data, and the file has 3")
    refuses('{"a":{"dtype":"U8","shape":[2],"data_offsets":[4,2]}}', 4, "tensor 'a' lies at 4 to 2")
    local out_of_order = header(entry("b", 2, 4), entry("z", 0, 0), entry("a", 0, 2))
    write("ok.safetensors", string.pack("<s8", out_of_order) .. "1234")
    local x = sm.load(path "ok.safetensors")
    assert.same({ 0x33, 0x34 }, x.b:totable())
    assert.same({}, x.z:totable())
  end)
end)
