local cjson = require "cjson"
local params = require "sm.experiment.params"
local shortest = require "sm.text".shortest
local usage = require "sm.usage"

--- The message of the error that `f` raises, without the position; whether it is a usage error.
local function message(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok, "expected an error")
  return (tostring(problem):gsub("^[^\n]-:%d+: ", "")), usage.is(problem)
end

local function declared(defaults, overrides)
  params.begin(overrides or {})
  local values = params.declare(defaults)
  return values, params.finish()
end

describe("params", function()
  after_each(function()
    params.begin {}
    params.finish()
  end)

  local defaults = { lr = 1e-3, groups = 4, flag = false, data = "mnist" }

  it("gives the defaults where nothing is set", function()
    local p, record = declared(defaults)
    assert.same({ 1e-3, 4, false, "mnist" }, { p.lr, p.groups, p.flag, p.data })
    assert.same("default", record.name)
    assert.same({}, record.differing)
    assert.same(defaults, record.values)
  end)

  it("reads texts by the type of the default", function()
    local p, record = declared(defaults, { lr = "1", groups = "1e1", flag = "true", data = "12" })
    assert.equal("float", math.type(p.lr))
    assert.equal("integer", math.type(p.groups))
    assert.same({ 1.0, 10, true, "12" }, { p.lr, p.groups, p.flag, p.data })
    assert.same({ "data", "flag", "groups", "lr" }, record.differing)
    assert.equal("data=12,flag=true,groups=10,lr=1", record.name)
    assert.same(defaults, record.defaults)
  end)

  it("does not name a parameter that was set to its default", function()
    local _, record = declared(defaults, { groups = "4", lr = "0.001" })
    assert.equal("default", record.name)
  end)

  it("can be read in sorted order, and not be assigned", function()
    local p = declared(defaults)
    local names = {}
    for name, value in pairs(p) do
      names[#names + 1] = name
      assert.equal(defaults[name], value)
    end
    assert.same({ "data", "flag", "groups", "lr" }, names)
    assert.equal("parameters cannot be assigned; set 'lr' in sm.params or on the command line",
      (message(function() p.lr = 2 end)))
    assert.equal("no parameter 'grups' is declared; did you mean 'groups'?",
      (message(function() return p.grups end)))
  end)

  local function refused(expected, overrides)
    params.begin(overrides)
    local text, is_usage = message(params.declare, defaults)
    assert.equal(expected, text)
    assert.is_true(is_usage)
  end

  it("refuses a value of another type, and says what was expected and given", function()
    refused("parameter 'groups' must be an integer like its default 4, got '1,2,4'", { groups = "1,2,4" })
    refused("parameter 'groups' must be an integer like its default 4, got '0.5'; "
      .. "to allow fractions, write the default as 4.0", { groups = "0.5" })
    refused("parameter 'groups' must be an integer like its default 4, got ''", { groups = "" })
    refused("parameter 'lr' must be a number like its default 0.001, got 'fast'", { lr = "fast" })
    refused("parameter 'lr' must be a number like its default 0.001, got '1e999'", { lr = "1e999" })
    refused("parameter 'flag' must be true or false like its default false, got 'yes'", { flag = "yes" })
    refused("parameter 'data' must be a string like its default mnist, got '5'", { data = 5 })
  end)

  it("refuses an unknown parameter", function()
    refused("unknown parameter 'grups'; did you mean 'groups'?", { grups = "2" })
    refused("unknown parameter 'zzzzz'; the file declares data, flag, groups, lr", { zzzzz = "2" })
  end)

  it("refuses parameters for a file that declares none", function()
    params.begin { groups = "2" }
    local text, is_usage = message(params.finish)
    assert.equal("unknown parameter 'groups'; this file declares no parameters", text)
    assert.is_true(is_usage)
  end)

  it("is declared once, with names and defaults that can be typed", function()
    params.begin {}
    params.declare {}
    local text, is_usage = message(params.declare, {})
    assert.equal("sm.params was called already; declare all parameters in one table", text)
    assert.is_false(is_usage)
    local function bad(given)
      params.begin {}
      return (message(params.declare, given))
    end
    assert.equal("sm.params: expected a table of defaults, got number 3", bad(3))
    assert.equal("sm.params: the default of 'x' must be a number, a boolean or a string, got table", bad { x = {} })
    assert.equal("sm.params: the default of 'x' must be finite, got inf", bad { x = math.huge })
    assert.equal("sm.params: a parameter's name is letters, digits and '_', and begins with no digit; "
      .. "got number 1", bad { "x" })
    assert.truthy(bad { ["a b"] = 1 }:find('got string "a b"', 1, true))
  end)

  it("writes numbers so that they read back the same, and as short as that allows", function()
    for text, number in pairs { ["0.001"] = 1e-3, ["0.1"] = 0.1, ["1e-05"] = 1e-5, ["4"] = 4, ["2"] = 2.0 } do
      assert.equal(text, shortest(number))
    end
    for _, number in ipairs { 1 / 3, math.pi, 5e-324, 0.1 + 0.2, 1.7976931348623157e308 } do
      assert.equal(number, tonumber(shortest(number)))
    end
  end)

  it("makes a name that is safe as a file's", function()
    local _, record = declared({ data = "", x = 1 }, { data = "a/b c,é=%\n" })
    assert.equal("data=a%2Fb%20c%2C%C3%A9%3D%25%0A", record.name)
  end)

  it("survives the way through JSON", function()
    local given = { lr = tostring(1 / 3), groups = "7", flag = "true", data = "x,y" }
    local json = require "sm.json"
    local _, first = declared({ lr = 1.0, groups = 4, flag = false, data = "" }, given)
    local _, second = declared(first.defaults, cjson.decode(json.encode(first)).values)
    assert.same(first, second)
    assert.equal("integer", math.type(second.values.groups))
  end)
end)
