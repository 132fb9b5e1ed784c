--- Where a hostile script is run: a directory with what it must not read, change, end or remove, and the look at it
-- afterwards.
--   exp/NAME.lua           the script, and what its setup puts beside it
--   runs/other/default     a finished run of another experiment; runs/NAME/before likewise, of the same name
--   outside/secret.txt     to be read by nobody;  outside/kept.txt  to be changed by nobody
--   home                   $HOME, with a secret in .ssh
local lfs = require "lfs"
local support = dofile "tests/fault/support.lua"

local M = {}

-- No word of a script's, so that it is found only where it was read.
local SECRET <const> = "s3cr3t-" .. (os.getenv "HOSTILE_SECRET" or ("%016x"):format(math.random(0)))

local OTHER <const> = [[
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 3, batch = 4, checkpoint = 2 },
}
]]

local PICTURES <const> = [[
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.zeros({ 12, 4, 4 }, "uint8"), targets = sm.ones({ 12 }, "int32"),
    validation = 4, classes = 3 },
  model = sm.nn.sequential { sm.nn.flatten(), sm.nn.linear { 3 } }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 3, batch = 4, checkpoint = 2 },
}
]]

local function shell(format, ...)
  local command = format:format(...)
  if not os.execute(command) then error(command, 0) end
end

--- A directory for all, with the run that each place gets a copy of.
function M.home(smrun)
  local home = os.tmpname()
  os.remove(home)
  assert(lfs.mkdir(home))
  support.write(home .. "/other.lua", OTHER)
  support.write(home .. "/program", smrun)
  local words = ("--runs '%s/finished' '%s/other.lua'"):format(home, home)
  shell("'%s' --quiet %s >'%s/out' 2>&1 || { cat '%s/out'; false; }", smrun, words, home, home)
  return home
end

--- What a script's setup may use.
local function tools(here)
  local program = support.read(here.home .. "/program")
  local tool = setmetatable({ here = here.path, pack = string.pack, rep = string.rep, dump = string.dump },
    { __index = _G })
  local function absolute(path) return path:sub(1, 1) == "/" and path or here.path .. "/" .. path end
  function tool.write(path, text) support.write(absolute(path), text) end
  function tool.read(path) return support.read(absolute(path)) end
  function tool.mkdir(path) shell("mkdir -p '%s'", absolute(path)) end
  function tool.remove(path) shell("rm -r '%s'", absolute(path)) end
  function tool.link(path, target) assert(lfs.link(target, absolute(path), true)) end
  function tool.pipe(path) shell("mkfifo '%s'", absolute(path)) end
  --- A library of C that says so when it is loaded.
  function tool.compile(path)
    support.write(here.path .. "/native.c", '#include <unistd.h>\nint luaopen_native(void *L);\n'
      .. 'int luaopen_native(void *L) { return L == 0; }\n__attribute__((constructor)) static void loaded(void) {\n'
      .. '  if (write(1, "BREACH: native code runs\\n", 25)) {}\n}\n')
    shell("cd '%s' && %s -shared -fPIC -o '%s' native.c && rm native.c", here.path, os.getenv "CC" or "cc", path)
  end
  --- A finished run that a stranger sent: of OTHER, with another text if one is given.
  function tool.run(path, text)
    shell("mkdir -p '%s' && cp -a '%s/finished/other/default/.' '%s'", absolute(path), here.home, absolute(path))
    if text then support.write(absolute(path) .. "/experiment.lua", text) end
  end
  --- A finished run that was trained on pictures of 4 × 4 pixels, by a text that a stranger sent.
  function tool.trained(path, text)
    support.write(here.path .. "/trained.lua", text or PICTURES)
    shell("cd '%s' && '%s' --quiet --runs made trained.lua >made.out 2>&1 || { cat made.out; false; }", here.path,
      program)
    shell("cd '%s' && mkdir -p '%s' && cp -a made/trained/default/. '%s' && rm -r made made.out trained.lua",
      here.path, path, path)
  end
  --- A checkpoint that a stranger sent, changed by the text of a function of its tensors, its metadata and sm.
  function tool.checkpoint(from, path, change)
    support.write(here.path .. "/change.lua", ([[
local sm, tensors, words = require "sm", {}, {}
local found, metadata = sm.load(%q)
for name, tensor in pairs(found) do tensors[name] = tensor end
for key, text in pairs(metadata) do words[key] = text end
do %s end
sm.save(%q, tensors, words)
]]):format(absolute(from), change, absolute(path)))
    shell("cd '%s' && '%s' --trust change.lua && rm change.lua", here.path, program)
  end
  --- A picture of 4 × 4 pixels.
  function tool.picture(path)
    support.write(here.path .. "/picture.lua", ("local sm = require 'sm'\nsm.png.save(%q, sm.zeros({ 4, 4, 1 }, "
      .. "'uint8'))\n"):format(absolute(path)))
    shell("cd '%s' && '%s' --trust picture.lua && rm picture.lua", here.path, program)
  end
  return tool
end

--- @return table path, command, environment, both for a shell, home, name, process
function M.make(home, directory, name, text, said)
  local base = home .. "/" .. directory
  local here = { path = base .. "/place", base = base, home = home, name = name }
  assert(lfs.mkdir(base) and lfs.mkdir(here.path))
  shell("cd '%s' && mkdir -p exp outside home/.ssh runs/other runs/'%s' && cp -a '%s/finished/other/default' runs/other"
    .. " && cp -a '%s/finished/other/default' runs/'%s'/before", here.path, name, home, home, name)
  support.write(here.path .. "/outside/secret.txt", SECRET .. "\n")
  support.write(here.path .. "/outside/secret.lua", ("return '%s'\n"):format(SECRET))
  support.write(here.path .. "/outside/kept.txt", "kept\n")
  support.write(here.path .. "/home/.ssh/id_secret", SECRET .. "\n")
  if text:find("@PID@", 1, true) then
    local pipe <close> = io.popen "sleep 300 >/dev/null 2>&1 & echo $!"
    here.process = pipe:read "n"
  end
  local words = { HERE = here.path, PID = here.process, TOKEN = home:match "[^/]+$" .. "-" .. directory }
  here.token = words.TOKEN
  here.own = (said.command or ""):match "runs/%S+" -- the run that a command is given, which it may write
  local function filled(part) return (part:gsub("@(%u+)@", words)) end
  here.command = filled(said.command or ("exp/%s.lua"):format(name))
  support.write(("%s/exp/%s.lua"):format(here.path, name), filled(text))
  assert(load(filled(said.setup), "=setup of " .. name, "t", tools(here)))()
  here.environment = ("env -i PATH='%s' HOME='%s/home' LANG=C.UTF-8 TERM=xterm A_SECRET='%s'"):format(os.getenv "PATH",
    here.path, SECRET)
  shell("find '%s' -exec touch -h -d '2020-01-01' {} +", here.path)
  return here
end

--- Every file beneath a directory by its path: what it is, when it was changed, what is in it.
function M.snapshot(path, inner, found)
  found = found or {}
  for name in lfs.dir(inner and path .. "/" .. inner or path) do
    if name ~= "." and name ~= ".." then
      local relative = inner and inner .. "/" .. name or name
      local full = path .. "/" .. relative
      local a = lfs.symlinkattributes(full)
      local entry = { mode = a.mode, permissions = a.permissions, time = a.modification, size = a.size }
      if a.mode == "file" and a.size < 64 << 20 then entry.text = support.read(full) end
      if a.mode == "link" then entry.text = lfs.symlinkattributes(full, "target") end
      found[relative] = entry
      if a.mode == "directory" then M.snapshot(path, relative, found) end
    end
  end
  return found
end

function M.says_secret(text)
  return text:find(SECRET, 1, true) or text:find(SECRET:reverse(), 1, true)
end

--- Where a run may write: beneath runs, in what was not there before. Fontconfig keeps what it found about fonts.
local function may_be_new(path)
  return path:find "^place/runs/[^/]+" or path:find "^place/home/%.cache$"
    or path:find "^place/home/%.cache/fontconfig"
end

--- Tells `add` of everything that changed, vanished or came where it must not.
function M.compare(here, before, after, add)
  local own = here.own and "place/" .. here.own .. "/"
  local function is_own(path) return own and (path .. "/"):sub(1, #own) == own end
  for path, old in pairs(before) do
    local new = after[path]
    if is_own(path) then
      new = old -- it may become anything
    end
    if not new then
      add("%s is gone", path)
    elseif old.mode ~= new.mode or old.permissions ~= new.permissions or old.text ~= new.text then
      add("%s was changed", path)
    elseif old.mode ~= "directory" and old.time ~= new.time then
      add("the time of %s was changed", path)
    end
  end
  for path, new in pairs(after) do
    if not before[path] and not is_own(path) then
      if not may_be_new(path) or path:find "^place/runs/[^/]+/before/"
        or path:find "^place/runs/other/default/" then
        add("%s was made", path)
      elseif new.mode ~= "file" and new.mode ~= "directory" then
        add("%s, a %s, was made", path, new.mode)
      end
    end
    if new.text and (not before[path] or is_own(path)) and M.says_secret(new.text) then
      add("the secret is in %s", path)
    end
  end
  for _, directory in ipairs { "/tmp", "/var/tmp", "/dev/shm" } do
    local path = directory .. "/" .. here.token .. "-canary"
    if lfs.symlinkattributes(path) then
      add("%s was made", path)
      support.remove(path)
    end
  end
end

--- Ends what was started for a script and removes its directory.
function M.leave(here, add, keep)
  if here.process then
    if not lfs.attributes("/proc/" .. here.process) then add "another process was ended" end
    os.execute(("kill -9 %d 2>/dev/null"):format(here.process))
  end
  if keep then return end
  shell("chmod -R u+rwx '%s' && rm -rf '%s'", here.base, here.base)
end

return M
