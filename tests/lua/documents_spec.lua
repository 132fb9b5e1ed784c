--- The blocks of README.md and of the pages in docs/ run as they stand.
-- A block of Lua is a script of its own, which smrun runs. It prints what stands behind its "-->", up to a remark in
-- parentheses; how wide the spaces are does not count. A block without a language has commands for a shell in the
-- source's directory. On a page whose blocks belong together, one that begins with "-- NAME.lua" is that file.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local quote, read, write, smrun = helpers.quote, helpers.read, helpers.write, helpers.smrun

local root <const> = lfs.currentdir()

--- The heading under which blocks are no scripts but, one after the other, the text of this experiment.
local walk <const> = { document = "README.md", heading = "One experiment, line by line",
  file = "experiments/softmax_groups.lua" }

--- Commands that are not run here, by how they begin.
local skipped <const> = {
  ["make run"] = "installs packages, builds, and fetches MNIST",
  ["make test"] = "installs packages, and runs this",
  ["make check"] = "takes half an hour",
  ["make deps-run"] = "installs packages",
  ["make install"] = "writes to /usr/local; install_spec.lua runs it",
  ["make uninstall"] = "removes from /usr/local; install_spec.lua runs it",
  ["build/smrun data"] = "fetches",
}

--- The blocks of a document: {language=, text=, line=(of the first), heading=}.
local function blocks_of(path)
  local blocks, block, heading, number = {}, nil, "", 0
  for line in read(path):gmatch "([^\n]*)\n" do
    number = number + 1
    local language = line:match "^```(.*)$"
    if not language then
      if block then block.text = block.text .. line .. "\n" else heading = line:match "^##+ (.*)$" or heading end
    elseif block then
      blocks[#blocks + 1], block = block, nil
    else
      block = { language = language, text = "", line = number + 1, heading = heading }
    end
  end
  assert.is_nil(block, path .. ": the last block has no end")
  return blocks
end

local function in_walk(document, block)
  return document == walk.document and block.heading == walk.heading
end

--- Lines without what depends on the width of columns, joined.
local function plain(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    line = line:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    lines[#lines + 1] = line ~= "" and line or nil
  end
  return table.concat(lines, "\n")
end

--- What a block says that it prints; nil where it says nothing.
local function promised(block)
  local lines = {}
  for line in block.text:gmatch "[^\n]+" do
    local text = line:match "%-%->(.*)$"
    if text then lines[#lines + 1] = text:gsub("%s%s+%(.*%)$", "") end
  end
  return #lines > 0 and plain(table.concat(lines, "\n")) or nil
end

local function skip(command)
  for beginning in pairs(skipped) do
    if command:sub(1, #beginning) == beginning then return beginning end
  end
end

--- README.md, and the pages for users that are written by hand.
local function documents()
  local names = {}
  for name in lfs.dir "docs" do
    if name:find "%.md$" and name ~= "operations.md" and name ~= "house.md" then names[#names + 1] = "docs/" .. name end
  end
  table.sort(names)
  return { "README.md", table.unpack(names) }
end

--- Pages whose blocks run in the same directory, one after the other, and what lies there before: blocks of Python are
--- not run here, but by torch_weights_spec.lua.
local together <const> = {
  ["docs/trained.md"] = function(directory)
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
  local workspace

  --- Runs a command in a directory that looks like the source's. Whether it succeeded, what it printed, what it said of
  -- an error.
  local function shell(command)
    local done, _, status = os.execute(("cd %s && { %s\n} >out 2>err </dev/null"):format(quote(workspace), command))
    return done, read(workspace .. "/out"), ("exit %d\n%s"):format(status, read(workspace .. "/err"))
  end

  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    for name in lfs.dir(root) do
      if name:find "^%w" and name ~= "build" and name ~= "runs" then
        assert(lfs.link(root .. "/" .. name, workspace .. "/" .. name, true))
      end
    end
    assert(lfs.link(smrun:match "^(.*)/", workspace .. "/build", true))
  end)

  after_each(function() os.execute("rm -rf -- " .. quote(workspace)) end)

  local function run_script(place, block)
    write(workspace .. "/script.lua", block.text)
    local done, out, err = shell "build/smrun script.lua"
    assert.is_true(done, place .. ": " .. err)
    if promised(block) then assert.equal(promised(block), plain(out), place) end
  end

  local function run_commands(_, block)
    for command in block.text:gmatch "[^\n]+" do
      if not skip(command) then
        local done, _, err = shell(command)
        assert.is_true(done, command .. ": " .. err)
      end
    end
  end

  for _, document in ipairs(documents()) do
    local prepare <const> = together[document]
    if prepare then
      it(document .. ", its blocks one after the other, run", function()
        prepare(workspace)
        for _, block in ipairs(blocks_of(document)) do
          local place, name = ("%s:%d"):format(document, block.line), block.text:match "^%-%- ([%w_]+%.lua)\n"
          if name then write(workspace .. "/" .. name, block.text)
          elseif block.language == "lua" then run_script(place, block)
          elseif block.language == "" then run_commands(place, block) end
        end
      end)
    end
    for _, block in ipairs(prepare and {} or blocks_of(document)) do
      local place = ("%s:%d"):format(document, block.line)
      if block.language == "lua" and not in_walk(document, block) then
        it(("%s, a script, runs"):format(place), function() run_script(place, block) end)
      elseif block.language == "" then
        it(("%s, commands, run"):format(place), function() run_commands(place, block) end)
      end
    end
  end

  it("of the README's walk through an experiment are its file", function()
    local parts = {}
    for _, block in ipairs(blocks_of(walk.document)) do
      if in_walk(walk.document, block) then parts[#parts + 1] = block.text end
    end
    local code = read(walk.file)
    while code:find "^%-%-" do code = code:gsub("^[^\n]*\n", "") end -- the question that it asks
    assert.equal(code:gsub("\n\n+", "\n"), table.concat(parts))
  end)

  --- What the manual explains: "resume RUN", "--runs DIR".
  local function manual_entries()
    local entries = {}
    for line in read "docs/smrun.1":gmatch "\n%.TP\n%.[BIR]+ ([^\n]*)" do
      line = line:gsub("\\%-", "-"):gsub('"', ""):gsub("%s+", " "):gsub(" ,", ","):gsub(" ?%.%.%.", "…")
      entries[#entries + 1] = line
      entries[line] = true
    end
    return entries
  end

  it("docs/smrun.1 explains every command and option of the help", function()
    local entries, explained, _, help = manual_entries(), 0, shell "build/smrun --help"
    for typed in help:gmatch "\n  (%S[^\n]*)" do
      typed = typed:gsub("%s%s.*", ""):gsub("^build/smrun ", "")
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
    local text = read "README.md" .. read "docs/library.md"
    for beginning in pairs(skipped) do
      assert.truthy(("\n" .. text):find("\n" .. beginning, 1, true), beginning)
    end
  end)
end)
