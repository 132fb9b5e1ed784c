--- smrun list [DIR…], smrun query TEXT [DIR…]
local columns = require "sm.study.columns"
local index = require "sm.study.index"
local listing = require "sm.study.listing"
local numbers = require "sm.numbers"
local paths = require "sm.cli.paths"
local query = require "sm.study.query"
local runtime = require "sm.runtime"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

--- The directories to look in: those that are named, or `runs`.
local function directories(words)
  if #words > 0 then return words end
  if not require "lfs".attributes("runs", "mode") then
    usage.fail "there is no directory 'runs' here; expected the directory of some runs"
  end
  return { "runs" }
end

--- What could not be read goes to standard error, so that it is in no one's way.
local function tell_left_out(left_out)
  for _, run in ipairs(left_out) do
    io.stderr:write(text.visible(("left out %s: %s"):format(run.path, run.reason), "\n\t"), "\n")
  end
end

--- "3 of 12 runs"
local function count_text(shown, all)
  local runs = ("%s run%s"):format(numbers.thousands(all), all == 1 and "" or "s")
  return shown == all and runs or ("%s of %s"):format(numbers.thousands(shown), runs)
end

--- Prints the runs that are chosen.
--- @param chosen table array of records
--- @param names table array of names that are shown of each, too
--- @param all integer how many runs there are
local function show(chosen, names, all, options)
  if options.order then
    local name
    chosen, name = query.order(options.order, chosen)
    names = table.move(names, 1, #names, 1, {})
    local seen = false
    for _, one in ipairs(names) do seen = seen or one == name end
    if not seen then names[#names + 1] = name end
  end
  if options.top then chosen = table.move(chosen, 1, options.top, 1, {}) end
  if options.paths then
    for _, record in ipairs(chosen) do io.stdout:write(text.visible(record.path), "\n") end
    return 0
  end
  if options.csv == "-" then
    io.stdout:write(text.visible(listing.csv(chosen), "\n\t"))
    return 0
  end
  local width = columns.terminal()
  if #chosen > 0 then text.print(listing.text(chosen, names, width)) end
  if width or #chosen == 0 then text.print(count_text(#chosen, all)) end
  if options.csv then runtime.io.write_durably(options.csv, listing.csv(chosen)) end
  return 0
end

local function read(words)
  local searched = directories(words)
  local found, unread, stamps = paths.runs(searched)
  local records, left_out = index.read_all(found, searched, stamps)
  table.move(left_out, 1, #left_out, #unread + 1, unread)
  return records, unread
end

--- @return integer exit code
function M.list(options)
  local records, left_out = read(options.words)
  local code = show(records, {}, #records, options)
  tell_left_out(left_out)
  return code
end

--- @return integer exit code
function M.query(options)
  local question = table.remove(options.words, 1)
  local records, left_out = read(options.words)
  local asked = query.read(question, records)
  local code = show(asked.select(), asked.names, #records, options)
  tell_left_out(left_out)
  return code
end

return M
