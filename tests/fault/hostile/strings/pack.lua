-- Packs and unpacks with alignments, sizes and positions that overflow. Each must be an error.
-- expect: contained
for _, form in ipairs { "i17", "i0", "!33", "!3i4", "c9223372036854775807", "s16", "Xz", "X", "i16i16i16i16", "c-1" } do
  for _, at in ipairs { 1, -1, math.maxinteger, math.mininteger, 1 << 31, 1 << 32 } do
    pcall(string.unpack, form, ("\255"):rep(64), at)
  end
  pcall(string.packsize, form:rep(1000))
  pcall(string.pack, form, math.mininteger)
end
