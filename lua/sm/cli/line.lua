--- A line as it is typed into a shell: read as words, and words written so that the shell reads them back.
-- @module sm.cli.line
local M = {}

--- Which characters a backslash takes its meaning from, within quotes.
local escaped <const> = {
  bash = { ['"'] = '["\\$`]', ["'"] = nil },
  zsh = { ['"'] = '["\\$`]', ["'"] = nil },
  fish = { ['"'] = '["\\$]', ["'"] = "['\\]" },
}

M.shells = escaped

--- The words of a line that ends where the cursor is.
--- @param shell string a key of `shells`
--- @param line string
--- @param quote string|nil that is open at the beginning
--- @return table array of words without their quotes; the last one is what is being typed, "" after a space
--- @return string|nil the quote that is open at the end
function M.read(shell, line, quote)
  local words, word, at = {}, nil, 1
  while at <= #line do
    local char = line:sub(at, at)
    local following = line:sub(at + 1, at + 1)
    if char == "\\" and following ~= "" and (not quote or following:find(escaped[shell][quote] or "^$")) then
      word, at = (word or "") .. following, at + 1
    elseif quote and char == quote then
      quote = nil
    elseif not quote and (char == '"' or char == "'") then
      word, quote = word or "", char
    elseif not quote and char:find "%s" then
      if word then words[#words + 1] = word end
      word = nil
    else
      word = (word or "") .. char
    end
    at = at + 1
  end
  words[#words + 1] = word or ""
  return words, quote
end

--- The end of the last word as the shell has it, with or without the quote that is open there, without quotes.
function M.unquoted(shell, piece, quote)
  if quote and piece:sub(1, 1) == quote then piece = piece:sub(2) end
  return table.concat(M.read(shell, piece, quote), " ")
end

--- A word for bash, which puts it into the line as it is: behind the quote that is open there, or without one.
--- @param quote string|nil
--- @return string|nil nil where it cannot be written: within '"' bash puts an earlier command in place of "!"
function M.for_bash(word, quote)
  if quote == "'" then return (word:gsub("'", "'\\''")) end
  if quote and word:find("!", 1, true) then return nil end
  if quote then return (word:gsub('["\\$`]', "\\%0")) end
  return (word:gsub("[^%w_@%%+=:,./\128-\255~-]", "\\%0"))
end

return M
