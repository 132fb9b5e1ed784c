--- The blocks of README.md and of the pages in docs/ run as they stand: docs/blocks.lua says what stands there how.
-- On the pages of the guide they belong together and run in one directory, one after the other. On others each stands
-- for itself.
local lfs = require "lfs"
package.path = "./?.lua;" .. package.path
local blocks = require "docs.blocks"
local helpers = dofile "tests/lua/helpers.lua"
local quote, read, smrun = helpers.quote, helpers.read, helpers.smrun

--- The heading under which blocks are no scripts but, one after the other, the text of this experiment.
local walk <const> = { document = "docs/guide/04-groups.md", heading = "One experiment, line by line",
  file = "experiments/softmax_groups.lua" }

--- Commands that are not run here, by how they begin.
local skipped <const> = {
  ["make run"] = "installs packages, builds, and fetches MNIST",
  ["make test"] = "installs packages, and runs this",
  ["make check"] = "takes half an hour",
  ["make deps-run"] = "installs packages",
  ["make install"] = "writes to /usr/local; install_spec.lua runs it",
  ["make uninstall"] = "removes from /usr/local; install_spec.lua runs it",
  ["smrun data"] = "fetches",
  ["mpirun "] = "takes OpenMPI, which `make test-cluster` has",
  ["parallel "] = "takes GNU parallel, which `make test-cluster` has",
  ["smrun --slurm"] = "takes Slurm, which `make test-cluster` has",
  ["smrun --compare"] = "the same",
  ["srun "] = "the same",
  ["scancel "] = "the same",
  ["cat runs/.plan"] = "the same",
  ["tail -n 6 runs/.plan"] = "the same",
  ["make  "] = "builds, which has been done",
  ["mkdir -p digits"] = "is for the reader, who stays there",
}

local function in_walk(document, block)
  return document == walk.document and block.heading == walk.heading
end

local function skip(command)
  for beginning in pairs(skipped) do
    if command:sub(1, #beginning) == beginning then return beginning end
  end
end

--- Those pages of a directory that are written by hand and for users.
local function pages(directory)
  local names = {}
  for name in lfs.dir(directory) do
    local written = name ~= "operations.md" and name ~= "house.md"
    if written and name:find "%.md$" then names[#names + 1] = directory .. name end
  end
  table.sort(names)
  return names
end

--- What lies there before the blocks of a page run.
local prepare <const> = {
  -- What its block of Python makes, which torch_weights_spec.lua runs.
  ["docs/guide/07-trained-network.md"] = function(directory)
    local sm = require "sm"
    local function save(name, shapes)
      local tensors = {}
      for key, shape in pairs(shapes) do tensors[key] = sm.randn(shape) end
      sm.save(directory .. "/" .. name, tensors)
    end
    save("lenet.npz", {
      ["0.weight"] = { 6, 1, 5, 5 }, ["0.bias"] = { 6 }, ["3.weight"] = { 16, 6, 5, 5 }, ["3.bias"] = { 16 },
      ["7.weight"] = { 120, 400 }, ["7.bias"] = { 120 }, ["9.weight"] = { 84, 120 }, ["9.bias"] = { 84 },
      ["11.weight"] = { 10, 84 }, ["11.bias"] = { 10 },
    })
    save("reader.npz", {
      ["embed.weight"] = { 50, 8 }, ["lstm.weight_ih_l0"] = { 64, 8 }, ["lstm.weight_hh_l0"] = { 64, 16 },
      ["lstm.bias_ih_l0"] = { 64 }, ["lstm.bias_hh_l0"] = { 64 }, ["out.weight"] = { 5, 16 }, ["out.bias"] = { 5 },
    })
  end,
}

describe("documents", function()
  local workspace, workshop

  local function shell(command)
    local done, out, err, status = workshop.shell(command)
    return done, out, ("exit %d\n%s"):format(status, err)
  end

  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    workshop = blocks.workshop(workspace, smrun:match "^(.*)/")
  end)

  after_each(function() os.execute("rm -rf -- " .. quote(workspace)) end)

  local function runs(block)
    return block.language == "lua" or block.language == "" or block.language == "console" or block.language == "session"
  end

  --- Its width, its height, and whether a picture has more than one colour.
  local function look(path)
    local picture = require "sm".png.load(path, { channels = 3 }):to "float32"
    return picture.shape[2], picture.shape[1], picture:max():item() > picture:min():item()
  end

  local function one_after_the_other(document)
    if prepare[document] then prepare[document](workspace) end
    local list, pictures = blocks.of(document)
    local function compare(after)
      for _, each in ipairs(pictures) do
        if each.after == after then
          local place, kept = ("%s:%d: "):format(document, each.line), document:match "^(.*)/" .. "/" .. each.picture
          local width, height, drawn = look(workspace .. "/" .. each.file)
          assert.is_true(drawn, place .. "nothing is drawn")
          local kept_width, kept_height = look(kept)
          local like = math.abs(width / kept_width - 1) < 0.1 and math.abs(height / kept_height - 1) < 0.1
          assert.is_true(like, place .. "docs/pictures.lua makes this picture anew") -- numbers in it may take more room
        end
      end
    end
    for i, block in ipairs(list) do
      compare(i - 1)
      if runs(block) and not in_walk(document, block) then
        workshop.run(block, ("%s:%d"):format(document, block.line), skip)
      end
    end
    compare(#list)
  end

  for _, document in ipairs(pages "docs/guide/") do
    it(document .. ", its blocks one after the other, run", function() one_after_the_other(document) end)
  end

  for _, document in ipairs { "README.md", table.unpack(pages "docs/") } do
    for _, block in ipairs(blocks.of(document)) do
      local place = ("%s:%d"):format(document, block.line)
      if runs(block) and not in_walk(document, block) then
        it(place .. " runs", function() workshop.run(block, place, skip) end)
      end
    end
  end

  it("of the walk through an experiment are its file", function()
    local parts = {}
    for _, block in ipairs(blocks.of(walk.document)) do
      if in_walk(walk.document, block) then parts[#parts + 1] = block.text end
    end
    local code = read(walk.file)
    while code:find "^%-%-" do code = code:gsub("^[^\n]*\n", "") end -- the question that it asks
    assert.equal(code:gsub("\n\n+", "\n"), table.concat(parts))
  end)

  it("are taken at their word", function()
    assert.is_true(blocks.like("loss  0.5\n…\n3 of 4\n", "loss 12\nmore\nand more\n30 of  44\n"))
    assert.is_true(blocks.like("loss 1\n…", "loss 2\nmore\n"))
    assert.is_false(blocks.like("loss 1\n3 of 4\n", "loss 1\nmore\n3 of 4\n"))
    assert.is_false(blocks.like("loss 1\n", "cost 1\n"))
    assert.is_false(blocks.like("loss 1\n", "loss 1\nmore\n"))
    local function refused(language, text, fails)
      local block = { language = language, text = text, fails = fails or false, line = 1 }
      return not pcall(workshop.run, block, "here")
    end
    assert.is_true(refused("console", "$ false\n") and refused("console", "$ true\n", true))
    assert.is_true(refused("console", "$ echo one\ntwo\n") and refused("", "false\n"))
    assert.is_true(refused("lua", "print(1) --> 2\n") and refused("lua", "error 'no'\n"))
    assert.is_false(refused("console", "$ true\n$ false\n", true) or refused("lua", "print(1) --> 1\n"))
  end)

  --- What the manual explains: "resume RUN", "--runs DIR".
  local function manual_entries()
    local entries = {}
    for entry in read "docs/smrun.1":gmatch "\n%.TP\n%.[BIR]+ ([^\n]*)" do
      local line = entry:gsub("\\%-", "-"):gsub('"', ""):gsub("%s+", " "):gsub(" ,", ","):gsub(" ?%.%.%.", "…")
      entries[#entries + 1] = line
      entries[line] = true
    end
    return entries
  end

  it("docs/smrun.1 explains every command and option of the help", function()
    local entries, explained, _, help = manual_entries(), 0, shell "build/smrun --help"
    for line in help:gmatch "\n  (%S[^\n]*)" do
      local typed = line:gsub("%s%s.*", ""):gsub("^build/smrun ", "")
      if typed:find "^%-%-version" or typed:find "%-%-help$" then typed = typed:match "%-%-%l+" end
      if typed:find "^%-" or typed:find "^%l+ %u" then
        explained = explained + 1
        assert.is_true(entries[typed] or entries["-h, " .. typed] or false, "smrun.1 has no entry for " .. typed)
      end
    end
    assert.is_true(explained > 15)
  end)

  it("docs/smrun.1 explains no option that there is not", function()
    for _, entry in ipairs(manual_entries()) do
      for option in entry:gmatch "%-%-?[%l-]+" do
        local _, _, err = shell(("build/smrun xor.lua %s 1"):format(option))
        assert.is_nil(err:find("unknown option", 1, true), err)
      end
    end
  end)

  it("skip no command that none of them has", function()
    local text = read "README.md"
    for _, document in ipairs(pages "docs/guide/") do text = text .. "\n" .. read(document) end
    for _, document in ipairs(pages "docs/") do text = text .. "\n" .. read(document) end
    for beginning in pairs(skipped) do
      local typed = ("\n" .. text):gsub("\n%$ ", "\n")
      assert.truthy(typed:find("\n" .. beginning, 1, true), beginning)
    end
  end)
end)
