--- Malformed run directories: a good one, of which one file is another. Each is {kind=, name=, file=, and one of
--- text=(its new content), make=(a shell command that puts something else there, with $file), checkpoint=(a function
--- that changes its tensors and metadata)}; the same list every time.
local M = {}

--- What may stand in the place of a value of JSON.
local VALUES <const> = {
  "null", "true", "-1", "0", "1.5", "1e999", "-1e999", "NaN", "Infinity", "9007199254740993", "9223372036854775808",
  '""', '"x"', '"\\u0000"', '"\\u001b[31mred\\u202e"', '"a\27[2Jb"', '"\xff"', '"../../../../etc"', '"a\\nb"', "[]",
  "{}", "[1]", '{"a":{"b":[null]}}', "1e308", "2147483648", ("["):rep(70), "01", "'x'",
}

--- What may stand in a cell of a table of numbers.
local CELLS <const> = {
  "", "-1", "-0", "0", "1.5", "1e999", "-1e999", "1e308", "NaN", "nan", "-nan", "inf", "0x10", " 1", "1 ", "1\0", "\0",
  "x", '"1"', "9007199254740992", "9007199254740993", "99999999999999999999", "1e-320", "1;2", "\27[31m",
  "\xE2\x80\xAE",
  "\xff", "--1", "1,1", "1\r",
}

local WHOLE <const> = {
  "", "\0", " ", "\n", "{", "{}", "[]", "null", "true", "1", '"x"', "{}\0", "{}\0{}", "\xEF\xBB\xBF{}",
  "\xff\xfe{\0}\0", ("["):rep(100000), ("{\"a\":"):rep(100), '{"a":1,"a":2}', '{"values":{},"values":{}}',
  ("x"):rep(200000), "\27[2J",
  '{"' .. ("k"):rep(100000) .. '":1}', "<html>", "{'a': 1}",
}

--- A file's text in every way that holds for JSON: cut, whole, and one value after the other replaced.
--- @param step integer by each of so many others
local function add_json(add, text, step)
  for i, other in ipairs(WHOLE) do add("content " .. i, other) end
  for part = 1, 15 do add(("cut after %d/16"):format(part), text:sub(1, #text * part // 16)) end
  add("and a NUL", text .. "\0")
  add("twice", text .. text)
  local line = 0
  for first, last in text:gmatch "\n *\"[^\"]*\": ()[^\n]*()" do
    line = line + 1
    local stop = text:sub(last - 1, last - 1) == "," and last - 1 or last
    for i = 1 + line % step, #VALUES, step do
      add(("value %d as %d"):format(line, i), text:sub(1, first - 1) .. VALUES[i] .. text:sub(stop))
    end
  end
end

local function add_csv(add, text)
  for i, other in ipairs(WHOLE) do add("content " .. i, other) end
  for part = 1, 15 do add(("cut after %d/16"):format(part), text:sub(1, #text * part // 16)) end
  local header, rest = text:match "^([^\n]*\n)(.*)$"
  local rows = {}
  for row in rest:gmatch "[^\n]*\n" do rows[#rows + 1] = row end
  local second = table.concat(rows, "", 2)
  local position = 0
  for first, last in rows[1]:gmatch "()[^,\n]*()[,\n]" do
    position = position + 1
    for i, cell in ipairs(CELLS) do
      add(("cell %d as %d"):format(position, i),
        header .. rows[1]:sub(1, first - 1) .. cell .. rows[1]:sub(last) .. second)
    end
  end
  add("the rows twice", text .. rest)
  add("two headers", header .. text)
  add("a column of no name", header:gsub("\n", ",\n") .. rest)
  add("a column of control codes", header:gsub("\n", ",\27[31m\n") .. rest)
  add("a column of direction", header:gsub("\n", ",\xE2\x80\xAEa\n") .. rest)
  add("a column twice", header:gsub("\n", ",lr\n") .. rest)
  add("10,000 columns", header:sub(1, -2) .. (",a"):rep(10000) .. "\n" .. rest)
  add("a million commas", text .. (","):rep(1000000) .. "\n")
  add("line ends of DOS", (text:gsub("\n", "\r\n")))
  add("line ends of old", (text:gsub("\n", "\r")))
  add("and a NUL", text .. "\0\n")
  add("no line end", text:sub(1, -2))
end

local function add_experiment(add, text)
  for part = 1, 15 do add(("cut after %d/16"):format(part), text:sub(1, #text * part // 16)) end
  for what, other in pairs {
    empty = "", ["a NUL"] = "\0", ["a NUL at its end"] = text .. "\0", ["a NUL in a comment"] = "-- \0\n" .. text,
    ["a binary chunk"] = string.dump(load "return 1"), ["a binary front"] = "\27Lua" .. text,
    ["a byte mark"] = "\xEF\xBB\xBF" .. text, ["a line for a shell"] = "#!/bin/sh\n" .. text,
    ["codes in a comment"] = "-- \27[2J\27]0;title\7\n" .. text,
    ["direction in a comment"] = "-- \xE2\x80\xAE\n" .. text, ["no UTF-8 in a comment"] = "-- \xff\xfe\n" .. text,
    ["codes in a name"] = "local \27[31mx = 1\n" .. text,
    ["an error with codes"] = "error '\27[31mred\27[0m \xE2\x80\xAE'\n" .. text,
    ["an error that is a table"] = "error {}\n", ["another return"] = "return 5\n",
    ["two returns"] = text .. "return 1\n", ["parentheses"] = "return " .. ("("):rep(10000),
    ["a long line"] = text .. "-- " .. ("x"):rep(1000000) .. "\n",
    ["a page within"] = text .. "--[[ </script><script>alert(1)</script> ]]\n", html = "<html>\n",
  } do add(what, other) end
end

--- What may stand in the metadata of a checkpoint.
local NUMBERS <const> = {
  "", "x", "=", "a=", "=1", "a=x", "a=1\na.b=2", "a.b=1\na=2", "random=1", "optimizer=1", "stream=1", "tally=1",
  "stream.position=-1", "stream.position=1e999", "stream.position=nan", "stream.position=1.5", "stream.epoch=-1",
  "stream.seed=0x1p4", "optimizer.steps=-1", "optimizer.steps=1e999", "optimizer.steps=1.5", "random.seed=1e300",
  "\27[31m=1", "a.=1",
  "..=1", "1.2.3=4", ("a."):rep(100000) .. "a=1", "tally.loss=x", "tally.count=-1", "validation.loss=1e999",
}

local function add_checkpoint(add, bytes, metadata)
  local length = ("<I8"):unpack(bytes)
  for part = 0, 15 do
    add(("header cut after %d/16"):format(part), { text = bytes:sub(1, (8 + length) * part // 16) })
    add(("cut after %d/16"):format(part), { text = bytes:sub(1, #bytes * part // 16) })
    local at = 9 + (#bytes - 9) * part // 16
    local turned = string.char(bytes:byte(at) ~ 0x20)
    add(("with byte %d turned"):format(at), { text = bytes:sub(1, at - 1) .. turned .. bytes:sub(at + 1) })
  end
  for at = 1, 8 do
    for _, byte in ipairs { 0, 127, 128, 255 } do
      local other = bytes:sub(1, at - 1) .. string.char(byte) .. bytes:sub(at + 1)
      add(("length %d as %d"):format(at, byte), { text = other })
    end
  end
  for i, numbers in ipairs(NUMBERS) do
    add("numbers " .. i, { checkpoint = function(_, words) words.numbers = numbers end })
    add("further numbers " .. i, { checkpoint = function(_, words)
      words.numbers = words.numbers .. "\n" .. numbers
    end })
  end
  local lines = {}
  for line in metadata.numbers:gmatch "[^\n]+" do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do
    local place = line:match "^[^=]+"
    add("without " .. place, { checkpoint = function(_, words)
      words.numbers = table.concat(lines, "\n", 1, i - 1) .. "\n" .. table.concat(lines, "\n", i + 1)
    end })
    for j, value in ipairs { "-1", "1e999", "0x7fffffffffffffff", "1.5", "nan", "x", "" } do
      add(("%s as %d"):format(place, j), { checkpoint = function(_, words)
        words.numbers = table.concat(lines, "\n", 1, i - 1) .. "\n" .. place .. "=" .. value .. "\n"
          .. table.concat(lines, "\n", i + 1)
      end })
    end
  end
  for key in pairs(metadata) do
    for i, text in ipairs { "", "x", "-1", "1e999", "1.5", "\27[31m", "\0", ("x"):rep(100000) } do
      add(("%s as %d"):format(key, i), { checkpoint = function(_, words) words[key] = text end })
    end
    add("without " .. key, { checkpoint = function(_, words) words[key] = nil end })
  end
  for what, change in pairs {
    ["no tensor"] = function(tensors) for name in pairs(tensors) do tensors[name] = nil end end,
    ["a tensor more"] = function(tensors, _, sm) tensors["model.\27[31mred"] = sm.ones(2) end,
    ["a tensor less"] = function(tensors) tensors[next(tensors)] = nil end,
    ["other shapes"] = function(tensors, _, sm)
      for name in pairs(tensors) do tensors[name] = sm.ones(2, 2) end
    end,
    ["other types"] = function(tensors, _, sm)
      for name in pairs(tensors) do tensors[name] = sm.ones(2):to "int32" end
    end,
    ["no numbers"] = function(tensors, _, sm)
      for name, tensor in pairs(tensors) do tensors[name] = sm.full(tensor.shape, 0 / 0) end
    end,
    ["an optimizer's more"] = function(tensors, _, sm) tensors["optimizer.x.y"] = sm.ones(2) end,
    ["an optimizer's less"] = function(tensors)
      for name in pairs(tensors) do if name:find "^optimizer" then tensors[name] = nil end end
    end,
  } do add(what, { checkpoint = change }) end
end

--- What a checkpoint says of its data and its modules: each value replaced, and places that lead elsewhere.
local function add_about(add, metadata)
  local function put(text)
    return { checkpoint = function(_, words) words.about = text end }
  end
  add_json(function(what, text)
    if utf8.len(text) then add(what, put(text)) end -- sm.save writes no others
  end, metadata.about, 2)
  local modules = '"modules": {}'
  for i, place in ipairs { "../../m.lua", "/etc/passwd", "m.lua", "", ".", "..", "a//b.lua", "\\u0000.lua",
    "sm/init.lua",
    "sm.lua", "lfs.lua", ("a/"):rep(10000) .. "b.lua", "\\u001b[31m.lua", "\\u202e.lua" } do
    for k, text in ipairs { "return 1", "\\u001bLua", "while true do", ("x = {"):rep(1000) } do
      add(("module %d as %d"):format(i, k), put((metadata.about:gsub(modules,
        function() return ('"modules": {"%s": "%s"}'):format(place, text) end))))
    end
  end
  local set = metadata.about:match '"data": (%b{})'
  for i, sets in ipairs { ("%s,"):format(set):rep(1000):sub(1, -2), set:gsub("28", "2147483647"),
    set:gsub("28", "0"), set:gsub('"classes": 10', '"classes": 2147483647'), set:gsub('"classes": 10', '"classes": 0'),
    set:gsub('"train": %d+', '"train": 9223372036854775807'), set:gsub("pixels", "indices"),
    (set:gsub('"made_by": "[^"]*"', '"made_by": "folder"')) } do
    add("sets " .. i, put((metadata.about:gsub('"sets": %b[]', function() return ('"sets": [%s]'):format(sets) end))))
    local one = '"data": ' .. sets:match "%b{}"
    add("data " .. i, put((metadata.about:gsub('"data": %b{}', function() return one end))))
  end
end

--- What else may be in a file's place.
local MAKES <const> = {
  ["nothing"] = "rm -f $file", ["a directory"] = "rm -f $file; mkdir $file", ["a pipe"] = "rm -f $file; mkfifo $file",
  ["a link to nowhere"] = "ln -sf nowhere $file", ["a link to itself"] = "ln -sf $(basename $file) $file",
  ["a link to a device"] = "ln -sf /dev/zero $file", ["a link to a terminal"] = "ln -sf /dev/tty $file",
  ["a link to /etc/passwd"] = "ln -sf /etc/passwd $file", ["a file of zeros"] = "rm -f $file; truncate -s 5M $file",
  ["what nobody may read"] = "chmod 0 $file",
}

--- @param files table name → content of a good run directory; the checkpoint under "checkpoint"
--- @param metadata of that checkpoint
function M.cases(files, metadata)
  local cases = {}
  for _, name in ipairs { "params.json", "summary.json", "classes.json", "environment.json", "metrics.csv",
    "experiment.lua", "spent.json", "checkpoint" } do
    local function add(what, case)
      if type(case) == "string" then case = { text = case } end
      case.kind, case.file, case.name = name, name, what
      cases[#cases + 1] = case
    end
    local text = files[name]
    if name:find "json$" then
      add_json(add, text, name == "environment.json" and 4 or name == "classes.json" and 24 or 1)
    elseif name == "metrics.csv" then
      add_csv(add, text)
    elseif name == "experiment.lua" then
      add_experiment(add, text)
    else
      add_checkpoint(add, text, metadata)
    end
    for what, command in pairs(MAKES) do add(what, { make = command }) end
  end
  add_about(function(what, case)
    case.kind, case.file, case.name = "about", "checkpoint", what
    cases[#cases + 1] = case
  end, metadata)
  table.sort(cases, function(a, b)
    if a.kind ~= b.kind then return a.kind < b.kind end
    return a.name < b.name
  end)
  return cases
end

--- Names of run directories, and of pictures in them.
M.names = { "\27[31mred", "a\nb", "\xE2\x80\xAEreversed", "\xff\xfe", "-rf", "a'b\"c", "$(touch oops)", "a,b=c",
  ("n"):rep(250), "<script>", " ", "%s%n" }

return M
