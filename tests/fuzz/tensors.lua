--- .safetensors files whole, with what their JSON says, and their checksums. What is read is written and read back. The
--- input is the header's text and, behind a NUL, the data; or, where it begins with a NUL, a file as it is.
local write = ...
require "sm.tensor" -- fields of tensors
local runtime = require "sm.runtime"
local files = require "sm.files"
local plain = require "plain"

local reads = 0

local function wrong(path, tensors, metadata, reasons)
  for name, text in pairs(metadata) do
    if type(name) ~= "string" or type(text) ~= "string" then return "metadata that are no text" end
  end
  for name, reason in pairs(reasons) do
    if type(name) ~= "string" or type(reason) ~= "string" or rawget(tensors, name) then return "an odd reason" end
    local ok, message = pcall(function() return tensors[name] end)
    if ok or not tostring(message):find(path, 1, true) then return "an unread one by name: " .. tostring(message) end
  end
  for name, tensor in pairs(tensors) do
    if type(name) ~= "string" or not runtime.tensor.is_tensor(tensor) then return "no tensor" end
  end
end

--- Writes what was read, and reads it once more.
local function back(path, tensors, metadata)
  local copy = path:gsub("input", "copy")
  local saved, problem = pcall(files.save_checked, copy, tensors, metadata)
  if not saved then return "not written: " .. tostring(problem) end
  local ok, again, words = pcall(files.load, copy)
  os.remove(copy)
  if not ok then return "not read back: " .. tostring(again) end
  for name, tensor in pairs(tensors) do
    if not again[name] or runtime.io.checksum(again[name]) ~= runtime.io.checksum(tensor) then
      return "another tensor is read back: " .. name
    end
  end
  for name, text in pairs(metadata) do
    if words[name] ~= text then return "another text is read back" end
  end
end

return function(input)
  local bytes = input:sub(2)
  if input:sub(1, 1) ~= "\0" then
    local stop = input:find("\0", 1, true) or #input + 1
    bytes = ("<s8"):pack(input:sub(1, stop - 1)) .. input:sub(stop + 1)
  end
  local path = write(".safetensors", bytes)
  local ok, tensors, metadata, reasons = pcall(files.load, path)
  if not ok then
    if not tostring(tensors):find(path, 1, true) then return "no file is named: " .. tostring(tensors) end
    return plain(tensors, input)
  end
  local bad = wrong(path, tensors, metadata, reasons)
  if bad then return bad end
  reads = reads + 1
  if reads % 64 == 0 and not next(reasons) then return back(path, tensors, metadata) end
end
