--- The index of runs: what their files say, read once and kept in a database, `.index.sqlite` in a directory that has
-- runs. The directories stay the truth. A row counts only as long as the files that it was made from have the same
-- numbers, sizes and times, down to the nanosecond; so a row that came from elsewhere counts for nothing, for nobody
-- can say beforehand when its files will have been unpacked here. Paths come from the directories, never from a row.
--
-- The file is read and replaced as a whole. SQLite sees it in memory alone: there are no locks to wait for, whatever
-- the file system, and no journal of a stranger's is played back.
local lfs = require "lfs"
local attempt = require "sm.problem".attempt
local packed = require "sm.study.packed"
local records = require "sm.study.records"
local runtime = require "sm.runtime"

local M = {}

--- Seconds after which another change of a file shows in its times, on any file system.
M.settled = 2

local beneath <const> = runtime.io.beneath
local NAME <const> = ".index.sqlite"
local FORMAT <const> = 1 -- of the rows: another one where sm.study.packed or sm.study.progress say something else
local MADE_BY <const> = ("smrun %s, index %d"):format(runtime.version, FORMAT)
local most_bytes <const> = 1 << 30
local worth_writing <const> = 64 -- one run of so many must be new
local upward <const> = 2         -- directories above one that is searched which may have the index

local SCHEMA <const> = {
  "CREATE TABLE made(by TEXT)",
  "CREATE TABLE text(number INTEGER PRIMARY KEY, content TEXT)",
  "CREATE TABLE run(path TEXT, stamp TEXT, record TEXT)",
}

-- The file -----------------------------------------------------------------------------------------------------

--- What the index in a directory says, raising where there is none, or it is not ours.
--- @return table path → {path, stamp, record}
--- @return table number → text
local function contents(root)
  local database <close> = assert(require "sm.sqlite".open(root, NAME, most_bytes))
  local function all(sql) return assert(database:run(sql)) end
  local schema = all "SELECT sql FROM sqlite_schema ORDER BY rowid"
  assert(#schema == #SCHEMA, "another schema")
  for i, row in ipairs(schema) do assert(row[1] == SCHEMA[i], "another schema") end
  local made = all "SELECT by FROM made"
  assert(#made == 1 and made[1][1] == MADE_BY, "another version")
  local rows, texts = {}, {}
  for _, row in ipairs(all "SELECT path, stamp, record FROM run") do rows[row[1]] = row end
  for _, row in ipairs(all "SELECT number, content FROM text") do texts[row[1]] = row[2] end
  return rows, texts
end

--- Whether the index in a directory is of somebody who may say what is in it: its owner, or this user.
local function is_trusted(root)
  local owner = lfs.symlinkattributes(root .. "/" .. NAME, "uid")
  return owner ~= nil and (owner == lfs.attributes(root, "uid") or owner == lfs.attributes("/proc/self", "uid"))
end

--- What the index in a directory has: nothing where there is none, or one that is damaged or not of this version.
local function load(root)
  if is_trusted(root) then
    local whole, rows, texts = attempt(contents, root)
    if whole then return rows, texts end
  end
  return {}, {}
end

--- The file's bytes.
local function file_of(rows, texts)
  local database <close> = assert(require "sm.sqlite".new())
  local function run(sql, list) return assert(database:run(sql, list)) end
  run "BEGIN"
  for _, sql in ipairs(SCHEMA) do run(sql) end
  run("INSERT INTO made VALUES (?)", { { MADE_BY } })
  run("INSERT INTO text VALUES (?, ?)", texts)
  run("INSERT INTO run VALUES (?, ?, ?)", rows)
  run "COMMIT"
  return database:bytes()
end

-- Reading ------------------------------------------------------------------------------------------------------

local function trimmed(path) return (path:gsub("(.)/+$", "%1")) end

--- The directory whose index is to be asked about what a word names: the nearest that has one, itself or above it; or
--- itself. nil for a single run without.
local function root_of(word)
  local at = word
  for _ = 0, upward do
    if attempt(beneath.status, at, NAME) and beneath.status(at, NAME) == "file" then return at end
    local above, name = at:match "^(.+)/([^/]+)$"
    if not above or name == "." or name == ".." then break end
    at = above
  end
  local _, _, is_run = records.stamp(word)
  return not is_run and word or nil
end

--- The part of a path that lies beneath a directory; nil where it does not.
local function beneath_of(root, path)
  if path == root then return "" end
  return path:sub(1, #root + 1) == root .. "/" and path:sub(#root + 2) or nil
end

--- One directory's index at work.
local Index = {}
Index.__index = Index

local function open(root)
  local rows, texts = load(root)
  local reader = packed.reader(function(number)
    local text = texts[number]
    return type(text) == "string" and text or error("no such text", 0)
  end, records.read)
  return setmetatable({ root = root, rows = rows, texts = texts, reader = reader, changed = {}, count = 0 }, Index)
end

--- The record of a run, from its row or from its files. Raises as records.read does.
--- @param seen string|nil its stamp a moment ago
function Index:read(path, key, seen, with_text)
  local row = self.rows[key]
  if row and seen and row[2] == seen then
    local fits, record = attempt(self.reader, path, row[3])
    if fits then return record end
  end
  self.rows[key], self.count = nil, self.count + 1
  local stamp, newest = records.stamp(path) -- before it is read: what changes meanwhile is seen the next time
  local record = records.read(path, with_text)
  if stamp and newest + M.settled < os.time() then self.changed[key] = { stamp, record } end
  return record
end

--- Leaves out the rows of runs that were looked for and are not there.
--- @param places table array of what was searched beneath the root, "" for all of it
--- @param found table path beneath the root → true: the runs that are there
--- @return integer how many are left out
--- @return integer how many are left
function Index:drop(places, found)
  local gone, kept = 0, 0
  for key in pairs(self.rows) do
    local is_gone = false
    for _, place in ipairs(found[key] and {} or places) do
      is_gone = is_gone or place == "" or beneath_of(place, key) ~= nil
    end
    if is_gone then self.rows[key], gone = nil, gone + 1 else kept = kept + 1 end
  end
  return gone, kept
end

--- The rows that are to be written: those that were read, and new ones.
--- @return table array of {path, stamp, record}
--- @return table array of {number, text}
function Index:contents()
  local rows, texts, used, numbers, highest = {}, {}, {}, {}, 0
  for number, text in pairs(self.texts) do numbers[text], highest = number, math.max(highest, number) end
  local function number_of(text)
    if not numbers[text] then
      highest = highest + 1
      numbers[text], self.texts[highest] = highest, text
    end
    return numbers[text]
  end
  for _, row in pairs(self.rows) do rows[#rows + 1] = row end
  for key, one in pairs(self.changed) do rows[#rows + 1] = { key, one[1], packed.pack(one[2], number_of) } end
  local whole = {}
  for _, row in ipairs(rows) do
    if attempt(packed.each_text, row[3], function(number)
      if not used[number] then texts[#texts + 1] = { number, self.texts[number] or error("no such text", 0) } end
      used[number] = true
    end) then whole[#whole + 1] = row end
  end
  return whole, texts
end

--- Writes what has been read anew, where that is worth it.
--- @param places table and found, as Index:drop has them
--- @return string|nil why it could not be written
function Index:write(places, found)
  local gone, kept = self:drop(places, found)
  local changes = self.count + gone
  if changes == 0 or changes * worth_writing < kept + self.count then return nil end
  local whole, bytes = attempt(file_of, self:contents())
  if not whole then return tostring(bytes) end
  local done, written, reason = attempt(beneath.write, self.root, NAME, bytes)
  return done and (not written and reason or nil) or not done and tostring(written) or nil
end

--- Reads runs as records.read_all does: what their directories say, through the indexes of what was searched.
--- @param paths table array of run directories
--- @param words table array of the paths that were searched for them
--- @param stamps table path → its stamp, as records.find has found it
--- @param with_text boolean|nil as records.read has it
--- @return table array of records, see sm.study.packed for what they have
--- @return table array of {path=, reason=} for those that cannot be read
function M.read_all(paths, words, stamps, with_text)
  local searched, indexes = {}, {}
  for _, word in ipairs(words) do
    word = trimmed(word)
    local root = root_of(word)
    if root then
      indexes[root] = indexes[root] or { index = open(root), places = {}, found = {} }
      table.insert(indexes[root].places, beneath_of(root, word))
    end
    searched[#searched + 1] = { word = word, of = root and indexes[root] }
  end
  local found, left_out = records.read_each(paths, function(path)
    for _, one in ipairs(searched) do
      if one.of and beneath_of(one.word, path) then
        local key = beneath_of(one.of.index.root, path)
        one.of.found[key] = true
        return one.of.index:read(path, key, stamps[path], with_text)
      end
    end
    return records.read(path, with_text)
  end)
  for _, one in pairs(indexes) do one.index:write(one.places, one.found) end
  return found, left_out
end

return M
