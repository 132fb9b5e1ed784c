--- docs/operations.md: all operations, by what they are about.
local text = require "sm.reference.text"

local M = {}

local GRADIENT <const> = { none = "–", once = "1", twice = "2" }

local function cell(s) return (s:gsub("|", "\\|"):gsub("\n", " ")) end

local function options_of(entry)
  local parts = {}
  for _, part in ipairs(entry.options) do
    for _, option in ipairs(text.options(part.spec)) do
      local default = option.default and (" (%s)"):format(option.default) or ""
      parts[#parts + 1] = ("<br>`%s`%s: %s"):format(option.key, default, option.doc)
    end
  end
  return table.concat(parts)
end

--- @param rooms as sm.reference.collect gives them
function M.operations(rooms)
  local lines = { "# Operations", "",
    "<!-- Made by `make docs` from the records in lua/sm/ops; a test compares. -->", "",
    "`x` is a tensor. Axes and positions count from 1, negative ones from the end; labels count from 0. Arguments and",
    "options that an operation does not take are errors. Behind an option stands its default. In the last column a",
    "dash means that there is no gradient, and 2 that gradients of gradients are there, too. [The library](library.md)",
    "shows operations at work; `make docs` makes a page of all that is public.", "" }
  for _, room in ipairs(rooms) do
    if room.operations then
      lines[#lines + 1] = "## " .. room.title
      lines[#lines + 1] = room.words .. "\n"
      lines[#lines + 1] = "| operation | what it gives | gradient |"
      lines[#lines + 1] = "|---|---|:-:|"
      for _, entry in ipairs(room.entries) do
        local words = cell(table.concat(entry.words, " ") .. options_of(entry))
        lines[#lines + 1] = ("| `%s` | %s | %s |"):format(cell(entry.signature), words, GRADIENT[entry.gradient])
      end
      lines[#lines + 1] = ""
    end
  end
  return table.concat(lines, "\n")
end

return M
