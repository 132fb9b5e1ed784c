--- Which files a confined script may name, and where they are.
local lfs = require "lfs"
local sm = require "sm"
local reach = require "sm.reach"
local search = require "sm.data.search"
local helpers = dofile "tests/lua/helpers.lua"
local has, error_of, read, write = helpers.has, helpers.error_of, helpers.read, helpers.write

local here <const> = lfs.currentdir()
local top

--- A directory with three in it: `data` may be read, `home` and `more` written, `secret` neither.
setup(function()
  top = os.tmpname()
  os.remove(top)
  top = reach.real(top)
  for _, path in ipairs { "", "/data", "/data/deep", "/home", "/more", "/secret" } do assert(lfs.mkdir(top .. path)) end
  write(top .. "/data/x.csv", "a,b\n1,2\n3,4\n")
  write(top .. "/secret/x.csv", "a,b\n5,6\n7,8\n")
  assert(lfs.link(top .. "/secret", top .. "/data/out", true))
  assert(lfs.link(top .. "/data", top .. "/secret/in", true))
  assert(lfs.link("loop", top .. "/data/loop", true))
end)

teardown(function() os.execute("rm -r " .. helpers.quote(top)) end)

local function confine(more)
  local write_in = { top .. "/home", top .. "/more" }
  for _, path in ipairs(more or {}) do write_in[#write_in + 1] = path end
  reach.confine { read = { top .. "/data" }, write = write_in, home = top .. "/home" }
end

after_each(function() reach.confine(nil) end)

describe("a path", function()
  it("stays as it is where nothing is confined", function()
    for _, path in ipairs { "x", "/x", "../x", "a\0b", "" } do
      assert.same({ path, path }, { reach.to_read(path), reach.to_write(path) })
    end
    finally(function() os.execute "rm -r build/reach_spec" end)
    assert.equal("build/reach_spec/a/x", reach.to_write "build/reach_spec/a/x")
    assert.equal("directory", lfs.attributes("build/reach_spec/a", "mode"))
  end)

  it("is read where it may be", function()
    confine()
    for _, path in ipairs { "/data/x.csv", "/data", "/data/deep/../x.csv", "/secret/in/x.csv", "/home/y", "/more",
      "/data//./none" } do
      assert.equal(top .. path, reach.to_read(top .. path))
    end
    for _, path in ipairs { "/secret/x.csv", "/data/../secret/x.csv", "/data/out/x.csv", "/data/out", "/data-more", "",
      "/data/loop/../../secret", "/home/../secret" } do
      local said = error_of(reach.to_read, top .. path)
      has(said, top .. path .. ": this experiment may not read there; `--read DIR` grants more")
    end
    has(error_of(reach.to_read, "/etc/passwd"), "--read DIR")
    has(error_of(reach.to_read, "tests/lua/reach_spec.lua"), "--read DIR")
    for _, path in ipairs { top .. "/data/x.csv\0", "/etc/passwd\0/../.." .. top .. "/data/x.csv" } do
      has(error_of(reach.to_read, path), "a path has no zero bytes")
    end
    has(error_of(reach.to_read, ""), "an empty text is no path")
  end)

  it("is written where it may be, a relative one beneath the script's own directory", function()
    confine()
    assert.equal(top .. "/more/x", reach.to_write(top .. "/more/x"))
    assert.equal(top .. "/home/x", reach.to_write "x")
    assert.equal(top .. "/home/a/b/x", reach.to_write "a/b/x")
    assert.equal("directory", lfs.attributes(top .. "/home/a/b", "mode"))
    assert.equal(top .. "/home/a/../x", reach.to_write "a/../x")
    for _, path in ipairs { "../x", "a/../../secret/x", "/x", top .. "/data/x.csv", top .. "/homes/x", top } do
      has(error_of(reach.to_write, path),
        ("%s: this experiment may write in %s/home, %s/more alone; `--write DIR` grants"):format(path, top, top))
    end
    assert(lfs.link(top .. "/secret", top .. "/home/link", true))
    has(error_of(reach.to_write, "link/made/x"), "`--write DIR` grants more")
    assert.is_nil(lfs.attributes(top .. "/secret/made"))
    has(error_of(reach.to_write, "x\0"), "a path has no zero bytes")
  end)

  it("that is relative stays where it may be written as it is, and is read beneath the own directory first", function()
    confine { here .. "/tests/lua" }
    assert.equal("tests/lua/x", reach.to_write "tests/lua/x")
    assert.equal("./tests/lua/x", reach.to_write "./tests/lua/x")
    assert.equal("tests/lua/reach_spec.lua", reach.to_read "tests/lua/reach_spec.lua")
    write(reach.to_write "Makefile", "mine")
    assert.equal("mine", read(reach.to_read "Makefile"))
  end)
end)

describe("what takes a script's path", function()
  local x

  setup(function() x = sm.ones(2, 2) end)

  it("writes beneath the script's own directory, and reads from there", function()
    confine()
    for _, ending in ipairs { "npy", "npz", "safetensors" } do
      local path = "saved/x." .. ending
      sm.save(path, ending == "npy" and x or { x = x })
      assert.equal("file", lfs.attributes(top .. "/home/" .. path, "mode"))
      local back = sm.load(path)
      assert.equal(4, (ending == "npy" and back or back.x):sum():item())
    end
    sm.png.save("pictures/x.png", x)
    assert.same({ 2, 2, 1 }, sm.png.load "pictures/x.png".shape)
    sm.view.canvas(8, 8):save "pictures/canvas.png"
    local plot = sm.view.plot({ x = { 1, 2 }, y = { 1, 2 } }, { name = "curve" })
    plot:save "plots/curve.png"
    plot:save "plots/curve.csv"
    for _, path in ipairs { "pictures/canvas.png", "plots/curve.png", "plots/curve.csv" } do
      assert.equal("file", lfs.attributes(top .. "/home/" .. path, "mode"))
    end
    local set = sm.data.csv { file = top .. "/data/x.csv", target = "b" }
    assert.equal(2, #set.train)
  end)

  it("raises at the script's line where it is out of reach", function()
    confine()
    local out = top .. "/secret/x"
    local model = sm.nn.linear { 2 }
    model(x)
    for name, f in pairs {
      npy = function() sm.save(out .. ".npy", x) end,
      npz = function() sm.save(out .. ".npz", { x = x }) end,
      safetensors = function() sm.save("../x.safetensors", { x = x }) end,
      png = function() sm.png.save(out .. ".png", x) end,
      canvas = function() sm.view.canvas(8, 8):save(out .. ".png") end,
      plot = function() sm.view.plot({ x = { 1, 2 }, y = { 1, 2 } }, { name = "c" }):save(out .. ".csv") end,
    } do
      local said = error_of(f)
      assert.matches("reach_spec%.lua:%d+: [^\n]* may write in ", said, name)
    end
    local pair = { images = top .. "/data/x", labels = out }
    for name, f in pairs {
      npy = function() sm.load(out .. ".npy") end,
      npz = function() sm.load(out .. ".npz") end,
      safetensors = function() sm.load(out .. ".safetensors") end,
      model = function() model:load(out .. ".safetensors") end,
      png = function() sm.png.load(out .. ".png") end,
      run = function() sm.load_run(out) end,
      csv = function() sm.data.csv { file = out .. ".csv", target = "b" } end,
      csv_test = function() sm.data.csv { file = top .. "/data/x.csv", test_file = out .. ".csv", target = "b" } end,
      text = function() sm.data.text { file = out, length = 1 } end,
      folder = function() sm.data.folder { train = out } end,
      folder_test = function() sm.data.folder { train = top .. "/data", test = out } end,
      idx = function() sm.data.idx(pair) end,
      npys = function() sm.data.npy { inputs = out, targets = out } end,
      npys_named = function() sm.data.npy { inputs = { a = out }, targets = out } end,
    } do
      local said = error_of(f)
      assert.matches("reach_spec%.lua:%d+: [^\n]*/secret/x[^\n]* may not read there", said, name)
    end
    for name in lfs.dir(top .. "/secret") do assert.matches("^[.inxcsv]+$", name) end
  end)
end)

describe("data sets with a name", function()
  local asked = search.places()
  after_each(function() search.places(asked) end)

  it("lie in directories that can be told, and handed over", function()
    assert(lfs.mkdir(top .. "/sets") and lfs.mkdir(top .. "/sets/mnist") and lfs.mkdir(top .. "/user"))
    local before = search.places { given = top .. "/sets", user = top .. "/user" }
    assert.same({ given = top .. "/sets", user = top .. "/user" }, before)
    assert.same({ top .. "/sets/mnist", top .. "/sets", top .. "/user/mnist" },
      table.move(search.directories "mnist", 1, 3, 1, {}))
    local found = {}
    for _, path in ipairs(search.reach()) do found[path] = true end
    assert.is_true(found[top .. "/sets"] and found[top .. "/sets/mnist"])
    assert.is_true(found[reach.real "tests/data/mnist_mini"])
    assert.is_nil(found[top .. "/user/mnist"]) -- is not there
    assert.equal("mnist_mini", sm.data.mnist_mini().name)
  end)

  it("are never taken to be in all of the home directory", function()
    assert(lfs.link("/", top .. "/root", true))
    for _, path in ipairs { "/", os.getenv "HOME" or "/", top .. "/root", top .. "/root/" } do
      search.places { given = path }
      for _, allowed in ipairs(search.reach()) do
        assert.is_false(reach.is_too_much(allowed, os.getenv "HOME"), allowed)
      end
    end
    assert.is_true(reach.is_too_much(top, top) and reach.is_too_much(top, top .. "/data/"))
    assert.is_true(reach.is_too_much(top .. "/secret/in/..", top .. "/data"))
    assert.is_false(reach.is_too_much(top .. "/data", top))
  end)
end)
