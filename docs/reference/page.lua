--- The reference as one page of HTML that stands alone.
local text = require "sm.reference.text"

local M = {}

local function escape(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

--- Prose with `code` in it.
local function inline(s)
  return (escape(s):gsub("`([^`]+)`", "<code>%1</code>"))
end

--- Lines as paragraphs; what is indented is a formula or a program, and keeps its lines.
local function prose(lines)
  local html, open = {}, nil
  local function close()
    if open then html[#html + 1] = open == "pre" and "</pre>\n" or "</p>\n" end
    open = nil
  end
  for _, line in ipairs(lines) do
    local kind = line:find "^%s%s+%S" and "pre" or line:find "%S" and "p" or nil
    if kind ~= open then
      close()
      if kind then html[#html + 1] = "<" .. kind .. ">" end
      open = kind
    end
    if kind then html[#html + 1] = (kind == "pre" and escape(line:gsub("^%s%s", "")) or inline(line)) .. "\n" end
  end
  close()
  return table.concat(html)
end

local function options_table(part)
  local rows = {}
  for _, option in ipairs(text.options(part.spec)) do
    local default = option.required and "required" or option.default and "<code>" .. escape(option.default) .. "</code>"
      or ""
    rows[#rows + 1] = ("<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>\n"):format(
      escape(option.key), inline(option.doc), escape(option.takes), default)
  end
  return ("<table>\n<tr><th>%s</th><th></th><th>takes</th><th>default</th></tr>\n%s</table>\n"):format(
    part.title and escape(part.title) or "option", table.concat(rows))
end

local function tags(entry)
  local rows = {}
  for _, tag in ipairs(entry.tags) do
    if tag.tag == "param" then
      local name, kind, words = text.parameter(tag.text)
      rows[#rows + 1] = ("<dt><code>%s</code>%s</dt><dd>%s</dd>\n"):format(escape(name),
        kind and " <i>" .. escape(kind) .. "</i>" or "", inline(words))
    elseif tag.tag == "return" then
      local kind, words = text.typed(tag.text)
      rows[#rows + 1] = ("<dt>gives%s</dt><dd>%s</dd>\n"):format(kind and " <i>" .. escape(kind) .. "</i>" or "",
        inline(words))
    end
  end
  return #rows > 0 and "<dl>\n" .. table.concat(rows) .. "</dl>\n" or ""
end

local function anchor(name)
  return (name:gsub("[^%w_.]", "-"))
end

local function card(entry)
  local id, notes = anchor(entry.name), { text.GRADIENT[entry.gradient] }
  notes[#notes + 1] = entry.path
  local parts = {
    ("<article id=\"%s\">\n<header><h3><a href=\"#%s\"><code>%s</code></a></h3><small>%s</small></header>\n"):format(
      id, id, escape(entry.signature or entry.name), escape(table.concat(notes, " · "))),
    prose(entry.words), tags(entry),
  }
  for _, part in ipairs(entry.options) do parts[#parts + 1] = options_table(part) end
  parts[#parts + 1] = "</article>\n"
  return table.concat(parts)
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- What the sidebar calls an entry: "conv2d" under Layers.
local function short(name) return (name:gsub("^.*[.:]", "")) end

--- @param rooms as sm.reference.collect gives them
--- @param version of the library
function M.render(rooms, version)
  local side, main = {}, {}
  for i, room in ipairs(rooms) do
    local links = {}
    for k, entry in ipairs(room.entries) do
      links[k] = ("<a href=\"#%s\">%s</a>"):format(anchor(entry.name), escape(short(entry.name)))
    end
    side[i] = ("<section><h2><a href=\"#room%d\">%s</a></h2>\n%s</section>\n"):format(i, escape(room.title),
      table.concat(links, "\n"))
    local cards = {}
    for k, entry in ipairs(room.entries) do cards[k] = card(entry) end
    main[i] = ("<section>\n<h2 id=\"room%d\">%s</h2>\n%s%s</section>\n"):format(i, escape(room.title),
      room.words and "<p>" .. inline((room.words:gsub(":$", "."))) .. "</p>\n" or "", table.concat(cards))
  end
  local holes = { version = escape(version), style = read "docs/reference/style.css",
    script = read "docs/reference/filter.js", side = table.concat(side), main = table.concat(main) }
  return (read "docs/reference/page.html":gsub("{{(%w+)}}", holes))
end

return M
