--- SHA-256 (FIPS 180-4): the checksum by which a page says which scripts and styles are its own.

local initial <const> = {
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}
local constants <const> = { -- the first 32 bits of the fractions of the cube roots of the first 64 primes
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
local word <const> = 0xffffffff
local block <const> = 64 -- bytes

--- The sixteen words of a block, and the 48 that follow from them.
local function schedule(text, at)
  local w = { (">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4"):unpack(text, at) }
  for t = 17, 64 do
    local x, y = w[t - 15], w[t - 2]
    x, y = x | x << 32, y | y << 32 -- a shift to the right of both halves turns the word about
    w[t] = w[t - 16] + (x >> 7 ~ x >> 18 ~ (x & word) >> 3) + w[t - 7] + (y >> 17 ~ y >> 19 ~ (y & word) >> 10) & word
  end
  return w
end

--- The state after one more block.
local function compress(state, w)
  local a, b, c, d, e, f, g, h = table.unpack(state)
  for t = 1, 64 do
    local x, y = e | e << 32, a | a << 32
    local first = h + ((x >> 6 ~ x >> 11 ~ x >> 25) & word) + (e & f ~ ~e & g) + constants[t] + w[t]
    local second = ((y >> 2 ~ y >> 13 ~ y >> 22) & word) + (a & b ~ a & c ~ b & c)
    a, b, c, d, e, f, g, h = first + second & word, a, b, c, d + first & word, e, f, g
  end
  for i, value in ipairs { a, b, c, d, e, f, g, h } do state[i] = state[i] + value & word end
end

--- @param text string
--- @return string 32 bytes
return function(text)
  local state = { table.unpack(initial) }
  local zeros = ("\0"):rep((block - 9 - #text) % block)
  local padded = text .. "\x80" .. zeros .. (">I8"):pack(8 * #text)
  for at = 1, #padded, block do compress(state, schedule(padded, at)) end
  return (">I4I4I4I4I4I4I4I4"):pack(table.unpack(state))
end
