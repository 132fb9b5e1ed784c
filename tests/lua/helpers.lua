--- What many specs need: the program, files, words for a shell, and messages of errors.
local lfs = require "lfs"

local M = {}

--- The program under test, by its absolute path.
M.smrun = os.getenv "SMRUN" or "build/smrun"
if M.smrun:sub(1, 1) ~= "/" then M.smrun = lfs.currentdir() .. "/" .. M.smrun end

--- The first line of a script of the shell in which $SMRUN is one word, whatever is in the path of this checkout.
M.whole_words = "IFS='\n'\n"

function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function M.write(path, content)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(content))
end

--- A word as a shell reads it back.
function M.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

--- How messages show the program's path: quoted only where a shell needs that.
function M.shown_smrun() return M.smrun:find "[^%w/._-]" and M.quote(M.smrun) or M.smrun end

--- Runs a shell command in a directory, with $SMRUN set. The exit status, standard output, standard error.
function M.shell(directory, command)
  local _, _, status = os.execute(("cd %s && SMRUN=%s sh -c %s >out 2>err </dev/null")
    :format(M.quote(directory), M.quote(M.smrun), M.quote(M.whole_words .. command)))
  return status, M.read(directory .. "/out"), M.read(directory .. "/err")
end

--- The message of the error that f(…) raises.
function M.error_of(f, ...)
  local ok, message = pcall(f, ...)
  if ok then error("expected an error", 2) end
  return tostring(message)
end

--- The same without its position.
function M.message(f, ...)
  return (M.error_of(f, ...):gsub("^[^\n]-:%d+: ", ""))
end

--- Fails unless a text has a part, word for word.
function M.has(text, part)
  if not text:find(part, 1, true) then error(("expected %q in %q"):format(part, text), 2) end
end

return M
