--- PNG files: every form against a plain writer, back through our own, and what is wrong with them.
local sm = require "sm"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local png = dofile "tests/lua/png_files.lua"
local has, error_of = helpers.has, helpers.error_of

local chunk = png.chunk
local CHANNELS <const> = { grey = 1, rgb = 3, palette = 1, grey_alpha = 2, rgb_alpha = 4 }

describe("sm.png", function()
  local path = os.tmpname()
  after_each(function() os.remove(path) end)

  --- Rows of numbers below a limit that look like none in particular.
  local function rows_of(height, width, limit)
    local rows, state = {}, 12345
    for y = 1, height do
      rows[y] = {}
      for x = 1, width do
        state = (state * 1103515245 + 12345) & 0x7fffffff
        rows[y][x] = (state >> 8) % limit
      end
    end
    return rows
  end

  local function load(bytes, options)
    helpers.write(path, bytes)
    return sm.png.load(path, options)
  end

  local function refused(bytes, ...)
    helpers.write(path, bytes)
    local said = error_of(sm.png.load, path)
    has(said, path .. ": ")
    for _, part in ipairs { ... } do has(said, part) end
  end

  it("reads greys, colours and alpha of every depth, interlaced or not", function()
    for _, case in ipairs {
      { "grey", { 1, 2, 4, 8, 16 } }, { "rgb", { 8, 16 } }, { "grey_alpha", { 8, 16 } }, { "rgb_alpha", { 8, 16 } },
    } do
      local form, depths = table.unpack(case)
      for _, bits in ipairs(depths) do
        for _, size in ipairs { { 1, 1 }, { 3, 5 }, { 9, 11 } } do
          local height, width = table.unpack(size)
          local channels = CHANNELS[form]
          local rows = rows_of(height, width * channels, 1 << bits)
          local expected = {}
          for y, row in ipairs(rows) do
            expected[y] = {}
            for x = 1, width do
              expected[y][x] = {}
              for c = 1, channels do
                local value = row[(x - 1) * channels + c]
                expected[y][x][c] = bits == 16 and value / 65535 or value * 255 // ((1 << bits) - 1)
              end
            end
          end
          for _, interlaced in ipairs { false, true } do
            local x = load(png.bytes(form, bits, rows, { interlaced = interlaced }))
            assert.same({ height, width, channels }, x.shape)
            assert.equal(bits == 16 and runtime.real or "uint8", x.dtype)
            assert.same(sm.tensor(expected, x.dtype):totable(), x:totable())
          end
        end
      end
    end
  end)

  it("reads palettes as their colours, with and without alpha", function()
    local colours = { 0, 0, 0, 255, 0, 0, 10, 20, 30, 0, 255, 0 }
    local palette = chunk("PLTE", string.char(table.unpack(colours)))
    for _, bits in ipairs { 2, 4, 8 } do
      local rows = { { 0, 1, 2, 3, 2 }, { 3, 2, 1, 0, 0 } }
      local plain = load(png.bytes("palette", bits, rows, { chunks = palette }))
      local clear = load(png.bytes("palette", bits, rows, { chunks = palette .. chunk("tRNS", "\7\8"),
        interlaced = true }))
      assert.same({ 2, 5, 3 }, plain.shape)
      assert.same({ 2, 5, 4 }, clear.shape)
      for y = 1, 2 do
        for x = 1, 5 do
          local entry = rows[y][x]
          local rgb = table.move(colours, 3 * entry + 1, 3 * entry + 3, 1, {})
          assert.same(rgb, plain[y][x]:totable())
          rgb[4] = ({ [0] = 7, 8 })[entry] or 255
          assert.same(rgb, clear[y][x]:totable())
        end
      end
    end
    refused(png.bytes("palette", 8, { { 0, 1 }, { 2, 4 } }, { chunks = palette }),
      "the pixel in row 2, column 2 is colour 4, counted from 0, of a palette of 4")
    refused(png.bytes("palette", 8, { { 0, 1 } }), "PNG cannot be read", "PLTE")
  end)

  it("makes a transparent colour alpha, and leaves gamma alone", function()
    local x = load(png.bytes("grey", 4, { { 3, 15, 0 } }, { chunks = chunk("tRNS", "\0\15") }))
    assert.same({ { { 51, 255 }, { 255, 0 }, { 0, 255 } } }, x:totable())
    x = load(png.bytes("rgb", 8, { { 1, 2, 3, 9, 9, 9 } }, { chunks = chunk("tRNS", "\0\1\0\2\0\3") }))
    assert.same({ { { 1, 2, 3, 0 }, { 9, 9, 9, 255 } } }, x:totable())
    x = load(png.bytes("grey", 8, { { 0, 100, 255 } }, { chunks = chunk("gAMA", (">I4"):pack(100000)) }))
    assert.same({ { { 0 }, { 100 }, { 255 } } }, x:totable())
  end)

  it("converts channels, colours to grey by the weights of ITU-R BT.601", function()
    local rgb = png.bytes("rgb", 8, { { 255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 31, 255, 255, 255 } })
    assert.same({ { { 76 }, { 150 }, { 29 }, { 18 }, { 255 } } }, load(rgb, { channels = 1 }):totable())
    assert.same({ 10, 20, 31, 255 }, load(rgb, { channels = 4 })[1][4]:totable())
    assert.same({ 10, 20, 31 }, load(rgb, { channels = 3 })[1][4]:totable())
    local grey = png.bytes("grey_alpha", 8, { { 9, 4 } })
    assert.same({ { { 9, 4 } } }, load(grey):totable())
    assert.same({ { { 9 } } }, load(grey, { channels = 1 }):totable())
    assert.same({ { { 9, 9, 9 } } }, load(grey, { channels = 3 }):totable())
    assert.same({ { { 9, 9, 9, 4 } } }, load(grey, { channels = 4 }):totable())
    local wide = load(png.bytes("rgb", 16, { { 65535, 0, 13107 } }), { channels = 1 })
    assert.near(0.299 + 0.114 / 5, wide:item(), 1e-6)
    wide = load(png.bytes("rgb", 16, { { 65535, 0, 13107 } }), { channels = 4 })
    assert.same(sm.tensor({ { { 1, 0, 0.2, 1 } } }):totable(), wide:totable())
    has(error_of(sm.png.load, path, { channels = 2 }), "png.load: option 'channels' must be 1, 3 or 4, got 2")
    has(error_of(sm.png.load, path, { channel = 1 }), "unknown option 'channel'; did you mean 'channels'?")
  end)

  it("writes what it reads back", function()
    for channels = 1, 4 do
      local x = sm.randint(0, 255, { 5, 7, channels }):to "uint8"
      sm.png.save(path, x)
      assert.same(x:totable(), sm.png.load(path):totable())
      assert.same({ 5, 7, channels }, sm.png.load(path).shape)
    end
    sm.png.save(path, sm.tensor { { 0, 1 }, { 0.5, 0.1 } })
    assert.same({ { { 0 }, { 255 } }, { { 128 }, { 26 } } }, sm.png.load(path):totable())
    local plain = sm.tensor({ { 1, 2, 3 } }, "uint8")
    sm.png.save(path, plain)
    assert.same({ { { 1 }, { 2 }, { 3 } } }, sm.png.load(path):totable())
    local large = sm.rand(300, 500, 3) -- several chunks
    sm.png.save(path, large)
    assert.is_true((sm.png.load(path):to(runtime.real) / 255 - large):abs():max():item() <= 0.501 / 255)
  end)

  it("refuses to write what is no picture, and leaves the old file", function()
    sm.png.save(path, sm.zeros(2, 2))
    local old = helpers.read(path)
    for value, words in pairs { [1.5] = "1.5", [-0.25] = "-0.25", [math.huge] = "inf" } do
      local x = sm.zeros(2, 3, 3)
      x[2][3]:copy_(sm.tensor { 0, value, 0 })
      has(error_of(function() sm.png.save(path, x) end), path .. ": the numbers of a picture are from 0 to 1, but that "
        .. "in row 2, column 3, channel 2 is " .. words)
    end
    has(error_of(sm.png.save, path, sm.full({ 2, 2 }, 0 / 0)), "row 1, column 1, channel 1 is")
    for _, shape in ipairs { {}, { 2 }, { 0, 3 }, { 3, 0 }, { 2, 2, 0 }, { 2, 2, 5 }, { 1, 2, 2, 1 } } do
      has(error_of(sm.png.save, path, sm.zeros(shape)),
        "a picture is {height, width} or {height, width, 1 to 4}, got {" .. table.concat(shape, ", ") .. "}")
    end
    has(error_of(sm.png.save, path, sm.zeros({ 2, 2 }, "int32")), "got int32; x:to(\"uint8\") makes it bytes")
    has(error_of(sm.png.save, path, "x"), "a picture is a tensor {height, width} or {height, width, channels}, got str")
    has(error_of(sm.png.save, 3, sm.zeros(2, 2)), "png.save: the path must be a string, got number 3")
    has(error_of(sm.png.save, "/none/x.png", sm.zeros(2, 2)), "/none/x.png: cannot create a file there")
    assert.equal(old, helpers.read(path))
  end)

  it("names what is wrong with a file", function()
    local good = png.bytes("rgb", 8, rows_of(6, 15, 256))
    for last = 0, #good - 1 do refused(good:sub(1, last), last == 0 and "truncated" or "byte ") end
    for begins, words in pairs {
      ["GIF89a"] = "this is a GIF", ["\xff\xd8\xff\xe0"] = "this is a JPEG", ["RIFF....WEBP"] = "this is a WebP",
      ["BM"] = "this is a BMP", ["II*\0"] = "this is a TIFF", ["P5 28"] = "it does not begin as a PNG does",
    } do
      refused(begins .. ("x"):rep(100), words .. "; only PNG pictures are read: convert it")
    end
    refused(good:gsub("IDAT", "IDAX"), "PNG cannot be read")
    local function with(width, height)
      local header = (">I4I4BBBBB"):pack(width, height, 8, 6, 0, 0, 0)
      return good:sub(1, 8) .. chunk("IHDR", header) .. good:sub(34)
    end
    refused(with(100000, 100000), "byte 16: a picture of {100000, 100000, 4} is more than " .. #good .. " bytes hold")
    refused(with(0x7fffffff, 0x7fffffff), "PNG cannot be read")
    refused(with(0, 3), "PNG cannot be read")
    refused(with(5, 7), "PNG cannot be read") -- there are fewer pixels
    local damaged = good:sub(1, -30) .. string.char(good:byte(-29) ~ 1) .. good:sub(-28)
    refused(damaged, "PNG cannot be read")
    os.remove(path)
    has(error_of(sm.png.load, path), path .. ": cannot open")
    has(error_of(sm.png.load, "/tmp"), "/tmp: expected a regular file, found a directory")
    has(error_of(sm.png.load, nil), "png.load: the path must be a string, got nil")
    has(error_of(runtime.io.read_png, path, 2), "1, 3 or 4 channels")
  end)

  it("reads and is read by Python's imaging library", function()
    local there = os.execute "python3 -c 'import PIL, numpy' 2>/dev/null"
    if not there then return pending "python3-pil and python3-numpy are not installed" end
    local x = sm.randint(0, 255, { 9, 4, 3 }):to "uint8"
    sm.png.save(path, x)
    local script = ([[
import numpy, sys
from PIL import Image
x = numpy.asarray(Image.open("%s"))
Image.fromarray(255 - x).convert("P", palette=Image.ADAPTIVE, colors=256).save("%s", "PNG")
print(int(x.astype(int).sum()), Image.fromarray(x).convert("L").tobytes().hex())]]):format(path, path)
    helpers.write(path .. ".py", script)
    local pipe <close> = assert(io.popen("python3 " .. path .. ".py"))
    local sum, grey = pipe:read "a":match "(%d+) (%x+)"
    os.remove(path .. ".py")
    assert.equal(x:to(runtime.real):sum():item(), tonumber(sum))
    sm.png.save(path .. "2", x)
    local ours = {}
    for _, value in ipairs(sm.png.load(path .. "2", { channels = 1 }):reshape(-1):totable()) do
      ours[#ours + 1] = ("%02x"):format(value)
    end
    os.remove(path .. "2")
    assert.equal(grey, table.concat(ours))
    assert.same((255 - x:to(runtime.real)):totable(), sm.png.load(path):to(runtime.real):totable())
  end)
end)
