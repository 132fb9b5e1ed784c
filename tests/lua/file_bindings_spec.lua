--- The readers and writers of runtime.io, as a script may find them: closed, of another kind, or closed by a finalizer
--- while something is read.
local runtime = require "sm.runtime"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

describe("runtime.io's", function()
  local path = os.tmpname() .. ".safetensors"
  local tensor
  before_each(function()
    tensor = sm.randn(50)
    sm.save(path, { w = tensor })
  end)
  after_each(function() os.remove(path) end)

  local function reader() return runtime.io.open_safetensors(path) end
  local function writer() return runtime.io.create(path) end

  it("metatables are out of reach", function()
    local w = writer()
    for _, value in ipairs { reader(), w } do
      assert.is_false(getmetatable(value))
      assert.is_false(pcall(setmetatable, value, {}))
    end
    w:abandon()
  end)

  it("methods check their object, and close as often as they are called", function()
    local r, w = reader(), writer()
    for name, arguments in pairs {
      header = {}, read = { "w", "F32", { 50 }, 0, 200 }, checksum = { 0, 4 }, close = {},
    } do
      for _, other in ipairs { w, io.stdout, tensor, {}, "x", false } do
        has(error_of(r[name], other, table.unpack(arguments)), name .. ": argument 1 must be a reader of a ")
      end
    end
    for name, argument in pairs { header = "{}", write = tensor, commit = "", abandon = "" } do
      for _, other in ipairs { r, io.stdout, tensor, {}, "x", false } do
        has(error_of(w[name], other, argument), name .. ": argument 1 must be a writer of a file")
      end
    end
    for _ = 1, 3 do
      r:close()
      w:abandon()
    end
    for name, call in pairs {
      header = function() return r:header() end, checksum = function() return r:checksum(0, 4) end,
      read = function() return r:read("w", "F32", { 50 }, 0, 200) end, write = function() return w:write(tensor) end,
      commit = function() return w:commit() end, title = function() return w:header "{}" end,
    } do
      has(error_of(call), "this file is closed", name)
    end
    w = writer()
    w:header "{}"
    w:commit()
    w:abandon()
    assert.same({}, (sm.load(path)))
  end)

  it("files may be closed, or no files", function()
    local file = assert(io.open(path, "r+"))
    file:close()
    for _, name in ipairs { "lock", "is_locked" } do
      has(error_of(runtime.io[name], file), "this file is closed")
      for _, other in ipairs { reader(), {}, path, false } do
        has(error_of(runtime.io[name], other), name .. ": argument 1 must be an open file")
      end
    end
  end)

  it("reader may be closed by a finalizer while it reads", function()
    for _, call in ipairs {
      function(r) return #r:header() > 0 end,
      function(r) return r:read("w" .. ("x"):rep(100), "F32", { 50 }, 0, 200) end,
    } do
      local ended = false
      for _ = 1, 20 do
        local r = reader()
        setmetatable({}, { __gc = function() r:close() end })
        for _ = 1, 100000 do
          local ok, result = pcall(call, r)
          if not ok then
            has(result, "this file is closed")
            ended = true
            break
          end
          assert.truthy(result)
        end
      end
      assert.is_true(ended)
    end
  end)

  it("writer may be abandoned by a finalizer while it writes", function()
    local w = writer()
    setmetatable({}, { __gc = function() w:abandon() end })
    local ok, message = pcall(function()
      for i = 1, 1000000 do w:header(('{"__metadata__":{"%d":""}}'):format(i)) end
    end)
    assert.is_false(ok)
    has(message, "this file is closed")
    assert.same(tensor:totable(), sm.load(path).w:totable())
  end)
end)
