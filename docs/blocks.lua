--- The blocks of code on a page of Markdown, and how they run, for the test of the pages and for their pictures.
-- By the word behind the three backticks:
--   lua       a script of its own, which prints what stands behind its "-->", up to a remark in parentheses. One that
--             begins with "-- NAME.lua" is that file, for the blocks that follow.
--   (none)    commands for a shell, one a line
--   console   commands behind "$ ", each with what it prints. A number may be another one, how wide the spaces are does
--             not count, and "…" stands for any lines. Where the word "fails" follows, the last command must fail.
--   session   what is typed at the prompt, behind a number and ">", and what the prompt gives, compared likewise
-- All others are for reading alone. A picture whose title is a path is that file, as the blocks before it wrote it.
local helpers = dofile "tests/lua/helpers.lua"

local M = {}

local read <const>, write <const>, quote <const> = helpers.read, helpers.write, helpers.quote

--- @return list of {language=, fails=, text=, line=(of the first), heading=}
--- @return list of {picture=(as the page has it), file=(its title), line=, after=(how many blocks precede it)}
function M.of(path)
  local blocks, pictures, block, heading, number = {}, {}, nil, "", 0
  for line in read(path):gmatch "([^\n]*)\n" do
    number = number + 1
    local language, more = line:match "^```(%S*)%s*(.*)$"
    if language and block then
      blocks[#blocks + 1], block = block, nil
    elseif language then
      block = { language = language, fails = more == "fails", text = "", line = number + 1, heading = heading }
    elseif block then
      block.text = block.text .. line .. "\n"
    else
      heading = line:match "^##+ (.*)$" or heading
      for picture, file in line:gmatch '!%[[^%]]*%]%(([^ )]+) "([^"]+)"%)' do
        pictures[#pictures + 1] = { picture = picture, file = file, line = number, after = #blocks }
      end
    end
  end
  if block then error(path .. ": the last block has no end") end
  return blocks, pictures
end

--- The file that a block of Lua is; nil where it is a script.
function M.file_of(block)
  return block.language == "lua" and block.text:match "^%-%- ([%w_]+%.lua)\n" or nil
end

--- Lines without what depends on the width of columns, joined.
function M.plain(text)
  local lines = {}
  for given in text:gmatch "[^\n]+" do
    local line = given:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    lines[#lines + 1] = line ~= "" and line or nil
  end
  return table.concat(lines, "\n")
end

--- What a script says that it prints; nil where it says nothing.
function M.promised(block)
  local lines = {}
  for line in block.text:gmatch "[^\n]+" do
    local text = line:match "%-%->(.*)$"
    if text then lines[#lines + 1] = text:gsub("%s%s+%(.*%)$", "") end
  end
  return #lines > 0 and M.plain(table.concat(lines, "\n")) or nil
end

--- The commands of a block: {command=, printed=(nil where nothing is said)}.
function M.commands(block)
  local commands = {}
  for line in block.text:gmatch "[^\n]+" do
    local command = block.language == "" and line or line:match "^%$ (.*)$"
    local last = commands[#commands]
    if command then
      commands[#commands + 1] = { command = command }
    elseif not last then
      error(("line %d: a console begins with a command: $ …"):format(block.line))
    else
      last.printed = (last.printed or "") .. line .. "\n"
    end
  end
  return commands
end

--- What is typed in a session, and what it shows, both as one text.
function M.session(block)
  local typed, shown = {}, {}
  for line in block.text:gmatch "([^\n]*)\n" do
    local words = line:match "^%d+>>? ?(.*)$"
    local list = words and typed or shown
    list[#list + 1] = words or line
  end
  return table.concat(typed, "\n") .. "\n", table.concat(shown, "\n") .. "\n"
end

local function words(text) return (M.plain(text):gsub("%d[%d.,]*%f[^%d.,]", "#")) end

--- Whether what a command printed is what a console shows, but for numbers and what "…" stands for.
function M.like(shown, printed)
  local rest, free = "\n" .. words(printed) .. "\n", false
  for line in words(shown):gmatch "[^\n]+" do
    local first, last = rest:find("\n" .. line .. "\n", 1, true)
    if line == "…" then
      free = true
    elseif not first or first > 1 and not free then
      return false
    else
      rest, free = rest:sub(last), false
    end
  end
  return free or rest == "\n"
end

--- A directory that looks like the source's, with a build, in which blocks run.
-- @param place an empty directory
-- @param build the directory of smrun
function M.workshop(place, build)
  local root, lfs = require "lfs".currentdir(), require "lfs"
  for name in lfs.dir(root) do
    if name:find "^%w" and name ~= "build" and name ~= "runs" then
      assert(lfs.link(root .. "/" .. name, place .. "/" .. name, true))
    end
  end
  assert(lfs.link(build, place .. "/build", true))

  local self = {}

  --- Runs a command. Whether it succeeded, its output, its errors, its exit status; or with `together`, both as output.
  function self.shell(command, together)
    local done, _, status = os.execute(('cd %s && export PATH="$PWD/build:$PATH" && { %s\n} >out 2>%s </dev/null')
      :format(quote(place), command, together and "&1" or "err"))
    return done, read(place .. "/out"), together and "" or read(place .. "/err"), status
  end

  --- Runs a block. An error says what went otherwise than it stands there.
  -- @param where the page and line, for errors
  -- @param skip(command) whether a command is not run here
  function self.run(block, where, skip)
    local name = M.file_of(block)
    if name then
      write(place .. "/" .. name, block.text)
    elseif block.language == "lua" then
      write(place .. "/script.lua", block.text)
      local done, out, err = self.shell "build/smrun script.lua"
      if not done then error(where .. ": " .. err, 0) end
      local promised = M.promised(block)
      if promised and promised ~= M.plain(out) then
        error(("%s: expected\n%s\nbut it printed\n%s"):format(where, promised, M.plain(out)), 0)
      end
    elseif block.language == "session" then
      local typed, shown = M.session(block)
      write(place .. "/typed", typed)
      local _, out = self.shell("build/smrun repl <typed", true)
      if not M.like(shown, out) then error(("%s: expected\n%s\nbut it gave\n%s"):format(where, shown, out), 0) end
    elseif block.language == "" or block.language == "console" then
      local commands = M.commands(block)
      for i, each in ipairs(commands) do
        if not (skip and skip(each.command)) then
          local done, out, _, status = self.shell(each.command, true)
          if (done or false) == (block.fails and i == #commands) then
            error(("%s: %s: exit %d\n%s"):format(where, each.command, status, out), 0)
          elseif each.printed and not M.like(each.printed, out) then
            error(("%s: %s: expected\n%s\nbut it printed\n%s"):format(where, each.command, each.printed, out), 0)
          end
        end
      end
    end
  end

  return self
end

return M
