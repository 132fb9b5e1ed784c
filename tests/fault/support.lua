--- What the cases and the driver of the failing allocations share: values as text, tables through a pipe, directories.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"

local M = {}

local function add(value, out, depth)
  local runtime = package.loaded["sm.runtime"]
  local kind = math.type(value) or type(value)
  if runtime and runtime.tensor.is_tensor(value) then
    out[#out + 1] = ("%s%s:%s"):format(value.dtype, tostring(value.shape), runtime.io.checksum(value))
  elseif kind == "float" then
    out[#out + 1] = ("%a"):format(value)
  elseif kind ~= "table" or depth > 6 then
    out[#out + 1] = kind == "string" and ("%q"):format(value) or kind == "integer" and tostring(value)
      or kind == "boolean" and tostring(value) or kind
  else
    local keys = {}
    for key in next, value do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    out[#out + 1] = "{"
    for _, key in ipairs(keys) do
      out[#out + 1] = (type(key) == "table" and "table" or tostring(key)) .. "="
      add(rawget(value, key), out, depth + 1)
      out[#out + 1] = ";"
    end
    out[#out + 1] = "}"
  end
end

--- A text that is equal for equal values alone: every bit of a tensor counts.
function M.digest(value)
  local out = {}
  add(value, out, 0)
  return table.concat(out)
end

--- Where two texts begin to differ.
function M.difference(a, b)
  local i = 1
  while i <= #a and a:byte(i) == b:byte(i) do i = i + 1 end
  return ("'%s' for '%s'"):format(a:sub(math.max(1, i - 30), i + 60), b:sub(math.max(1, i - 30), i + 60))
end

local function literal(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = ("[%q]=%s"):format(key, literal(item)) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A plain table as text, and back.
function M.pack(value) return literal(value) end

function M.unpack(text) return assert(load("return " .. text, "=child", "t", {}))() end

M.read, M.write = helpers.read, helpers.write

--- A new directory, in TMPDIR where that is said.
function M.workspace()
  local path = os.tmpname()
  os.remove(path)
  path = path:gsub("^/tmp", os.getenv "TMPDIR" or "/tmp")
  assert(lfs.mkdir(path))
  return path
end

--- Removes a file, or a directory with all that it has.
function M.remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    local names = {}
    for name in lfs.dir(path) do names[#names + 1] = name end
    for _, name in ipairs(names) do
      if name ~= "." and name ~= ".." then M.remove(path .. "/" .. name) end
    end
  end
  os.remove(path)
end

return M
