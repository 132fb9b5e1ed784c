--- What pages of Markdown link to, and where a link may lead: headings, by the names that GitHub gives them.
local M = {}

function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- The name of a heading's anchor; `used` has those that the page has already.
-- @param text the heading without markup
function M.slug(text, used)
  local kept = {}
  for _, code in utf8.codes(text) do
    local character = utf8.char(code)
    if code == 32 then kept[#kept + 1] = "-"
    elseif code < 128 and character:find "[%w_-]" then kept[#kept + 1] = character:lower()
    elseif code >= 0xC0 and not (code >= 0x2000 and code < 0x2C00) then kept[#kept + 1] = character end
  end
  local slug = table.concat(kept)
  local count = used[slug]
  used[slug] = (count or 0) + 1
  return count and ("%s-%d"):format(slug, count) or slug
end

--- A path without "." and "..".
function M.normal(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then parts[#parts] = nil
    elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

--- Where a link on a page leads: the path in the source's directory, and the anchor or nil; nil where it leads out.
function M.resolve(page, link)
  if link:find "^%a[%w+.-]*:" then return nil end
  local path, anchor = link:match "^([^#]*)#?(.*)$"
  anchor = anchor ~= "" and anchor or nil
  if path == "" then return page, anchor end
  return M.normal((page:match "^(.*/)" or "") .. path), anchor
end

--- @return anchors name → true
--- @return links list of {link=, line=}
function M.of(page)
  local anchors, links, used, fenced, number = {}, {}, {}, false, 0
  for line in M.read(page):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find "^%s*```" then
      fenced = not fenced
    elseif not fenced and not line:find "^    %S" then
      local heading = line:match "^#+ (.*)$"
      if heading then
        anchors[M.slug((heading:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):gsub("[`*]", "")), used)] = true
      end
      for link in line:gsub("`[^`]*`", ""):gmatch "%]%(([^%s)]+)" do
        links[#links + 1] = { link = link, line = number }
      end
    end
  end
  return anchors, links
end

return M
