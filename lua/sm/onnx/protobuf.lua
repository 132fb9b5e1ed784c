--- Messages of protobuf's wire format, as far as an ONNX file needs it: protobuf.dev/programming-guides/encoding.
-- A message is a list of pieces, texts and tensors, and knows its bytes, so that no tensor is copied.
-- @module sm.onnx.protobuf
local VARINT <const>, BYTES <const>, FIXED32 <const> = 0, 2, 5

local M = {}

local Message = {}
Message.__index = Message

local function varint(number)
  local bytes = {}
  while number & ~0x7f ~= 0 do -- negative numbers take ten bytes
    bytes[#bytes + 1] = string.char(number & 0x7f | 0x80)
    number = number >> 7
  end
  return table.concat(bytes) .. string.char(number)
end

local function key(field, kind) return varint(field << 3 | kind) end

function M.message() return setmetatable({ bytes = 0 }, Message) end

local function add(self, text)
  self[#self + 1], self.bytes = text, self.bytes + #text
end

function Message:integer(field, value) add(self, key(field, VARINT) .. varint(value)) end

function Message:float(field, value) add(self, key(field, FIXED32) .. ("<f"):pack(value)) end

function Message:text(field, value) add(self, key(field, BYTES) .. varint(#value) .. value) end

--- Integers in one piece, as protobuf's version 3 has repeated ones.
function Message:integers(field, list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = varint(value) end
  self:text(field, table.concat(parts))
end

function Message:message(field, inner)
  add(self, key(field, BYTES) .. varint(inner.bytes))
  table.move(inner, 1, #inner, #self + 1, self)
  self.bytes = self.bytes + inner.bytes
end

--- The elements of a tensor as they lie in memory: little-endian on every machine that there is a level for.
function Message:tensor(field, x, bytes)
  add(self, key(field, BYTES) .. varint(bytes))
  self[#self + 1], self.bytes = x, self.bytes + bytes
end

return M
