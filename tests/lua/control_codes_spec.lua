--- What a terminal would obey, or what turns a text about or hides in it, is made visible wherever a string comes from.
local json = require "sm.json"
local text = require "sm.text"
local tiny = dofile "tests/lua/tiny_experiment.lua"

--- Each by itself does something to a terminal, or to how a text is read.
local marks <const> = {
  "\27[31m", "\27]0;title\7", "\27P1$r\27\\", "\8", "\12", "\13", "\127", "\14",
  "\u{80}", "\u{85}", "\u{9B}31m", "\u{9D}", "\u{9F}", "\u{AD}", "\u{61C}", "\u{180E}",
  "\u{200B}", "\u{200C}", "\u{200D}", "\u{200E}", "\u{200F}", "\u{2028}", "\u{2029}",
  "\u{202A}", "\u{202B}", "\u{202C}", "\u{202D}", "\u{202E}", "\u{2060}",
  "\u{2066}", "\u{2067}", "\u{2068}", "\u{2069}", "\u{206A}", "\u{206F}",
  "\u{3164}", "\u{FEFF}", "\u{FFF9}", "\u{FFFB}", "\u{E0001}", "\u{E0041}", "\u{E007F}",
}
local all <const> = "a" .. table.concat(marks, "a") .. "a"
local bytes <const> = "\x9b31m\xff\xc3(\xed\xa0\x80\xf5\x80\x80\x80" -- that are no UTF-8

--- Raises where a mark, a control code or a byte that is no UTF-8 is in what was printed.
local function check_clean(output, where)
  for _, mark in ipairs(marks) do
    local from = output:find(mark, 1, true)
    assert.is_nil(from, ("%s has %q: %q"):format(where, mark, from and output:sub(from - 40, from + 40)))
  end
  assert.equal(text.visible(output, "\n\t"), output, where)
end

describe("a string from elsewhere", function()
  local workspace
  setup(function() workspace = tiny.workspace() end)
  teardown(function() tiny.remove(workspace) end)

  local function quoted(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
  end

  --- What the program prints, in which a word that is known shows that the string was there.
  local function printed(arguments, word)
    local output = tiny.smrun(arguments)
    assert.truthy(output:find(word or "\\27[31m", 1, true), output)
    check_clean(output, arguments)
    return output
  end

  --- Two runs that have marks in every text, and in the names of their parameters and columns.
  local function write_runs(name)
    local mark = json.quote(all):sub(2, -2)
    for seed = 1, 2 do
      local path = tiny.write_run(workspace, name .. "/" .. seed, seed, { accuracy = 0.5, values = {
        note = ('"%s%d"'):format(mark, seed), [mark] = seed, lr = 0.1 }, columns = "," .. all:gsub("[\n\r,]", ""),
        metrics = "10,1,0.5,0.5,0.4,0.9,0.1,3,7\n" })
      local record <const> = '"%s": "' .. mark .. '%d"'
      local fields = {}
      for i, field in ipairs { "experiment", "variant", "smrun", "real", "processor", "instruction_set", "started" } do
        fields[i] = record:format(field, seed)
      end
      tiny.write(path .. "/environment.json", ('{"git": {"revision": "%s"}, "data": {"%s": "%s%d"}, "threads": 1, %s}')
        :format(mark, mark, mark, seed, table.concat(fields, ", ")))
    end
  end

  it("is visible in what compare prints, with its titles and CSV", function()
    write_runs "e"
    local path = quoted(workspace .. "/e")
    printed("compare " .. path)
    printed(("compare %s --csv -"):format(path))
    printed(("compare %s --figure %s"):format(path, quoted(all:gsub("[\n\r,]", ""))))
    printed(("compare %s --figure %s"):format(path, quoted(all)))
    tiny.write(workspace .. "/e/2/summary.json", ('{"seed": 1, "%s": 1, "%s": 2}'):format(all:gsub("%c", ""),
      all:gsub("%c", "")))
    printed("compare " .. path)
  end)

  it("is visible in a page, and in its attributes", function()
    write_runs "f"
    local place = workspace .. "/f/" .. all:gsub("/", "")
    tiny.write(workspace .. "/f/1/experiment.lua", "return '" .. all .. bytes .. "'")
    printed(("report %s --out %s"):format(quoted(workspace .. "/f"), quoted(place)))
    local other = tiny.smrun(("report %s --out -"):format(quoted(workspace .. "/f/1")))
    for _, page in ipairs { tiny.read(place), other } do
      local own = page:gsub("<script>.-</script>", ""):gsub("<style>.-</style>", "")
      check_clean(own, "the page")
    end
  end)

  it("is visible in errors, of whatever kind", function()
    local name = all .. bytes
    local script = workspace .. "/script.lua"
    for _, code in ipairs {
      "error(name)", "error({ [name] = name })", "error(setmetatable({}, { __tostring = function() return name end }))",
      "return sm.load(name .. '.npy')", "sm.zeros(name)", "sm.nn.linear { [name] = 1 }", "require(name)",
      "return _G[name]", "return sm[name]", "sm.params { [name] = 1 }", "sm.experiment { [name] = 1 }",
      "load('x = = 1', '=' .. name)()", "assert(load('error \"here\"', '@' .. name))()", "assert(io.open(name))",
      "sm.save(name .. '.safetensors', { [name] = 1 })", "sm.save(arg[0] .. '/' .. name .. '/x.npy', sm.zeros(1))",
    } do
      tiny.write(script, ("local sm, name = require 'sm', %q\n%s\n"):format(name, code))
      local output, exit = tiny.smrun(quoted(script))
      assert.equal(1, exit, code .. output)
      check_clean(output, code)
    end
    for _, arguments in ipairs { quoted(name), "data " .. quoted(name), "--" .. quoted(name), "resume " .. quoted(name),
      "compare " .. quoted(name), quoted(script) .. " " .. quoted(name),
      quoted(script) .. " " .. quoted(name .. "=1") } do
      local output, exit = tiny.smrun(arguments)
      assert.is_true(exit == 1 or exit == 2, arguments .. output)
      check_clean(output, arguments)
    end
  end)

  it("is visible in what a file of tensors says, under plain Lua too", function()
    local file = workspace .. "/names.safetensors"
    local loading <const> = "local t, _, reasons = sm.load(%q); return t[next(reasons)]"
    local header <const> = '{"%s":{"dtype":"F32","shape":[%s],"data_offsets":[0,4]}}'
    for _, shape in ipairs { "2", '"x"', "1,1,1,1,1,1,1,1,1" } do
      local content = header:format(json.quote(all):sub(2, -2), shape)
      tiny.write(file, ("<s8"):pack(content) .. "\0\0\0\0")
      printed("-e " .. quoted(loading:format(file)), "\\27")
      local pipe <close> = io.popen(("lua5.4 -e %s 2>&1"):format(quoted("sm = require 'sm' " .. loading:format(file))))
      local output = pipe:read "a"
      assert.truthy(output:find("\\27", 1, true), output)
      check_clean(output, "plain Lua")
    end
  end)

  it("is visible in the value of -e", function()
    printed(("-e %s"):format(quoted(("return %q, 1, nil, %q"):format(all, bytes))))
    assert.equal("1\tnil\ttrue\n", (tiny.smrun "-e '1, nil, true'"))
  end)

  it("is visible in all that a run and a sweep print and log", function()
    tiny.write(workspace .. "/run.lua", (tiny.text:gsub("blow_up = 0,", "blow_up = 0, note = '',")))
    local arguments = ("%s steps=4 note=%s --runs %s"):format(quoted(workspace .. "/run.lua"),
      quoted((all:gsub("[,\\]", ""))), quoted(workspace .. "/" .. all:gsub("/", "")))
    printed(arguments .. " --dry-run")
    printed(arguments)
    printed(arguments) -- done before
    printed(arguments:gsub("steps=4", "steps=4,5"))
    local name = tiny.list(workspace .. "/" .. all:gsub("/", "") .. "/run")[1]
    local run = ("%s/%s/run/%s"):format(workspace, all:gsub("/", ""), name)
    check_clean(tiny.read(run .. "/log.txt"), "log.txt")
    printed("eval " .. quoted(run))
    printed("resume " .. quoted(run))
    if os.execute "command -v script >/dev/null" then
      local pipe <close> = io.popen(("TERM=xterm script -qec %s /dev/null </dev/null"):format(quoted(
        ("%s %s --again"):format(os.getenv "SMRUN" or "build/smrun", arguments))))
      local output = pipe:read "a"
      assert.truthy(output:find("\27[", 1, true), output)
      check_clean((output:gsub("\27%[[%d;]*[mKJA]", ""):gsub("\r", "")), "the terminal")
    end
  end)

  it("is no formula in a spreadsheet", function()
    for formula, cell in pairs { ["=1+1"] = "'=1+1", ["+A1"] = "'+A1", ["-A1"] = "'-A1", ["@SUM(A1)"] = "'@SUM(A1)",
      ["=1,\"x\""] = [["'=1,""x"""]], ["\t=1"] = "'\t=1", ["-0.5"] = "-0.5", ["+3"] = "+3", ["-1e-9"] = "-1e-9",
      ["a=1"] = "a=1", [""] = "", ["a\nb"] = '"a\nb"' } do
      assert.equal(cell, text.csv(formula))
    end
    for i, value in ipairs { '"=cmd|\' /C calc\'!A0"', "-0.5" } do
      tiny.write_run(workspace, "g/" .. i, 1, { values = { note = value, ["@x"] = i }, accuracy = 0.5 })
    end
    local csv = tiny.smrun(("compare %s --csv -"):format(quoted(workspace .. "/g")))
    for _, part in ipairs { "'@x,note,seeds", "\n1,'=cmd|' /C calc'!A0,1,", "\n2,-0.5,1," } do
      assert.truthy(csv:find(part, 1, true), csv)
    end
  end)
end)
