-- Files of tensors. What a failed save leaves is the old file, whole.
return function(add, home, support)
  local sm, x, y

  local function prepare()
    sm = require "sm"
    sm.seed(5)
    x, y = sm.randn(4, 3), sm.tensor({ 0, 1, 1, 0 }, "int32")
  end

  local function case(name, path, run, more)
    more.file = more.file or path:match "[^/]*$":gsub("%p", "%%%0")
    more.prepare = more.prepare or prepare
    add(name, run, more)
  end

  -- One that is replaced: it is the old one or the new one.
  local function replaced(name, path, run, named)
    local old, new
    case(name, path, run, {
      file = named,
      prepare = function()
        prepare()
        run()
        new = support.read(path)
        support.write(path, "old")
        old = support.read(path)
        assert(old ~= new)
      end,
      before = function() support.write(path, old) end,
      after = function(done)
        local content = support.read(path)
        assert(content == new or not done and content == old, "the file is neither the old one nor the new one")
      end,
    })
  end

  replaced("save npy", home .. "/one.npy", function() sm.save(home .. "/one.npy", x) end)
  replaced("save safetensors", home .. "/all.safetensors", function()
    sm.save(home .. "/all.safetensors", { w = x, b = y }, { note = "a \"note\"" })
  end)
  replaced("save npz", home .. "/all.npz", function() sm.save(home .. "/all.npz", { w = x, b = y }) end)
  replaced("save checked", home .. "/checked.safetensors", function()
    require "sm.files".save_checked(home .. "/checked.safetensors", { w = x, b = y }, { note = "a" })
  end)
  replaced("save png", home .. "/one.png", function() sm.png.save(home .. "/one.png", sm.full({ 3, 4, 3 }, 0.5)) end)
  for _, name in ipairs { "net.onnx", "net.npz" } do
    replaced("export " .. name, home .. "/" .. name, function()
      local nn = sm.nn
      local net = nn.sequential { nn.linear { 4 }, nn.softmax { groups = 2 }, nn.fn(function(v) return v * 2 end) }
      sm.seed(3)
      return sm.export(home .. "/" .. name, net:build { 3 })
    end)
  end
  replaced("save through a link", home .. "/real.npy", function() sm.save(home .. "/link.npy", x) end, "link%.npy")
  os.execute(("ln -s real.npy '%s/link.npy'"):format(home))

  case("load npy", home .. "/read.npy", function() return sm.load(home .. "/read.npy") end, { prepare = function()
    prepare()
    sm.save(home .. "/read.npy", x)
  end })
  case("load npz", home .. "/read.npz", function() return { sm.load(home .. "/read.npz") } end, { prepare = function()
    prepare()
    sm.save(home .. "/read.npz", { w = x, b = y })
  end })
  case("load safetensors", home .. "/read.safetensors", function() return { sm.load(home .. "/read.safetensors") } end,
    { prepare = function()
      prepare()
      require "sm.files".save_checked(home .. "/read.safetensors", { w = x, b = y }, { note = "a" })
    end })
  case("load what is half of it unknown", home .. "/half.safetensors", function()
    local tensors, metadata, unread = sm.load(home .. "/half.safetensors")
    return { rawget(tensors, "b"), metadata, unread }
  end, { prepare = function()
    prepare()
    local header = '{"a":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]},'
      .. '"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}'
    support.write(home .. "/half.safetensors", ("<I8"):pack(#header) .. header .. ("\0\x3c"):rep(4))
  end })
  case("load fortran and big endian", home .. "/fortran.npy", function() return sm.load(home .. "/fortran.npy") end,
    { prepare = function()
      prepare()
      local header = "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }"
      header = header .. (" "):rep(-(#header + 11) % 64) .. "\n"
      support.write(home .. "/fortran.npy", "\x93NUMPY\1\0" .. ("<I2"):pack(#header) .. header
        .. (">dddddd"):pack(1, 2, 3, 4, 5, 6))
    end })

  case("load png", home .. "/read.png", function()
    return { sm.png.load(home .. "/read.png"), sm.png.load(home .. "/read.png", { channels = 1 }) }
  end, { prepare = function()
    prepare()
    sm.png.save(home .. "/read.png", sm.full({ 3, 4, 3 }, 7, "uint8"))
  end })

  add("json", function()
    local json = require "sm.json"
    local text = json.encode { a = { 1, 2.5, "x\n\"" }, b = json.array {}, c = true }
    return { text, json.decode(text), json.object '{"a": [1, {"b": null}], "c": "\\u00e9"}', json.quote "\1" }
  end, { prepare = prepare })
end
