--- pictures.lua BUILD [PART]: makes the pictures in docs/images anew, those of which the path has PART in it.
--   lua5.4 docs/pictures.lua build guide/       those of the guide, in a minute
--   lua5.4 docs/pictures.lua build ideas/gan    one of the gallery
-- A picture of the guide is drawn by the blocks of its page. The others are drawn by the experiments in `drawn`, which
-- take an hour in all and all of MNIST (`smrun data mnist`).
local build, part = arg[1], arg[2] or ""
if not build then error("docs/pictures.lua BUILD [PART]", 0) end
local lfs = require "lfs"
package.path = "./?.lua;" .. package.path
local blocks = require "docs.blocks"
local helpers = dofile "tests/lua/helpers.lua"
if build:sub(1, 1) ~= "/" then build = lfs.currentdir() .. "/" .. build end

local GUIDE <const>, IMAGES <const> = "docs/guide/", "docs/images/"

--- picture → experiment with its parameters, and the picture of its run
local drawn <const> = {
  ["filters-conv1.png"] = { "softmax_groups.lua", "filters-conv1" },
  ["groups-conv2.png"] = { "softmax_groups.lua groups=4 lr=1e-3 ease_in=200 steps=2500", "groups-conv2" },
  ["pretty-softmax.png"] = { "pretty.lua activation=softmax steps=2000", "filters-conv1" },
  ["pretty-relu.png"] = { "pretty.lua activation=relu steps=2000", "filters-conv1" },
  ["pretty-sigmoid.png"] = { "pretty.lua activation=sigmoid steps=2000", "filters-conv1" },
  ["paint.png"] = { "paint.lua top_down=0.1", "paint" },
}
for name in lfs.dir(IMAGES .. "ideas") do
  local idea = name:match "^(.*)%.png$"
  if idea then drawn["ideas/" .. name] = { "ideas/" .. idea .. ".lua" } end
end

local function sorted(of)
  local names = {}
  for name in pairs(of) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Calls work(place) with an empty directory, which is removed.
local function in_a_directory(work)
  local place = os.tmpname()
  os.remove(place)
  assert(lfs.mkdir(place))
  local done, problem = pcall(work, place)
  os.execute("rm -rf -- " .. helpers.quote(place))
  if not done then error(problem, 0) end
end

local function put(file, picture)
  print(picture)
  helpers.write(picture, helpers.read(file))
end

local function draw_page(page)
  local list, pictures = blocks.of(page)
  local targets, wanted = {}, 0 -- how many blocks there are before the last picture that is wanted
  for i, each in ipairs(pictures) do
    targets[i] = IMAGES .. assert(each.picture:match "^%.%./images/(.*)$", page .. ": a picture lies elsewhere")
    if targets[i]:find(part, 1, true) then wanted = each.after end
  end
  in_a_directory(function(place)
    local workshop = blocks.workshop(place, build)
    local function give(after)
      for i, each in ipairs(pictures) do
        if each.after == after and targets[i]:find(part, 1, true) then put(place .. "/" .. each.file, targets[i]) end
      end
    end
    for i, block in ipairs(list) do
      give(i - 1)
      if i > wanted then break end
      workshop.run(block, ("%s:%d"):format(page, block.line), function(command)
        return command:find "^make " or command:find "^mkdir "
      end)
    end
    if wanted == #list then give(#list) end
  end)
end

local function draw_run(picture, experiment, name)
  in_a_directory(function(place)
    local command = ("%s --quiet --runs %s experiments/%s"):format(helpers.quote(build .. "/smrun"),
      helpers.quote(place .. "/runs"), experiment)
    assert(os.execute(command), command)
    local found
    for path in io.popen(("find %s -path '*/plots/*.png'"):format(helpers.quote(place))):lines() do
      local drawn_by = path:match "([^/]*)%.png$"
      if drawn_by == name or not name and not drawn_by:find "%-%d%d%d%d%d%d$" then found = path end
    end
    put(assert(found, command .. " has drawn no such picture"), picture)
  end)
end

local pages = {}
for name in lfs.dir(GUIDE) do
  if name:find "^%d.*%.md$" then pages[GUIDE .. name] = true end
end
for _, page in ipairs(sorted(pages)) do draw_page(page) end
for _, name in ipairs(sorted(drawn)) do
  if (IMAGES .. name):find(part, 1, true) then draw_run(IMAGES .. name, drawn[name][1], drawn[name][2]) end
end
