--- Links lead somewhere: those of every page of Markdown, to files and to headings, and those of the HTML that
-- `make docs` makes of them. Links out are not followed; make docs lists them in build/docs/links-elsewhere.txt.
local lfs = require "lfs"
package.path = "./?.lua;" .. package.path
local links = require "docs.reference.links"
local pages = require "docs.reference.pages"

--- Every page of Markdown in the source.
local function markdown()
  local found = {}
  local function look(directory)
    for name in lfs.dir(directory) do
      local path = directory == "." and name or directory .. "/" .. name
      if name:find "%.md$" then found[#found + 1] = path
      elseif name:find "^[%w_]" and path ~= "build" and path ~= "runs" and path ~= "data"
        and lfs.attributes(path, "mode") == "directory" then look(path) end
    end
  end
  look "."
  table.sort(found)
  return found
end

local anchors_of = setmetatable({}, { __index = function(all, page)
  all[page] = links.of(page)
  return all[page]
end })

--- What is wrong with a link; nil where it leads somewhere.
local function fault(page, link)
  local path, anchor = links.resolve(page, link)
  if not path then return nil end
  if path:find "^%.%." then return "leads out of the source" end
  if not lfs.attributes(path == "" and "." or path) then return "there is no " .. path end
  local known = not anchor or not path:find "%.md$" or anchors_of[path][anchor]
  return not known and ("%s has no #%s"):format(path, anchor) or nil
end

describe("links", function()
  it("of the pages lead to files and headings that there are", function()
    local seen, faults = 0, {}
    for _, page in ipairs(markdown()) do
      local _, of_page = links.of(page)
      for _, link in ipairs(of_page) do
        seen = seen + 1
        local problem = fault(page, link.link)
        if problem then faults[#faults + 1] = ("%s:%d: %s: %s"):format(page, link.line, link.link, problem) end
      end
    end
    assert.equal("", table.concat(faults, "\n"))
    assert.is_true(seen > 150)
  end)

  it("that lead nowhere are noticed", function()
    assert.equal("there is no docs/nowhere.md", fault("docs/library.md", "nowhere.md"))
    assert.equal("docs/library.md has no #nowhere", fault("docs/guide/README.md", "../library.md#nowhere"))
    assert.equal("leads out of the source", fault("README.md", "../x"))
    assert.is_nil(fault("README.md", "https://example.org/nowhere"))
    assert.is_nil(fault("docs/library.md", "#a-layer-of-your-own"))
  end)

  it("have the names that GitHub gives headings", function()
    local used = {}
    assert.equal("1-relu-or-softmax", links.slug("1 relu, or softmax?", used))
    assert.equal("1-relu-or-softmax-1", links.slug("1 relu or softmax", used))
    assert.equal("x_y--übung", links.slug("X_y – übung", used))
  end)

  it("of pages named in the source's comments lead to pages", function()
    local seen = 0
    local pipe <close> = assert(io.popen(
      "grep -rhoE 'docs/[a-zA-Z0-9/_-]+\\.md' lua runtime tests/lua docs/reference Makefile"))
    for path in pipe:lines() do
      seen = seen + 1
      assert.is_truthy(lfs.attributes(path) or path == "docs/nowhere.md", "a comment names " .. path)
    end
    assert.is_true(seen > 10)
  end)

  it("of the HTML lead to pages, files and headings that there are", function()
    if not os.execute "cmark-gfm --version >/dev/null 2>&1" then return pending "cmark-gfm is not installed" end
    local html, ids, faults, seen = {}, { ["index.html"] = {} }, {}, 0
    for _, page in ipairs(pages.sources()) do
      local target = pages.target(page)
      assert.is_nil(html[target], target .. " is made of two pages")
      html[target], ids[target] = assert(pages.render(page, "1.0")), {}
      for id in html[target]:gmatch ' id="([^"]*)"' do
        assert.is_nil(ids[target][id], ("%s has #%s twice"):format(target, id))
        ids[target][id] = true
      end
      assert.is_nil(html[target]:find "{{%l+}}", target)
      assert.is_nil(html[target]:find "raw HTML omitted", target)
    end
    for target, text in pairs(html) do
      for name, link in text:gmatch '<%a+ [^>]-(%a+)="([^"]*)"' do
        if name == "src" then assert.is_nil(link:find "^%a+:", target .. " loads from elsewhere: " .. link) end
      end
      for link in text:gmatch '[hs]r[ec]f?="([^"]*)"' do
        local path, anchor = links.resolve("build/docs/" .. target, link)
        if path then
          seen = seen + 1
          local page = path:match "^build/docs/(.*%.html)$"
          local good = page and ids[page] and (not anchor or ids[page][anchor] or page == "index.html")
            or not page and lfs.attributes((path:gsub("^build/docs/images/", "docs/images/")))
          if not good then faults[#faults + 1] = target .. ": " .. link end
        end
      end
    end
    assert.equal("", table.concat(faults, "\n"))
    assert.is_true(seen > 1000)
  end)

  it("lead through the guide, chapter by chapter", function()
    local chapters, listed = pages.chapters(), {}
    for _, chapter in ipairs(chapters) do listed[chapter[2]] = true end
    for name in lfs.dir "docs/guide" do
      assert.is_true(listed["docs/guide/" .. name] or not name:find "^%d", name .. " is not in docs/guide/README.md")
    end
    assert.is_true(#chapters >= 12)
  end)
end)
