--- The revision of the repository around a file, and whether its tracked files have changed since: read from HEAD, the
--- refs and the index. git itself is not run, because a repository's configuration may have it run other programs.
-- A file counts as changed whose kind, size, bit for execution or content differs from the index, that is missing, or
-- that was staged. The content is read where times alone cannot tell. Not seen are: changes inside submodules, files
-- that are not tracked, a branch that was moved under an index that stayed (`git reset --soft`). What was staged and
-- taken back counts as staged until git writes a tree again. Formats: git's own gitformat-index(5),
-- gitrepository-layout(5).
local lfs = require "lfs"
local runtime = require "sm.runtime"
local index_of = require "sm.experiment.git_index"

local M = {}

local beneath <const> = runtime.io.beneath
local most_levels <const>, most_links <const> = 64, 5 -- directories upwards; symbolic refs, as git has it
local most_ref <const>, most_refs <const>, most_index <const> = 4096, 64 << 20, 64 << 20 -- bytes

--- A file of a git directory. @return string|nil
local function read(git, name, most)
  return (beneath.read(git.root, git.inner .. name, most))
end

local function first_line(text)
  return text and text:match "^([^\n\r\0]+)[\r\n]*$"
end

local function from(directory, path)
  return path:sub(1, 1) == "/" and path or directory .. "/" .. path
end

--- What the entry .git of a directory stands for: a git directory, or a file that names one, as other work trees have.
--- @return table|nil {root=, inner=(of names beneath the root)}
local function git_directory(top)
  local kind = beneath.status(top, ".git")
  if kind == "directory" then return { root = top, inner = ".git/" } end
  local line = kind == "file" and first_line(beneath.read(top, ".git", most_ref))
  local path = line and line:match "^gitdir: (.+)$"
  return path and { root = from(top, path), inner = "" }
end

--- The git directory that has what all work trees share.
local function common_directory(git)
  local path = first_line(read(git, "commondir", most_ref))
  return path and { root = from(git.root .. "/" .. git.inner, path), inner = "" } or git
end

local function is_id(text)
  return text and (#text == 40 or #text == 64) and not text:find "[^0-9a-f]"
end

local function packed(common, name)
  local refs = read(common, "packed-refs", most_refs)
  local at = refs and refs:find((" %s\n"):format(name), 1, true)
  if not at then return nil end
  for _, length in ipairs { 40, 64 } do
    local id = refs:sub(math.max(1, at - length), at - 1)
    if is_id(id) and (at - length <= 1 or refs:sub(at - length - 1, at - length - 1) == "\n") then return id end
  end
end

--- The commit that HEAD stands for. @return string|nil nil on a branch without commits
local function resolve(git, common)
  local name = "HEAD"
  for _ = 0, most_links do
    local text = read(git, name, most_ref) or read(common, name, most_ref)
    local line = first_line(text) or not text and packed(common, name) or ""
    if is_id(line) then return line end
    name = line:match "^ref:%s*(refs/%S+)%s*$"
    if not name then return nil end
  end
end

local function place(path)
  local it = lfs.attributes(path)
  return it and it.dev, it and it.ino
end

--- The work tree around a directory: its top, and its git directory. No other file system is searched.
local function find(directory)
  local top = directory
  for _ = 1, most_levels do
    local git = git_directory(top)
    if git and read(git, "HEAD", most_ref) then return top, git end
    local device, inode = place(top)
    top = top .. "/.."
    local outer_device, outer_inode = place(top)
    if not device or outer_device ~= device or outer_inode == inode then return nil end
  end
end

--- @param file string its path
--- @return table|nil {revision=, dirty=(nil where it cannot be known)}; nil outside a repository, or without a commit
function M.of(file)
  local top, git = find(file:match "^(.*)/" or ".")
  if not top then return nil end
  local common = common_directory(git)
  local revision = resolve(git, common)
  if not revision then return nil end
  local known, dirty = pcall(function()
    local _, _, seconds, nanoseconds = beneath.status(git.root, git.inner .. "index")
    return index_of.is_dirty(read(git, "index", most_index), {
      top = top, id_bytes = #revision // 2, seconds = seconds, nanoseconds = nanoseconds,
      config = read(common, "config", most_ref << 8) or "", attributes = read(common, "info/attributes", most_ref << 8),
      own_tree = git.inner ~= "",
    })
  end)
  if not known then dirty = nil end -- a malformed index
  return { revision = revision, dirty = dirty }
end

return M
