--- A page as a tree of elements. Every text in it is escaped, so that what comes from a stranger's file stays
-- text; only `raw` goes in as it is.
local sorted_keys = require "sm.ordered".sorted_keys
local visible = require "sm.text".visible

local M = {}

local Element, Raw = {}, {}

local void <const> = { img = true, input = true, link = true, meta = true }
local entities <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local no_character <const> = "\u{FFFD}"

--- Valid UTF-8: every byte that is none becomes U+FFFD.
local function valid(text)
  local parts, from = {}, 1
  while true do
    local _, wrong = utf8.len(text, from)
    if not wrong then break end
    parts[#parts + 1] = text:sub(from, wrong - 1)
    from = wrong + 1
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts, no_character)
end

--- A text as it stands in a page, in an element or a quoted attribute. Control characters that no page may have
--- become U+FFFD, and what would turn the text about or hide is made visible.
function M.escape(text)
  if not text:find "[^%w \n,.+_-]" then return text end -- millions of figures
  text = valid(text):gsub("\r\n?", "\n"):gsub("[\0-\8\11\12\14-\31\127]", no_character)
  if text:find "[\128-\255]" then text = visible(text, "\t\n") end
  return (text:gsub("[&<>\"']", entities))
end

--- @param attributes table name → text, number, raw, a list of these, or true; false leaves the attribute out
--- @param ... what is inside: texts, elements, lists of these; nil and false are nothing
function M.element(name, attributes, ...)
  return setmetatable({ name = name, attributes = attributes, inside = table.pack(...) }, Element)
end

--- Markup that is right as it stands: the program's own files, and text that has no special character.
function M.raw(markup)
  return setmetatable({ markup = markup }, Raw)
end

local write

local function write_all(list, count, parts)
  for i = 1, count do
    if list[i] then write(list[i], parts) end
  end
end

local function write_element(element, parts)
  parts[#parts + 1] = "<" .. element.name
  for _, name in ipairs(sorted_keys(element.attributes)) do
    local value = element.attributes[name]
    if value == true then
      parts[#parts + 1] = " " .. name
    elseif value then
      parts[#parts + 1] = (" %s=\""):format(name)
      write(value, parts)
      parts[#parts + 1] = "\""
    end
  end
  parts[#parts + 1] = ">"
  if void[element.name] then return end
  write_all(element.inside, element.inside.n, parts)
  parts[#parts + 1] = ("</%s>"):format(element.name)
end

function write(node, parts)
  local kind = getmetatable(node)
  if kind == Element then
    write_element(node, parts)
  elseif kind == Raw then
    parts[#parts + 1] = node.markup
  elseif type(node) == "table" then
    write_all(node, #node, parts)
  else
    parts[#parts + 1] = M.escape(tostring(node))
  end
end

--- The markup of a tree.
function M.render(node)
  local parts = {}
  write(node, parts)
  return table.concat(parts)
end

return M
