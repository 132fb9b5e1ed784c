--- library/, which lua-language-server reads: it is current, has every public name and option and no other, and its
--- types are those of the library.
local lfs = require "lfs"
local sm = require "sm"
local check = require "sm.check"
local collect = require "sm.reference.collect"
local definitions = require "docs.reference.definitions"
local helpers = require "tests.lua.helpers"
local records = require "sm.ops.records"
local trials = require "docs.reference.trials"
local types = require "docs.reference.types"

local rooms <const> = collect.collect()
local files <const> = definitions.files(rooms)

--- The texts of all files, one after the other.
local function whole()
  local parts = {}
  for _, content in pairs(files) do parts[#parts + 1] = content end
  return table.concat(parts)
end

local function record_of(name)
  for _, record in ipairs(records) do
    if record.name == name then return record end
  end
end

local function has_none(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  assert.equal("", table.concat(list, ", "))
end

describe("library/", function()
  it("is what make docs writes", function()
    for path, content in pairs(files) do
      assert(content == helpers.read(path), path .. " is not what `make docs` writes")
    end
    for name in lfs.dir "library/sm" do
      assert(name:find "^%.%.?$" or files["library/sm/" .. name], name .. ": nothing makes this file")
    end
  end)

  it("is Lua", function()
    for path, content in pairs(files) do assert(load(content, "@" .. path)) end
  end)

  it("has a function for every public name, and no other", function()
    local public, defined, text = {}, {}, whole()
    local places = { sm = "sm.", nn = "nn.", ["nn.init"] = "init.", optim = "optim.", data = "data.", view = "view.",
      png = "png." }
    for of, class in pairs(types.methods) do places[of .. ":"] = class:match "%w+$" .. ":" end
    for _, room in ipairs(rooms) do
      for _, entry in ipairs(room.entries) do
        local record = room.operations and record_of(entry.name)
        local name = record and (record.call or "x:" .. entry.name) or entry.name
        local before, own = name:match "^(.-)%.?([%w_]+)$"
        public[places[before] .. own] = true
      end
    end
    for name in text:gmatch "\nfunction ([%w_.:]+)%(" do
      assert.is_nil(defined[name], name .. " is there twice")
      defined[name] = true
    end
    for name in pairs(public) do
      if defined[name] then public[name], defined[name] = nil, nil end
    end
    has_none(public)
    has_none(defined)
  end)

  it("has a field for every option, and no other", function()
    local fields, text = {}, whole()
    for class, body in text:gmatch "%-%-%-@class sm%.options%.([%w_.]+)\n(.-)\n\n" do
      for name in body:gmatch "%-%-%-@field (%S+)" do fields[class .. " " .. name:gsub("%?$", "")] = true end
    end
    local missing = {}
    for _, room in ipairs(rooms) do
      for _, entry in ipairs(room.entries) do
        for _, part in ipairs(entry.options) do
          local class = entry.name:gsub("^sm%.", ""):gsub(":", ".") .. (part.title and "." .. part.title or "")
          for key in pairs(part.spec) do
            local field = class .. " " .. (math.type(key) and ("[%d]"):format(key) or key)
            if not fields[field] then missing[field] = true end
            fields[field] = nil
          end
        end
      end
    end
    has_none(missing)
    for _, kind in ipairs { "add", "concat", "residual", "sequential" } do
      fields["nn." .. kind .. " [integer]"] = nil
    end
    fields["nn.branch [string]"] = nil
    has_none(fields)
  end)

  it("names nothing in its tables that there is not", function()
    local known, seen = {}, {}
    for _, room in ipairs(rooms) do
      for _, entry in ipairs(room.entries) do
        known[entry.name] = true
        for _, part in ipairs(entry.options) do
          for key in pairs(part.spec) do
            known[entry.name .. "." .. tostring(key)], seen[key] = true, true
          end
        end
      end
    end
    for name in pairs(types.functions) do assert(known[name], name .. " is no public function") end
    for name in pairs(types.options) do assert(known[name] or seen[name], name .. " is no option") end
  end)

  it("gives functions as many parameters as they have", function()
    local classes = { x = "a tensor", model = "a model", opt = "an optimizer", set = "a data set",
      view = "a picture of one's own", canvas = "a canvas", experiment = "an experiment" }
    for name, signature in pairs(types.functions) do
      local of, own = name:match "^(%l+):(.*)$"
      local f
      if of then
        f = of == "x" and require "sm.tensor".methods[own] or check.classes[classes[of]].class[own]
      else
        f = name == "sm.experiment" and {} or sm
        for part in name:gsub("^sm%.", ""):gmatch "[%w_]+" do f = f[part] end
      end
      f = f and collect.original(f)
      local info = f and debug.getinfo(f, "u")
      if info and not info.isvararg then
        assert.equal(info.nparams - (of and 1 or 0), #definitions.read(signature).parameters, name)
      end
    end
  end)

  it("knows the fields that objects have", function()
    local model = sm.nn.sequential { sm.nn.linear { 2 } }
    model(sm.ones(1, 3))
    local set = sm.data.tensors { inputs = sm.ones(4, 3), targets = sm.zeros({ 4 }, "int32"), validation = 1 }
    local x = sm.ones(2):requires_grad()
    x:sum():backward()
    local objects = { ["sm.Tensor"] = x, ["sm.Layer"] = model, ["sm.Optimizer"] = sm.optim.adam(),
      ["sm.Dataset"] = set, ["sm.Split"] = set.train, ["sm.View"] = sm.view.filters "conv1" }
    local only = { columns = 1, mean = 1, deviation = 1, vocabulary = 1, encode = 1, decode = 1, class_names = 1,
      test = 1 } -- of other data sets
    for _, class in ipairs(types.classes) do
      local object = objects[class.name]
      for _, field in ipairs(object and class.fields or {}) do
        if not field[1]:find "^%[" and not (object == set and only[field[1]]) then
          assert(object[field[1]] ~= nil, class.name .. " has no " .. field[1])
        end
      end
    end
  end)
end)

describe("an operation's types", function()
  local function signature(name) return trials.signature(record_of(name)) end

  it("are found by running its samples with other values", function()
    assert.equal("(low?: number, high?: number): sm.Tensor", signature "clamp")
    assert.equal("(axis?: integer|integer[], options?: OPTIONS): sm.Tensor", signature "sum")
    assert.equal("(w: sm.Tensor, options?: OPTIONS): sm.Tensor", signature "conv2d")
    assert.equal("(condition: sm.Tensor, a: sm.Tensor|number, b: sm.Tensor|number): sm.Tensor", signature "where")
    assert.equal("(equation: string, ...: sm.Tensor): sm.Tensor", signature "einsum")
    assert.equal("(k: integer, axis?: integer, options?: OPTIONS): sm.Tensor, sm.Tensor", signature "topk")
    assert.equal("(sizes: integer|integer[], axis?: integer): sm.Tensor[]", signature "split")
    assert.equal("(dtype: sm.Dtype): sm.Tensor", signature "to")
    assert.equal("(list?: integer|integer[], ...: integer): sm.Tensor", signature "reshape")
  end)

  it("are read with brackets and quotes in them", function()
    local read = definitions.read "<T: table>(f: fun(a: number, b: any): any, x?: \"a,b\"|integer[], ...: any): T, any"
    assert.equal("<T: table>", read.generic)
    assert.same({ name = "x", optional = true, type = "\"a,b\"|integer[]" }, read.parameters[2])
    assert.same({ 3, "T", "any" }, { #read.parameters, table.unpack(read.results) })
  end)
end)

-- The server itself -----------------------------------------------------------------------------------------------

local WRONG <const> = [[
local sm = require "sm"
local nn = sm.nn
local x = sm.randn(2, 3)
x:softmaxx()                              --> undefined-field
x:conv2d(3)                               --> param-type-mismatch
nn.conv2d { 32 }                          --> missing-fields
nn.conv2d { 32, kernel = "a" }            --> assign-type-mismatch
nn.linear(true)                           --> param-type-mismatch
sm.zeros({ 2, 3 }, "float16")             --> param-type-mismatch
x:relu(1)                                 --> redundant-parameter
x:mse()                                   --> missing-parameter
;(1 + x):sumx()                           --> undefined-field
sm.params { groups = 4 }.groups:foo()     --> undefined-field
sm.experiment { data = sm.data.mnist(), model = nn.relu(), schedule = { steps = 1 } } --> missing-fields
x:clamp(nil, 3):reshape(3, 2):reshape({ 6 }):sum({ 1 }, { keepdim = true }):item()
print(sm.ones(2, 3), sm.ones({ 2, 3 }, "uint8"), sm.arange(1, 5, 2, "uint8"), -x, #x, x[1]:mean(), nn.linear(3)(x))
]]

--- What the server says of the files in home/here, in which library/ is: "file:line" → codes.
local function server(home)
  helpers.shell(home, "lua-language-server --check here --checklevel=Warning --check_format=json "
    .. "--check_out_path=\"$PWD/said.json\" --logpath=\"$PWD/log\" --metapath=\"$PWD/meta\"")
  local file = io.open(home .. "/said.json")
  local said = file and require "sm.json".decode(file:read "a") or {}
  if file then file:close() end
  local found = {}
  for path, problems in pairs(said) do
    for _, problem in ipairs(problems) do
      local place = ("%s:%d"):format(path:match "[^/]+$", problem.range.start.line + 1)
      found[place] = (found[place] or "") .. problem.code
    end
  end
  return found
end

it("lua-language-server finds what is wrong, and nothing wrong in the experiments", function()
  if not os.execute "command -v lua-language-server >/dev/null 2>&1" then
    return pending "lua-language-server is not on this machine"
  end
  local home = os.tmpname()
  os.remove(home)
  finally(function() os.execute("rm -rf " .. home) end)
  os.execute(("mkdir -p %s/here && cp -r library experiments .luarc.json %s/here"):format(home, home))
  helpers.write(home .. "/here/wrong.lua", WRONG)
  local found, line = server(home), 0
  for text in WRONG:gmatch "[^\n]+" do
    line = line + 1
    local place = "wrong.lua:" .. line
    assert.equal(text:match "%-%-> (%S+)$" or "", found[place] or "", text)
    found[place] = nil
  end
  for place, codes in pairs(found) do -- the negative of what it does not know it takes for a number
    if codes == "undefined-field" then found[place] = nil end
  end
  has_none(found)
end)
