--- The pages of Markdown as HTML, with the style of the reference. cmark-gfm renders them; what is added here are
-- anchors, links from page to page, and a list of all pages at the side.
local links = require "docs.reference.links"

local M = {}

local STYLE <const> = { "docs/reference/style.css", "docs/reference/pages.css" }

--- What stands at the side beneath the guide: the page, and what it is called.
local FURTHER <const> = {
  { "Reference", { "every name and option", "index.html" }, { "the library", "docs/library.md" },
    { "every operation", "docs/operations.md" }, { "twenty-four ideas", "docs/ideas.md" },
    { "safety", "docs/security.md" } },
  { "About smrun", { "README", "README.md" }, { "build, test, install", "docs/install.md" },
    { "figures", "docs/results/figures.md" }, { "the study", "docs/results/study.md" },
    { "experiments", "experiments/README.md" }, { "changes", "CHANGELOG.md" }, { "contributing", "CONTRIBUTING.md" },
    { "the house", "docs/house.md" }, { "what is not ours", "third_party/README.md" } },
}

local function escape(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function plain(html)
  return (html:gsub("<[^>]*>", ""):gsub("&(%a+);", { amp = "&", lt = "<", gt = ">", quot = '"' }))
end

--- Where a page goes beneath build/docs; nil where a path is no page.
function M.target(path)
  if path == "index.html" then return path end
  local name = path:match "^(.*)%.md$"
  if not name then return nil end
  name = name:gsub("^docs/", ""):gsub("^guide/README$", "guide/index"):gsub("^([%w_]+)/README$", "%1")
  return name .. ".html"
end

--- The way from one file beneath build/docs to another.
local function way(from, to)
  local up = from:gsub("[^/]*$", ""):gsub("[^/]+/", "../")
  return up .. to
end

--- The pages: README.md, those of docs, and what they link to.
function M.sources()
  local found, list = {}, { "README.md", "docs/guide/README.md" }
  for _, section in ipairs(FURTHER) do
    for i = 2, #section do list[#list + 1] = section[i][2] end
  end
  local sources, at = {}, 1
  while list[at] do
    local page = list[at]
    if not found[page] and page:find "%.md$" then
      found[page], sources[#sources + 1] = true, page
      local _, of_page = links.of(page)
      for _, link in ipairs(of_page) do
        local path = links.resolve(page, link.link)
        if path and path:find "%.md$" then list[#list + 1] = path end
      end
    end
    at = at + 1
  end
  table.sort(sources)
  return sources
end

--- The chapters of the guide in their order: {title, path}.
function M.chapters()
  local list = {}
  for line in links.read "docs/guide/README.md":gmatch "[^\n]+" do
    local number = line:match "^(%d+)%. "
    for title, path in line:gmatch "%[([^%]]*)%]%(([^)]*)%)" do
      if number then
        list[#list + 1] = { number .. " " .. title:gsub("^%l", string.upper), "docs/guide/" .. path }
      end
    end
  end
  return list
end

--- A link as it is from the page's HTML: to another page, to a picture beside the pages, or to a file of the source.
local function relinked(page, link)
  local path, anchor = links.resolve(page, link)
  if not path then return link end
  local from = M.target(page)
  local to = path == page and "" or M.target(path)
  if to ~= "" then
    to = way(from, to or path:match "^docs/(images/.*)$" or "../../" .. path)
  end
  return to .. (anchor and "#" .. anchor or "")
end

local function side(page, headings, chapters)
  local from, html = M.target(page), {}
  local function entry(title, path)
    local here = path == page
    local mark = here and ' aria-current="page"' or ""
    html[#html + 1] = ('<a href="%s"%s>%s</a>\n'):format(way(from, M.target(path)), mark, escape(title))
    if here then
      for _, heading in ipairs(headings) do
        html[#html + 1] = ('<a class="within" href="#%s">%s</a>\n'):format(heading.id, heading.html)
      end
    end
  end
  local function section(title, list, first)
    html[#html + 1] = ("<section><h2>%s</h2>\n"):format(title)
    for i = first, #list do entry(list[i][1], list[i][2]) end
    html[#html + 1] = "</section>\n"
  end
  section(('<a href="%s">The guide</a>'):format(way(from, "guide/index.html")), chapters, 1)
  for _, further in ipairs(FURTHER) do section(further[1], further, 2) end
  return table.concat(html)
end

--- The chapters before and after a page.
local function onward(page, chapters)
  local parts = {}
  for i, chapter in ipairs(chapters) do
    if chapter[2] == page then
      for _, step in ipairs { { chapters[i - 1], "← " , "" }, { chapters[i + 1], "", " →" } } do
        parts[#parts + 1] = step[1] and ('<a href="%s">%s%s%s</a>'):format(way(M.target(page), M.target(step[1][2])),
          step[2], escape(step[1][1]), step[3]) or "<span></span>"
      end
    end
  end
  return #parts > 0 and '<div class="onward">' .. table.concat(parts) .. "</div>\n" or ""
end

--- What cmark-gfm makes of a page; nil and a reason where there is none.
local function rendered(page)
  local pipe <close> = io.popen(("cmark-gfm --unsafe -e table -e autolink '%s' 2>&1"):format(page))
  local html = pipe:read "a"
  if not pipe:close() then return nil, "cmark-gfm does not run ('make deps-test' installs it): " .. html end
  return html
end

--- A page as HTML.
-- @param version of the library
function M.render(page, version)
  local html, problem = rendered(page)
  if not html then return nil, problem end
  local used, headings, title = {}, {}, nil
  html = html:gsub("<h(%d)>(.-)</h%d>", function(level, inner)
    local id = links.slug(plain(inner), used)
    if level == "1" then title = title or plain(inner) end
    if level == "2" then headings[#headings + 1] = { id = id, html = inner:gsub("</?a[^>]*>", "") } end
    return ('<h%s id="%s"><a href="#%s">%s</a></h%s>'):format(level, id, id, inner:gsub("</?a[^>]*>", ""), level)
  end)
  html = html:gsub('(<%a+ [^>]-)(%a+)="([^"]*)"', function(before, name, link)
    if name ~= "href" and name ~= "src" then return nil end
    return ('%s%s="%s"'):format(before, name, escape(relinked(page, plain(link))))
  end)
  html = html:gsub("<table>", '<div class="wide"><table>'):gsub("</table>", "</table></div>")
  local style, chapters = {}, M.chapters()
  for i, path in ipairs(STYLE) do style[i] = links.read(path) end
  local holes = { title = escape(title or page), version = escape(version), style = table.concat(style),
    side = side(page, headings, chapters), main = html .. onward(page, chapters),
    home = way(M.target(page), "README.html") }
  return (links.read "docs/reference/pages.html":gsub("{{(%w+)}}", holes))
end

return M
