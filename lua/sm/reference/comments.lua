--- The `---` blocks of the library's sources, and what each documents.
local lfs = require "lfs"

local M = {}

--- The names that a line defines, and whether it makes a layer, an optimizer or the like.
local function defined(line, path)
  local made = line:match "define%(%s*\"([%w_]+)\""
  local name = line:match "^%s*local%s+function%s+([%w_]+)" or line:match "^%s*function%s+[%w_.]-[.:]?([%w_]+)%s*%("
    or line:match "^%s*local%s+([%w_]+)%s*<?%w*>?%s*=" or line:match "^%s*[%w_.]-%.?([%w_]+)%s*=[^=]"
  if line:find "^return" then name = made or path:match "([%w_]+)%.lua$" end
  return name or made, made ~= nil
end

--- The lines of a comment without their dashes, split into words and parameters ("@param x …").
local function read(lines)
  local words, tags = {}, {}
  for _, line in ipairs(lines) do
    local text = line:gsub("^%s*%-%-%-?%s?", "")
    local tag, rest = text:match "^@(%w+)%s*(.*)$"
    if tag then
      tags[#tags + 1] = { tag = tag, text = rest }
    elseif #tags > 0 and text:find "%S" then
      tags[#tags].text = tags[#tags].text .. " " .. text:gsub("^%s+", "")
    else
      words[#words + 1] = text
    end
  end
  return words, tags
end

--- The blocks of a file, which is called `path`: {path=, line=(that the block documents), names={name=true},
-- words={line, …}, tags={{tag=, text=}, …}, code=(that line)}. Definitions in a row, a line each, share a block, if
-- it names them.
local function blocks_of(file, path)
  local blocks, comment, number, open = {}, nil, 0, nil
  for line in io.lines(file) do
    number = number + 1
    if line:find "^%s*%-%-%-" then
      comment = comment or {}
      comment[#comment + 1] = line
      open = nil
    elseif comment and line:find "^%s*%-%-" then
      comment[#comment + 1] = line
    else
      local name, made = defined(line, path)
      if comment then
        local words, tags = read(comment)
        open = { path = path, line = number, names = {}, words = words, tags = tags, code = line, made = made }
        if name then open.names[name] = true end
        blocks[#blocks + 1], comment = open, nil
      elseif open and name and (" " .. table.concat(open.words, " ") .. " "):find("[^%w_]" .. name .. "[^%w_]") then
        open.names[name] = true
      else
        open = nil
      end
    end
  end
  return blocks
end

local function files(directory, found)
  for name in lfs.dir(directory) do
    local path = directory .. "/" .. name
    if name:find "^[^.]" and lfs.attributes(path, "mode") == "directory" then
      files(path, found)
    elseif name:find "%.lua$" then
      found[#found + 1] = path
    end
  end
  return found
end

--- All blocks of the sources below a directory.
-- @param called what that directory is called in their paths
function M.read(directory, called)
  local all, found = {}, files(directory, {})
  table.sort(found)
  for _, path in ipairs(found) do
    for _, block in ipairs(blocks_of(path, called .. path:sub(#directory + 1))) do all[#all + 1] = block end
  end
  return all
end

--- The block that documents a public function.
-- @param public its name, as a block may begin with it: "nn.conv2d", "sm.params"
-- @param f the function; where it was written in Lua its own place decides
-- @param room pattern of the paths that may define it
function M.find(blocks, public, f, room)
  local info = f and debug.getinfo(f, "S")
  local name, best, worth = public:match "[%w_]+$", nil, 0
  for _, block in ipairs(blocks) do
    if info and info.linedefined == block.line and info.source:sub(-#block.path) == block.path then return block end
    local first = block.words[1] or ""
    local head = ", " .. (first:match "^(.-): " or first)
    local named = head:find(", `?" .. public:gsub("%.", "%%.") .. "%f[^%w_]") ~= nil
    local points = named and block.path:find "^lua/sm/" and 3 or 0
    if block.names[name] and block.path:find(room) and not block.code:find "^%s*local function" then
      points = points + (block.made and 2 or 1)
    end
    if points > worth then best, worth = block, points end
  end
  return best
end

return M
